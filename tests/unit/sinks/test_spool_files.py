"""The files of a spool: what fails, is damaged or taken away on the disk costs no other record."""

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import NoReturn

import pytest
import structlog

from sinks.base import Record, SinkError
from sinks.ndjson import encode
from sinks.spool import SpooledSink
from sinks.spoolfiles import SpoolConfig, SpoolFiles
from tests.fakes.sinks import WatchedSink
from tests.unit.sinks.test_spool import files, numbers, record

SMALLEST = 64 * 1024


@contextmanager
def spool_files(folder: Path) -> Iterator[SpoolFiles]:
    spool = SpoolFiles(SpoolConfig(path=folder / "spool", max_bytes=SMALLEST))
    spool.open()
    try:
        yield spool
    finally:
        spool.close()


def fill(spool: SpoolFiles, count: int) -> None:
    """Several files, each with four or five records of a kilobyte."""
    for number in range(count):
        spool.append([record(number, 1000)])


def left(folder: Path, count: int = 20) -> list[Path]:
    """What an earlier run has left."""
    with spool_files(folder) as spool:
        fill(spool, count)
    return files(folder)


def deliver(spool: SpoolFiles, batch: int = 3) -> list[int]:
    delivered: list[int] = []
    while spool.waiting.bytes:
        delivered += numbers(spool.head(batch))
        spool.delivered()
    return delivered


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def failing(number: int) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def test_they_are_no_larger_than_a_sixteenth_and_one_write(tmp_path: Path) -> None:
    with spool_files(tmp_path) as spool:
        fill(spool, 40)
        sizes = [file.stat().st_size for file in files(tmp_path)]
    assert len(sizes) > 5
    assert max(sizes) < SMALLEST / 16 + 1200


def test_a_file_that_cannot_be_removed_yet_hides_no_record_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with spool_files(tmp_path) as spool:
        fill(spool, 20)
        inside = files(tmp_path)[0].read_bytes().count(b"\n")
        delivered = numbers(spool.head(inside))
        with monkeypatch.context() as patch, pytest.raises(OSError, match="Read-only"):
            patch.setattr(Path, "unlink", failing(errno.EROFS))
            spool.delivered()
        assert delivered + deliver(spool) == list(range(20))
    assert files(tmp_path) == []


def test_where_the_first_look_fails_the_next_one_finds_what_waits(tmp_path: Path) -> None:
    first = left(tmp_path)[0]
    aside = first.rename(tmp_path / "aside")
    first.mkdir()
    spool = SpoolFiles(SpoolConfig(path=tmp_path / "spool", max_bytes=SMALLEST))
    with pytest.raises(IsADirectoryError):
        spool.open()
    first.rmdir()
    aside.rename(first)
    spool.open()
    assert deliver(spool) == list(range(20))
    spool.close()


@pytest.mark.parametrize("name", ["7.ndjson", "notes.ndjson", "\u0661" * 12 + ".ndjson", "000000000001.ndjson.gz"])
def test_a_file_of_another_name_is_left_alone(name: str, tmp_path: Path) -> None:
    left(tmp_path, 3)
    (tmp_path / "spool" / name).write_bytes(b"something\n")
    with spool_files(tmp_path) as spool:
        assert deliver(spool) == [0, 1, 2]
    assert (tmp_path / "spool" / name).read_bytes() == b"something\n"


def test_a_file_taken_away_amid_its_delivery_leaves_the_others_waiting(tmp_path: Path) -> None:
    with spool_files(tmp_path) as spool:
        fill(spool, 5)
        inside = files(tmp_path)[0].read_bytes().count(b"\n")
        assert inside == 4
        spool.head(1)
        spool.delivered()
        files(tmp_path)[0].unlink()
        spool.append([record(5, 10)])
        assert spool.waiting.bytes == sum(file.stat().st_size for file in files(tmp_path))
        assert deliver(spool) == [4, 5]


def test_a_damaged_line_is_told_and_kept_and_stands_in_no_other_ones_way(tmp_path: Path) -> None:
    for turn in (1, 2):
        first = left(tmp_path)[0]
        damaged = first.read_bytes().replace(b'"r/1"', b'"r/1\xff')
        first.write_bytes(damaged)
        with structlog.testing.capture_logs() as told, spool_files(tmp_path) as spool:
            assert deliver(spool) == [0, *range(2, 20)]
        assert [line["log_level"] for line in told if line["event"] == "spool.damaged-line"] == ["error"]
        assert (tmp_path / "spool" / f"damaged.{turn}").read_bytes() == damaged
        assert files(tmp_path) == []


def test_a_torn_end_is_no_damage(tmp_path: Path) -> None:
    with left(tmp_path)[-1].open("ab") as file:
        file.write(encode(record(20))[:30])
    with spool_files(tmp_path) as spool:
        assert deliver(spool) == list(range(20))
    assert list((tmp_path / "spool").glob("damaged*")) == []


def test_few_large_records_are_read_at_a_time(tmp_path: Path) -> None:
    with spool_files(tmp_path) as spool:
        spool.append([record(number, 400_000) for number in range(10)])
        assert numbers(spool.head(500)) == [0, 1, 2]


def test_a_number_that_json_lacks_hides_no_record(tmp_path: Path) -> None:
    odd = Record("r/0", record(0).time, {**record(0).document, "text": "\udcff", "number": float("nan")})
    with spool_files(tmp_path) as spool:
        spool.append([odd])
        (found,) = spool.head(1)
        assert (found.id, found.document["number"], found.document["text"]) == ("r/0", None, "?")


def test_what_is_safe_is_on_the_disk_with_the_names_of_file_and_folders(tmp_path: Path, forced: list[Path]) -> None:
    with spool_files(tmp_path / "new" / "newer") as spool:
        assert forced == [tmp_path / "new" / "newer", tmp_path / "new", tmp_path]
        spool.append([record(1)])
        (file,) = files(tmp_path / "new" / "newer")
        assert forced[-2:] == [file.parent, file]
        deliver(spool)
        assert forced[-1] == file.parent


def test_outages_leave_no_descriptor_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    for _ in range(5):
        with spool_files(tmp_path) as spool:
            fill(spool, 20)
            deliver(spool)
    assert descriptors() == before
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    for _ in range(5):
        with pytest.raises(OSError, match="No locks"):
            SpoolFiles(SpoolConfig(path=tmp_path / "spool")).open()
    assert descriptors() == before


async def test_a_disk_that_fails_at_the_end_keeps_neither_folder_nor_destination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(WatchedSink):
        closed = False

        async def close(self) -> None:
            self.closed = True

    destination = Closed()
    destination.away = True
    sink = SpooledSink(destination, SpoolConfig(path=tmp_path / "spool"))
    await sink.write([record(1)])
    with monkeypatch.context() as patch, pytest.raises(SinkError, match="Input/output error"):
        patch.setattr(os, "fsync", failing(errno.EIO))
        await sink.close()
    assert destination.closed
    with spool_files(tmp_path) as spool:
        assert deliver(spool) == [1]


async def test_a_disk_that_cannot_take_what_the_destination_does_not_is_told_with_both_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = WatchedSink()
    destination.away = True
    sink = SpooledSink(destination, SpoolConfig(path=tmp_path / "spool"))
    await sink.write([])
    with monkeypatch.context() as patch, pytest.raises(SinkError) as caught:
        patch.setattr(os, "fsync", failing(errno.ENOSPC))
        await sink.write([record(1)])
    assert str(caught.value) == f"the sink is away, and the spool {tmp_path}/spool fails: No space left on device"
    assert caught.value.retry_after
    destination.away = False
    await sink.write([record(1)])
    await sink.close()
    assert (numbers(destination.records), files(tmp_path)) == ([1], [])


async def test_a_slow_disk_stops_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others_go_on, force, waited = Event(), os.fsync, []

    def slow(descriptor: int) -> None:
        waited.append(others_go_on.wait(5))
        force(descriptor)

    destination = WatchedSink()
    destination.away = True
    sink = SpooledSink(destination, SpoolConfig(path=tmp_path / "spool"))
    monkeypatch.setattr(os, "fsync", slow)
    writing = asyncio.create_task(sink.write([record(1, 1_000_000)]))
    await asyncio.sleep(0)
    others_go_on.set()
    await writing
    assert all(waited)
    await sink.close()
