"""A spool before a sink: nothing is lost, nothing changes its order, and what is full says so."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.base import Query, Record, SinkError
from sinks.ndjson import encode
from sinks.spool import SpooledSink
from sinks.spoolfiles import SpoolConfig, SpoolFiles, Waiting
from tests.fakes.sinks import WatchedSink

START = datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC)
SMALLEST = 64 * 1024


def record(number: int, size: int = 10) -> Record:
    time = START + timedelta(seconds=number)
    document = {"@timestamp": time.isoformat(), "event": {"id": f"r/{number}"}, "message": "x" * size}
    return Record(f"r/{number}", time, document)


def numbers(records: Sequence[Record]) -> list[int]:
    return [int(found.id.removeprefix("r/")) for found in records]


class Destination(WatchedSink):
    """May take some records of a write before it is away; keeps the order in which it has first seen them."""

    takes_before_it_fails = 0

    async def write(self, records: Sequence[Record]) -> None:
        if self.away:
            self.away = False
            await super().write(records[: self.takes_before_it_fails])
            self.away = True
        await super().write(records)


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
    destination = Destination()
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


STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 12), st.sampled_from([10, 900, 9000])),
    st.tuples(st.just("away"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("back"), st.just(0), st.just(0)),
    st.tuples(st.just("pass time"), st.integers(1, 5), st.just(0)),
    st.tuples(st.just("kill"), st.integers(0, 400), st.integers(0, 2)),
)


class Run:
    """A writer that goes through outages and kills; each record is written until it is acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.destination = Destination()
        self.acknowledged = 0
        self.sizes: dict[int, int] = {}
        self.sink = self._opened()

    async def do(self, what: str, first: int, second: int) -> None:
        match what:
            case "write":
                await self._write([self._next(ahead, second) for ahead in range(first)])
            case "away":
                self.destination.away, self.destination.takes_before_it_fails = True, first
            case "back":
                self.destination.away = False
            case "pass time":
                await asyncio.sleep(first / 2000)
            case "kill":
                self._tear(first, second)
                await self._kill()
                self.sink = self._opened()

    async def end(self) -> None:
        self.destination.away = False
        await self.sink.write([])
        await until_delivered(self.sink)
        await self.sink.close()

    def _opened(self) -> SpooledSink:
        return SpooledSink(
            self.destination, SpoolConfig(path=self.folder / "spool", max_bytes=SMALLEST), pause=no_pause
        )

    def _next(self, ahead: int, size: int) -> Record:
        """The record so far ahead of those that are acknowledged: of one id, always the same."""
        number = self.acknowledged + ahead
        return record(number, self.sizes.setdefault(number, size))

    async def _write(self, records: list[Record]) -> None:
        try:
            await self.sink.write(records)
        except SinkError as error:
            assert "is full" in str(error)
        else:
            self.acknowledged += len(records)

    async def _kill(self) -> None:
        """Leave the process's traces as SIGKILL would: nothing closed, the lock gone."""
        if self.sink._delivery is not None:
            self.sink._delivery.cancel()
            await asyncio.wait({self.sink._delivery})
        self.sink._worker.shutdown()
        lock, self.sink._files._lock = self.sink._files._lock, -1
        if lock >= 0:
            os.close(lock)

    def _tear(self, length: int, where: int) -> None:
        """A write that was under way: the beginning of records that nobody acknowledged."""
        there = files(self.folder)
        if there and (where == 2 or (where == 1 and self.sink._files._appender is not None)):
            name = there[-1] if where == 1 else self.folder / "spool" / f"{int(there[-1].stem) + 1:012}.ndjson"
            torn = b"".join(encode(self._next(ahead, 10)) + b"\n" for ahead in range(3))
            with name.open("ab") as file:
                file.write(torn[:length])


@settings(max_examples=120, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_whatever_happens_nothing_is_lost_and_all_keep_their_order(steps: list[tuple[str, int, int]]) -> None:
    async def live(folder: Path) -> tuple[list[int], int]:
        run = Run(folder)
        for step in steps:
            await run.do(*step)
        await run.end()
        return numbers(run.destination.records), run.acknowledged

    with tempfile.TemporaryDirectory() as folder:
        seen, acknowledged = asyncio.run(live(Path(folder)))
        # A write that nobody acknowledged may have come whole: then it is the next one.
        assert seen[:acknowledged] == list(range(acknowledged))
        assert seen == list(range(len(seen)))
        assert files(Path(folder)) == []


def test_the_files_of_a_spool_are_no_larger_than_a_sixteenth_and_one_write(tmp_path: Path) -> None:
    spool = SpoolFiles(SpoolConfig(path=tmp_path / "spool", max_bytes=SMALLEST))
    spool.open()
    for number in range(40):
        spool.append([record(number, 1000)])
    sizes = [file.stat().st_size for file in files(tmp_path)]
    assert len(sizes) > 5
    assert max(sizes) < SMALLEST / 16 + 1200
    spool.close()
