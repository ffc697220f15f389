"""Runs through outages, full disks and kills: nothing is lost, and all keep their order."""

import asyncio
import os
import resource
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.base import Record, SinkError
from sinks.ndjson import encode
from sinks.spool import SpooledSink
from sinks.spoolfiles import SpoolConfig
from tests.fakes.sinks import WatchedSink

START = datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC)
SMALLEST = 64 * 1024
SIZES = (10, 900, 9000)

Step = tuple[str, int, int]

STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 12), st.just(0)),
    st.tuples(st.just("away"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("back"), st.just(0), st.just(0)),
    st.tuples(st.just("pass time"), st.integers(1, 5), st.just(0)),
    st.tuples(st.just("write to a full disk"), st.integers(1, 12), st.integers(0, 9000)),
    st.tuples(st.just("close"), st.just(0), st.just(0)),
    st.tuples(st.just("kill"), st.integers(0, 2000), st.integers(0, 2)),
)


def record(number: int) -> Record:
    """The record of that number: always the same one, since an id means one document."""
    time = START + timedelta(seconds=number)
    message = "x" * SIZES[number // 7 % len(SIZES)]
    return Record(
        f"r/{number}", time, {"@timestamp": time.isoformat(), "event": {"id": f"r/{number}"}, "message": message}
    )


def numbers(records: Sequence[Record]) -> list[int]:
    return [int(found.id.removeprefix("r/")) for found in records]


async def no_pause(_: float) -> None:
    await asyncio.sleep(0.0005)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As a disk that is full: a write stops in its middle. What is logged meanwhile goes to no file either."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with structlog.testing.capture_logs():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class Run:
    """A writer that goes through all this; each record is written, in order, until it is acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.destination = WatchedSink()
        self.acknowledged = 0
        self.sink = self._opened()

    async def do(self, what: str, first: int, second: int) -> None:
        match what:
            case "write":
                await self._write(first, "is full")
            case "away":
                self.destination.away, self.destination.takes_before_it_fails = True, first
            case "back":
                self.destination.away = False
            case "pass time":
                await asyncio.sleep(first / 2000)
            case "write to a full disk":
                with files_no_larger_than(second):
                    await self._write(first, "is full", "File too large")
            case "close":
                await self.sink.close()
            case "kill":
                self._tear(first, second)
                await self._kill()
                self.sink = self._opened()

    async def end(self) -> None:
        self.destination.away = False
        await self.sink.write([])
        if self.sink._delivery is not None:
            await asyncio.wait_for(asyncio.shield(self.sink._delivery), 20)
        await self.sink.close()

    def files(self) -> list[Path]:
        return sorted((self.folder / "spool").glob("*.ndjson"))

    def _opened(self) -> SpooledSink:
        config = SpoolConfig(path=self.folder / "spool", max_bytes=SMALLEST)
        return SpooledSink(self.destination, config, pause=no_pause)

    async def _write(self, count: int, *excuses: str) -> None:
        try:
            await self.sink.write([record(self.acknowledged + ahead) for ahead in range(count)])
        except SinkError as error:
            assert any(excuse in str(error) for excuse in excuses)
        else:
            self.acknowledged += count

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
        there = self.files()
        if there and (where == 2 or (where == 1 and self.sink._files._appender is not None)):
            name = there[-1] if where == 1 else self.folder / "spool" / f"{int(there[-1].stem) + 1:012}.ndjson"
            torn = b"".join(encode(record(self.acknowledged + ahead)) + b"\n" for ahead in range(3))
            with name.open("ab") as file:
                file.write(torn[:length])


def go_through(steps: Sequence[Step]) -> None:
    async def live(run: Run) -> None:
        for step in steps:
            await run.do(*step)
        await run.end()

    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        asyncio.run(live(run))
        # A write that nobody acknowledged may have come whole: then it is the next one.
        seen = numbers(run.destination.records)
        assert seen == list(range(max(run.acknowledged, len(seen))))
        # What is delivered again goes back to some record and on from there, leaving none out.
        taken = [-1, *numbers(run.destination.taken)]
        assert [(before, after) for before, after in pairwise(taken) if after > before + 1] == []
        assert run.files() == []


RUNS: dict[str, list[Step]] = {
    "an outage in which each try takes some": [
        ("away", 0, 0),
        ("write", 3, 0),
        ("away", 2, 0),
        ("pass time", 5, 0),
    ],
    "a kill amid a delivery, which left a torn write behind": [
        ("write", 14, 0),
        ("away", 1, 0),
        ("write", 11, 0),
        ("away", 3, 0),
        ("pass time", 5, 0),
        ("kill", 187, 2),
        ("away", 1, 0),
        ("pass time", 1, 0),
    ],
}


@pytest.mark.parametrize("steps", RUNS.values(), ids=RUNS.keys())
def test_nothing_is_lost_and_all_keep_their_order_through(steps: list[Step]) -> None:
    go_through(steps)


@settings(max_examples=120, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_whatever_happens_nothing_is_lost_and_all_keep_their_order(steps: list[Step]) -> None:
    go_through(steps)
