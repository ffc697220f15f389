"""Files that change while the pipeline runs."""

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from pipeline.errors import BadInputError, Complaint
from pipeline.execute.reload import Reload
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.fault import Fault
from tests.fakes.faults import line

RULE = "rules:\n- {name: mine, where: {contains: [mlx5]}, regex: 'mlx5.* failed', kind: net, code: 1}\n"


def test_what_cannot_be_used_is_told_and_the_last_good_set_stays(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(RULE)
    matcher = Matcher(load_patterns([tmp_path]))
    reload = Reload("patterns", [tmp_path], lambda: matcher.replace(load_patterns([tmp_path])))
    file.write_text(RULE.replace("failed", "failed("))
    with capture_logs() as logs:
        assert not reload.again()
    assert f"{file}:2" in logs[0]["problems"][0]
    assert isinstance(matcher.match(line("mlx5_core failed")), Fault)
    file.write_text(RULE.replace("failed", "gone"))
    assert reload.again()
    assert matcher.match(line("mlx5_core failed")) is None
    assert isinstance(matcher.match(line("mlx5_core gone")), Fault)


async def test_a_change_of_a_file_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("a")
    seen = asyncio.Event()
    task = asyncio.create_task(Reload("patterns", [tmp_path], seen.set).run())
    try:
        async with asyncio.timeout(30):
            while not seen.is_set():
                file.write_text("b")
                await asyncio.wait({asyncio.create_task(seen.wait())}, timeout=0.2)
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert seen.is_set()


async def test_a_refusal_does_not_end_the_watching(tmp_path: Path) -> None:
    calls = 0

    def refuse() -> None:
        nonlocal calls
        calls += 1
        raise BadInputError(Complaint("x.yaml:1", "is wrong"))

    reload = Reload("policies", [tmp_path], refuse)
    with capture_logs():
        assert [reload.again(), reload.again()] == [False, False]
    assert calls == 2


def test_nothing_to_watch_is_no_error(tmp_path: Path) -> None:
    assert Reload("policies", [tmp_path / "absent"], lambda: None).again()


def test_the_cheap_test_follows_the_patterns(tmp_path: Path) -> None:
    matcher = Matcher(load_patterns([]))
    wanted = matcher.wanted
    (tmp_path / "mine.yaml").write_text(RULE)
    assert not wanted(b"mlx5_core failed")
    matcher.replace(load_patterns([tmp_path]))
    assert wanted(b"mlx5_core failed")
