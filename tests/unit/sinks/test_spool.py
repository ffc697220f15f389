"""A spool before a sink: nothing is lost, nothing changes its order, and what is full says so."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sinks.base import Query, Record, SinkError
from sinks.ndjson import encode
from sinks.spool import SpooledSink
from sinks.spoolfiles import SpoolConfig, Waiting
from tests.fakes.sinks import WatchedSink

START = datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC)
SMALLEST = 64 * 1024


def record(number: int, size: int = 10) -> Record:
    time = START + timedelta(seconds=number)
    document = {"@timestamp": time.isoformat(), "event": {"id": f"r/{number}"}, "message": "x" * size}
    return Record(f"r/{number}", time, document)


def numbers(records: Sequence[Record]) -> list[int]:
    return [int(found.id.removeprefix("r/")) for found in records]


async def no_pause(_: float) -> None:
    await asyncio.sleep(0.0005)


@asynccontextmanager
async def spooled(folder: Path, destination: WatchedSink, most: int = SMALLEST * 16) -> AsyncIterator[SpooledSink]:
    sink = SpooledSink(destination, SpoolConfig(path=folder / "spool", max_bytes=most), pause=no_pause)
    try:
        yield sink
    finally:
        await sink.close()


async def until_delivered(sink: SpooledSink) -> None:
    delivery = sink._delivery
    if delivery is not None:
        await asyncio.wait_for(asyncio.shield(delivery), 20)


def lock(folder: Path) -> None:
    folder.chmod(0o500)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.ndjson"))


async def test_what_the_destination_takes_is_on_no_disk(tmp_path: Path) -> None:
    destination = WatchedSink()
    async with spooled(tmp_path, destination) as sink:
        await sink.write([record(1), record(2)])
        assert (numbers(destination.records), files(tmp_path)) == ([1, 2], [])


async def test_what_comes_while_it_is_away_is_delivered_in_order_and_the_files_go(tmp_path: Path) -> None:
    destination = WatchedSink()
    async with spooled(tmp_path, destination) as sink:
        await sink.write([record(1)])
        destination.away = True
        for number in range(2, 40):
            await sink.write([record(number)])
        assert numbers(destination.records) == [1]
        destination.away = False
        await until_delivered(sink)
        await sink.write([record(40)])
        assert numbers(destination.records) == list(range(1, 41))
        assert files(tmp_path) == []


async def test_what_comes_while_some_still_waits_waits_behind_it(tmp_path: Path) -> None:
    destination = WatchedSink()
    async with spooled(tmp_path, destination) as sink:
        destination.away = True
        await sink.write([record(1)])
        destination.away = False
        await sink.write([record(2)])
        await until_delivered(sink)
        assert numbers(destination.records) == [1, 2]


async def test_what_waits_outlives_a_run_and_is_taken_up_by_a_write_of_nothing(tmp_path: Path) -> None:
    async with spooled(tmp_path, (away := WatchedSink())) as sink:
        away.away = True
        await sink.write([record(1), record(2)])
    destination = WatchedSink()
    async with spooled(tmp_path, destination) as sink:
        assert [found.id async for found in sink.read(Query())] == ["r/1", "r/2"]
        assert destination.records == []
        await sink.write([])
        await until_delivered(sink)
    assert numbers(destination.records) == [1, 2]


async def test_a_full_spool_takes_no_more_until_there_is_room(tmp_path: Path) -> None:
    destination = WatchedSink()
    async with spooled(tmp_path, destination, SMALLEST) as sink:
        destination.away = True
        for number in range(7):
            await sink.write([record(number, 10_000)])
        with pytest.raises(SinkError, match=r"the spool .*/spool is full") as caught:
            await sink.write([record(7)])
        assert caught.value.retry_after
        destination.away = False
        await until_delivered(sink)
        await sink.write([record(7)])
    assert numbers(destination.records) == list(range(8))


async def test_a_record_larger_than_the_spool_finds_an_empty_one_large_enough(tmp_path: Path) -> None:
    destination = WatchedSink()
    async with spooled(tmp_path, destination, SMALLEST) as sink:
        destination.away = True
        await sink.write([record(1, 2 * SMALLEST)])
        destination.away = False
        await until_delivered(sink)
    assert numbers(destination.records) == [1]


async def test_a_spool_that_another_process_has_is_left_alone(tmp_path: Path) -> None:
    async with spooled(tmp_path, WatchedSink()) as first, spooled(tmp_path, WatchedSink()) as second:
        await first.write([record(1)])
        with pytest.raises(SinkError, match="belongs to another process") as caught:
            await second.write([record(2)])
        assert caught.value.retry_after


async def test_what_waits_is_read_in_its_place_among_the_others_each_once(tmp_path: Path) -> None:
    destination = WatchedSink()
    async with spooled(tmp_path, destination) as sink:
        await sink.write([record(1), record(4), record(6)])
        destination.away, destination.takes_before_it_fails = True, 1
        await sink.write([record(3), record(5)])
        await sink.write([record(0), record(7)])
        assert numbers([found async for found in sink.read(Query())]) == [0, 1, 3, 4, 5, 6, 7]
        late = Query(since=START + timedelta(seconds=5))
        assert numbers([found async for found in sink.read(late)]) == [5, 6, 7]


async def test_what_cannot_be_read_from_the_destination_is_not_told_in_part(tmp_path: Path) -> None:
    class Unreadable(WatchedSink):
        def read(self, query: Query) -> AsyncIterator[Record]:
            raise SinkError("it is away", 1.0)

    async with spooled(tmp_path, (destination := Unreadable())) as sink:
        destination.away = True
        await sink.write([record(1)])
        with pytest.raises(SinkError, match="it is away"):
            await anext(sink.read(Query()))


async def test_it_is_told_how_much_waits(tmp_path: Path) -> None:
    told: list[Waiting] = []
    destination = WatchedSink()
    config = SpoolConfig(path=tmp_path / "spool")
    sink = SpooledSink(destination, config, told.append, no_pause)
    destination.away = True
    await sink.write([record(1), record(2)])
    size = len(encode(record(1))) * 2 + 2
    assert (told[-1], f"{size:,} bytes of records wait" in await sink.reach()) == (Waiting(2, size), True)
    destination.away = False
    await until_delivered(sink)
    assert told[-1] == Waiting()
    assert "wait" not in await sink.reach()
    await sink.close()


async def test_what_only_a_person_can_put_right_at_the_destination_may_wait_for_him(tmp_path: Path) -> None:
    class Unknown(WatchedSink):
        async def reach(self) -> str:
            raise SinkError("it does not know us")

    async with spooled(tmp_path, (destination := Unknown())) as sink:
        destination.away = True
        await sink.write([record(1)])
        with pytest.raises(SinkError, match=r"it does not know us; [\d,]+ bytes of records wait in ") as caught:
            await sink.reach()
        assert caught.value.retry_after


async def test_a_record_that_is_no_document_is_refused_while_it_spools_too(tmp_path: Path) -> None:
    async with spooled(tmp_path, (destination := WatchedSink())) as sink:
        destination.away = True
        with pytest.raises(SinkError, match="r/1 is no JSON document"):
            await sink.write([Record("r/1", START, {"thing": object()})])
        assert [found async for found in sink.read(Query())] == []


async def test_a_defect_of_the_destination_stops_no_later_delivery(tmp_path: Path) -> None:
    class Defective(WatchedSink):
        defects = 1

        async def write(self, records: Sequence[Record]) -> None:
            if not self.away and self.defects:
                self.defects -= 1
                raise ValueError("a defect")
            await super().write(records)

    async with spooled(tmp_path, (destination := Defective())) as sink:
        destination.away = True
        await sink.write([record(1)])
        destination.away = False
        await until_delivered(sink)
    assert numbers(destination.records) == [1]


@pytest.mark.parametrize(
    "left",
    [b'{"@timestamp": "2026', b"\0" * 100, b"{}\n", b"\n\n"],
    ids=["half a record", "zeros", "no record", "none"],
)
async def test_what_a_crash_left_is_passed_over(left: bytes, tmp_path: Path) -> None:
    async with spooled(tmp_path, (away := WatchedSink())) as sink:
        away.away = True
        await sink.write([record(1)])
    with files(tmp_path)[-1].open("ab") as file:
        file.write(left)
    (tmp_path / "spool" / "000000000007.ndjson").write_bytes(b"")
    destination = WatchedSink()
    async with spooled(tmp_path, destination) as sink:
        await sink.write([record(2)])
        await until_delivered(sink)
        assert files(tmp_path) == []
    assert numbers(destination.records) == [1, 2]


async def test_a_file_that_somebody_has_removed_holds_up_no_other_one(tmp_path: Path) -> None:
    destination = WatchedSink()
    async with spooled(tmp_path, destination, SMALLEST) as sink:
        destination.away = True
        for number in range(20):
            await sink.write([record(number, 1000)])
        first, *rest = files(tmp_path)
        gone = first.read_bytes().count(b"\n")
        first.unlink()
        destination.away = False
        await until_delivered(sink)
        assert rest
    assert numbers(destination.records)[-1] == 19
    assert len(destination.records) >= 20 - gone


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_cannot_be_written_to_is_told_at_the_start(tmp_path: Path) -> None:
    lock(tmp_path)
    async with spooled(tmp_path, WatchedSink()) as sink:
        with pytest.raises(SinkError, match=r"the spool .* fails: Permission denied"):
            await sink.reach()


async def test_a_path_through_a_file_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("no folder")
    async with spooled(tmp_path, WatchedSink()) as sink:
        with pytest.raises(SinkError, match=r"the spool .* fails: Not a directory"):
            await sink.reach()
