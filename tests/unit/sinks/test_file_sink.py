"""Records in a file: whole lines, once each, through crashes, rotations and full disks."""

import asyncio
import os
import resource
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sinks.base import Query, Record, SinkError
from sinks.file import FileSink, FileSinkConfig

START = datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC)


def record(number: int, size: int = 0) -> Record:
    time = START + timedelta(seconds=number)
    document = {"@timestamp": time.isoformat(), "event": {"id": f"r/{number}"}, "message": "x" * size}
    return Record(f"r/{number}", time, document)


def sink(path: Path, **settings: Any) -> FileSink:
    return FileSink(FileSinkConfig(type="file", path=path, **settings))


async def ids(sink: FileSink) -> list[str]:
    return [found.id async for found in sink.read(Query())]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rescue-records.ndjson"


def put(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def content(path: Path) -> bytes:
    return path.read_bytes()


def take_away(path: Path) -> None:
    path.unlink()


def rotate_by_hand(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.1"))


@contextmanager
def without_privileges() -> Iterator[None]:
    """Be a user to whom permissions apply, where the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As a disk does that is full: let no file of this process grow beyond *size* bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


async def test_a_record_is_one_line_of_json_with_its_fields_in_order(path: Path) -> None:
    records = sink(path)
    await records.write([record(1), record(2)])
    lines = content(path).splitlines()
    assert [list(orjson.loads(line)) for line in lines] == [["@timestamp", "event", "message"]] * 2
    await records.close()


@pytest.mark.parametrize("fsync", ["always", "close", "never"])
async def test_records_are_in_the_file_when_write_returns(fsync: str, path: Path) -> None:
    records = sink(path, fsync=fsync)
    await records.write([record(1)])
    assert content(path).endswith(b"\n")
    await records.close()


async def test_a_record_written_again_after_a_restart_is_not_written_twice(path: Path) -> None:
    for _ in range(3):
        records = sink(path)
        await records.write([record(1), record(2)])
        await records.close()
    assert content(path).count(b"\n") == 2


async def test_a_record_written_again_after_a_rotation_is_not_written_twice(path: Path) -> None:
    for number in range(8):
        records = sink(path, rotate_bytes=4096)
        await records.write([record(number, 1500)])
        await records.close()
        again = sink(path, rotate_bytes=4096)
        await again.write([record(number, 1500), record(max(number - 1, 0), 1500)])
        await again.close()
    written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert written.count(b"\n") == 8


async def test_a_repeat_that_was_written_long_ago_is_read_once(path: Path) -> None:
    line = orjson.dumps(record(1).document) + b"\n"
    put(path, line * 3)
    assert await ids(sink(path)) == ["r/1"]


TORN = {
    "in the middle": b'{"@timestamp": "2026-01-31T04:',
    "before its end": b'{"@timestamp": "2026-01-31T04:05:06Z", "event": {"id": "r/0"}}',
    "within a character": '{"message": "通'.encode()[:-1],
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN.keys())
async def test_a_line_that_a_crash_tore_spoils_no_other(torn: bytes, path: Path) -> None:
    put(path, orjson.dumps(record(1).document) + b"\n" + torn)
    records = sink(path)
    await records.write([record(2)])
    found = await ids(records)
    assert [key for key in found if key != "r/0"] == ["r/1", "r/2"]
    assert records.passed_over == (0 if torn.endswith(b"}}") else 1)
    await records.close()


FOREIGN = {
    "an empty line": b"",
    "no JSON": b"hello",
    "no object": b"[1]",
    "no id": b'{"@timestamp": "2026-01-31T04:05:06Z", "event": {}}',
    "an id that is no text": b'{"@timestamp": "2026-01-31T04:05:06Z", "event": {"id": 1}}',
    "no time": b'{"event": {"id": "x"}}',
    "a time that is none": b'{"@timestamp": "yesterday", "event": {"id": "x"}}',
    "a time without a zone": b'{"@timestamp": "2026-01-31T04:05:06", "event": {"id": "x"}}',
    "invalid UTF-8": b'{"@timestamp": "\xff"}',
}


@pytest.mark.parametrize("line", FOREIGN.values(), ids=FOREIGN.keys())
async def test_a_line_is_passed_over_that_is(line: bytes, path: Path) -> None:
    put(path, line + b"\n" + orjson.dumps(record(1).document) + b"\n")
    records = sink(path)
    assert await ids(records) == ["r/1"]
    assert records.passed_over == 1


async def test_a_record_whose_host_is_odd_matches_no_node(path: Path) -> None:
    put(path, b'{"@timestamp": "2026-01-31T04:05:06Z", "event": {"id": "x"}, "host": "gpu-01"}\n')
    assert [found async for found in sink(path).read(Query(node="gpu-01"))] == []
    assert await ids(sink(path)) == ["x"]


@given(st.integers(0, 400), st.integers(0, 3))
def test_wherever_a_crash_cuts_the_file_whole_records_stay_and_new_ones_follow(cut: int, again: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.ndjson"

        async def scenario() -> list[str]:
            first = sink(path, fsync="never")
            await first.write([record(number, 60) for number in range(3)])
            await first.close()
            os.truncate(path, min(cut, path.stat().st_size))
            second = sink(path, fsync="never")
            await second.write([record(number, 60) for number in range(again, 5)])
            await second.close()
            return await ids(second)

        kept = [
            number for number in range(3) if cut >= (number + 1) * len(orjson.dumps(record(0, 60).document)) + number
        ]
        assert asyncio.run(scenario()) == [f"r/{number}" for number in sorted({*kept, *range(again, 5)})]


async def test_the_file_is_rotated_by_size_and_the_oldest_is_dropped(path: Path) -> None:
    records = sink(path, rotate_bytes=4096, keep=2)
    for number in range(9):
        await records.write([record(number, 1500)])
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == [path.name, f"{path.name}.1", f"{path.name}.2"]
    assert await ids(records) == [f"r/{number}" for number in range(4, 9)]
    assert all(file.stat().st_size <= 4096 for file in path.parent.iterdir())
    await records.close()


async def test_a_record_larger_than_a_file_may_be_has_one_for_itself(path: Path) -> None:
    records = sink(path, rotate_bytes=4096)
    for number in range(3):
        await records.write([record(number, 5000)])
    assert await ids(records) == ["r/0", "r/1", "r/2"]
    await records.close()


async def test_where_rotating_is_impossible_the_file_grows_on(path: Path) -> None:
    path.with_name(f"{path.name}.1").mkdir()
    path.with_name(f"{path.name}.2").mkdir()
    path.with_name(f"{path.name}.2").joinpath("full").touch()
    records = sink(path, rotate_bytes=4096, keep=2)
    for number in range(5):
        await records.write([record(number, 1500)])
    assert content(path).count(b"\n") == 5
    await records.close()


async def test_a_gap_in_the_rotated_files_hides_none(path: Path) -> None:
    for number, name in enumerate([f"{path.name}.12", f"{path.name}.3", path.name]):
        path.with_name(name).write_bytes(orjson.dumps(record(number).document) + b"\n")
    path.with_name(f"{path.name}.bak").write_bytes(orjson.dumps(record(9).document) + b"\n")
    assert await ids(sink(path)) == ["r/0", "r/1", "r/2"]


async def test_a_file_that_somebody_took_away_is_made_again(path: Path) -> None:
    records = sink(path)
    await records.write([record(1)])
    take_away(path)
    await records.write([record(1), record(2)])
    assert await ids(records) == ["r/1", "r/2"]
    await records.close()


async def test_a_file_that_somebody_rotated_is_left_to_him(path: Path) -> None:
    records = sink(path)
    await records.write([record(1)])
    rotate_by_hand(path)
    await records.write([record(1), record(2)])
    assert content(path).count(b"\n") == 1
    assert await ids(records) == ["r/1", "r/2"]
    await records.close()


async def test_reading_goes_on_while_files_are_rotated(path: Path) -> None:
    records = sink(path, rotate_bytes=4096, keep=50, fsync="never")
    await records.write([record(number) for number in range(600)])
    found = []
    async for one in records.read(Query()):
        found.append(one.id)
        if len(found) == 1:
            for number in range(600, 620):
                await records.write([record(number, 1500)])
    assert found == [f"r/{number}" for number in range(600)]
    await records.close()


async def test_a_full_disk_leaves_no_half_record_and_is_worth_another_try(path: Path) -> None:
    records = sink(path)
    await records.write([record(1, 1000)])
    before = content(path)
    with (
        largest_file(len(before) + 500),
        pytest.raises(SinkError, match=r"cannot be written to .*: File too") as caught,
    ):
        await records.write([record(2, 10), record(3, 1000)])
    assert caught.value.retry_after == 10.0
    assert content(path) == before
    await records.write([record(2, 10), record(3, 1000)])
    assert await ids(records) == ["r/1", "r/2", "r/3"]
    await records.close()


async def test_what_a_killed_process_wrote_counts_as_there_once_it_is_on_the_disk(
    path: Path, forced: list[Path]
) -> None:
    put(path, orjson.dumps(record(1).document) + b"\n")
    records = sink(path)
    await records.write([record(1)])
    assert path in forced
    assert await ids(records) == ["r/1"]
    await records.close()


async def test_a_device_without_room_is_told_in_words() -> None:
    """/dev/full is no regular file: records on it could neither be read back nor rotated."""
    with pytest.raises(SinkError, match=r"cannot be written to /dev/full: it is not a regular file") as caught:
        await sink(Path("/dev/full")).write([record(1)])
    assert caught.value.retry_after is None


async def test_a_missing_folder_is_told_in_words(path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot be written to .*: its folder does not exist") as caught:
        await sink(path / "x").write([record(1)])
    assert caught.value.retry_after is None


@pytest.mark.parametrize("job", ["written to", "read from"])
async def test_a_folder_is_told_in_words(job: str, tmp_path: Path) -> None:
    records = sink(tmp_path)
    with pytest.raises(SinkError, match=rf"cannot be {job} {tmp_path}: it is a folder; name a file") as caught:
        await (records.write([record(1)]) if job == "written to" else ids(records))
    assert caught.value.retry_after is None


async def test_a_file_of_somebody_else_is_told_in_words(path: Path) -> None:
    put(path, b"", mode=0o400)
    with without_privileges(), pytest.raises(SinkError, match=r": permission denied$") as caught:
        await sink(path).write([record(1)])
    assert caught.value.retry_after is None


async def test_a_write_that_was_cancelled_is_done_once_and_whole(path: Path) -> None:
    records = sink(path)
    task = asyncio.create_task(records.write([record(1)]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await records.write([record(1), record(2)])
    assert await ids(records) == ["r/1", "r/2"]
    assert content(path).count(b"\n") == 2
    await records.close()


async def test_writes_side_by_side_do_not_mix(path: Path) -> None:
    records = sink(path, rotate_bytes=4096, keep=99, fsync="never")
    await asyncio.gather(*(records.write([record(number, 500)]) for number in range(50)))
    assert await ids(records) == [f"r/{number}" for number in range(50)]
    assert records.passed_over == 0
    await records.close()


REFUSED: dict[str, dict[str, Any]] = {
    "an unknown key": {"pth": "x"},
    "no path": {"path": None},
    "a policy that there is not": {"fsync": "sometimes"},
    "a size that holds nothing": {"rotate_bytes": 10},
    "no file to keep": {"keep": 0},
}


@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED.keys())
def test_settings_are_refused_with(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FileSinkConfig.model_validate({"path": "x"} | settings)
