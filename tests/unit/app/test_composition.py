"""What the composition adds to its parts: metrics that are read off the cluster, and what goes with what."""

from contextlib import AsyncExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from pipeline.app import build, parts
from pipeline.errors import BadInputError
from pipeline.execute.store_file import StoreFile
from pipeline.execute.store_lock import InUseError
from pipeline.settings import Settings, read_settings, shipped


async def _pause(_: timedelta) -> None:
    """Time costs nothing here."""


async def test_a_metric_tells_how_many_standbys_are_free(tmp_path: Path) -> None:
    async def free(*options: str) -> float | None:
        options = (f"sinks.0.path={tmp_path / 'records.ndjson'}", *options)
        async with AsyncExitStack() as stack:
            build(read_settings(shipped() / "pipeline.yaml", options, {}), _pause, lambda _: None, stack)
            return REGISTRY.get_sample_value("gpu_rescue_free_standbys")

    assert await free() == 2.0
    assert await free("standby.label=team/pool") == 0.0


def _lasting(folder: Path) -> Settings:
    """Settings under which everything outlives the process."""
    lasting = (
        f"store={{type: sqlite, path: {folder / 'rescues.db'}}}",
        f"cluster.state={folder / 'cluster.ndjson'}",
        f"sinks.0.path={folder / 'records.ndjson'}",
        "sources.0.follow=true",
    )
    return read_settings(shipped() / "pipeline.yaml", lasting, {})


async def _told_of_the_store(settings: Settings) -> str:
    async with AsyncExitStack() as stack:
        (store,) = [part for name, part in parts(settings, stack) if name == f"store ({settings.store.type})"]
        return await store.reach()


async def test_a_store_is_let_go_of_at_the_end(tmp_path: Path) -> None:
    settings = _lasting(tmp_path)
    for _ in range(2):
        async with AsyncExitStack() as stack:
            build(settings, _pause, lambda _: None, stack)
            assert await _told_of_the_store(settings) == "in use by a process that runs"


async def test_a_second_process_leaves_the_files_of_the_first_in_peace(tmp_path: Path) -> None:
    state = tmp_path / "cluster.ndjson"
    with closing(StoreFile(tmp_path / "rescues.db")):
        state.write_text("what the first is about to write to its en")
        async with AsyncExitStack() as stack:
            with pytest.raises(InUseError):
                build(_lasting(tmp_path), _pause, lambda _: None, stack)
    assert state.read_text() == "what the first is about to write to its en"


async def test_a_store_that_is_not_there_yet_is_not_made_by_reaching_it(tmp_path: Path) -> None:
    assert await _told_of_the_store(_lasting(tmp_path)) == f"{tmp_path / 'rescues.db'} does not exist yet"
    assert not (tmp_path / "rescues.db").exists()
    with pytest.raises(
        BadInputError, match=r"rescues\.db: cannot be made: its folder does not exist; name a file in a"
    ):
        await _told_of_the_store(_lasting(tmp_path / "none"))


async def test_a_store_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "rescues.db"
    StoreFile(path).close()
    assert await _told_of_the_store(_lasting(tmp_path)) == f"{path}, 0 rescues, 0 of them open"
    with closing(StoreFile(path)):
        assert await _told_of_the_store(_lasting(tmp_path)) == "in use by a process that runs"
    path.write_text("something else, long enough to be told from an empty file")
    with pytest.raises(BadInputError, match=r"rescues\.db: is no store of gpu-rescue"):
        await _told_of_the_store(_lasting(tmp_path))


async def test_a_store_in_memory_says_what_it_forgets() -> None:
    settings = read_settings(shipped() / "pipeline.yaml", (), {})
    assert await _told_of_the_store(settings) == "in memory: a restart forgets every rescue"
