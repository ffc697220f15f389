"""Runs intake and execution together: by the wall clock over live streams, by the log's own time over one that ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from pipeline.clock import Clock, ManualClock
from pipeline.errors import PermanentError, TemporaryError
from pipeline.execute.intake import Intake
from pipeline.execute.leadership import Leadership
from pipeline.execute.policies import PolicyBook
from pipeline.execute.reading import Reading
from pipeline.execute.rehearsal import Execution
from pipeline.execute.replay import BEFORE_ALL_LOGS, Pause, Replay, latest_stamp
from pipeline.execute.store import RescueStore
from pipeline.model.line import LogLine
from pipeline.model.rescue import HoldReason, Rescue, Status
from pipeline.sources.port import Delivery, Source
from pipeline.telemetry import LEADING

_log = structlog.get_logger()
_LONGEST_IDLE = timedelta(seconds=5)
_LOOK = timedelta(milliseconds=200)
_LONGEST_REST = 0.2
_LONGEST_STEP = timedelta(milliseconds=5)
_GRACE = 10.0
_LOOK_AHEAD = 10_000

Companion = Callable[[], Coroutine[None, None, None]]

Taken = tuple[tuple[LogLine, ...], Delivery]


class LiveLoop:
    """The wall clock: streams are read side by side, from when nodes and rescues are known on, and who leads executes.

    It ends when it is cancelled, or when every stream has ended and every open rescue is held before it has begun, or
    for a fault of the fabric. Another one that has begun goes on by itself when what it waits for has come; its node
    must not stay out of service until then. That of a fabric incident does: it waits for a person.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        intake: Intake,
        executions: Callable[[], Execution],
        store: RescueStore,
        known: Callable[[], bool],
        policies: PolicyBook,
        clock: Clock,
        leadership: Leadership,
        companions: Sequence[Companion] = (),
    ) -> None:
        """*executions* gives a new one each time that this process begins to lead: it remembers nothing of the last.

        *known* says whether nodes and policies are complete. *companions* run beside all this, whoever leads.
        """
        self._companions = companions
        self._executions = executions
        self._executor: Execution | None = None
        self._leadership = leadership
        self._readings = [Reading(source, intake, clock) for source in sources]
        self._intake = intake
        self._store = store
        self._nodes_known = known
        self._policies = policies
        self._clock = clock
        self._ended = 0

    async def run(self) -> None:
        """Read and execute; on the way out, steps come to their end and records are written.

        Each of the two as far as ten seconds allow.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                aside = [tasks.create_task(companion()) for companion in self._companions]
                await self._known("rescues", lambda: self._store.synced)
                self._intake.restore()
                aside.append(tasks.create_task(self._sweep()))
                for reading in self._readings:
                    tasks.create_task(self._read(reading))
                await self._leadership.lead(self._execute)
                for task in aside:
                    task.cancel()
        finally:
            await self._leave()

    async def _read(self, reading: Reading) -> None:
        # Until then a host may look unknown, and its fault be lost.
        await self._known("nodes and policies", self._nodes_known)
        await reading.run()
        self._ended += 1

    async def _known(self, what: str, synced: Callable[[], bool]) -> None:
        """Return when a cache is complete."""
        waits = False
        while True:
            if synced():
                return
            if not waits:
                _log.warning("reading.waits", why=f"the {what} of the cluster are not known yet")
            waits = True
            await asyncio.sleep(_LOOK.total_seconds())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_LONGEST_IDLE.total_seconds())
            await self._intake.sweep()

    async def _execute(self) -> None:
        self._executor = executor = self._executions()
        LEADING.set(1)
        cleaning = asyncio.create_task(self._clean_up())
        try:
            await self._work(executor)
        finally:
            LEADING.set(0)
            cleaning.cancel()
            await self._finish(executor)

    async def _finish(self, executor: Execution) -> None:
        """Let steps come to their end while this process leads, so that no effect is left half asked for."""
        settling = asyncio.create_task(executor.settle())
        loop = asyncio.get_running_loop()
        until = loop.time() + _GRACE
        try:
            while self._leadership.leading and not settling.done() and loop.time() < until:
                await asyncio.wait({settling}, timeout=_LOOK.total_seconds())
            if settling.done():
                settling.result()
        finally:
            settling.cancel()
            await executor.stop()

    async def _clean_up(self) -> None:
        while True:
            await asyncio.sleep(_LONGEST_IDLE.total_seconds())
            try:
                await self._store.clean_up(self._clock.now())
            except (TemporaryError, PermanentError) as error:
                _log.warning("store.not-cleaned", error=str(error))
            except Exception:
                # Were this to end, rescues that people delete would stay for ever, and nobody would know why.
                _log.exception("store.not-cleaned")

    async def _work(self, executor: Execution) -> None:
        while not self._finished():
            # Asked for before the tick, so that a rescue saved during the tick is not slept over.
            changed = asyncio.ensure_future(self._store.changed())
            try:
                await self._policies.report()
                began = time.monotonic()
                due = await executor.tick(_LONGEST_STEP)
                # A new rescue is seen at once; but of the processor no more than half is for looking.
                await asyncio.sleep(min(time.monotonic() - began, _LONGEST_REST))
                idle = min(due - self._clock.now(), _LONGEST_IDLE) if due else _LONGEST_IDLE
                await asyncio.wait({changed}, timeout=max(idle, timedelta(0)).total_seconds())
            finally:
                changed.cancel()

    def _finished(self) -> bool:
        held = all(rescue.status is Status.HELD and _need_not_stay(rescue) for rescue in self._store.open())
        return self._ended == len(self._readings) and held

    async def _leave(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                for reading in self._readings:
                    await reading.settle()
                await self._intake.flush()
                if self._executor is not None:
                    await self._executor.record_rest()
        if self._executor is None:
            # Those of others, who execute and record them.
            return
        unrecorded = sum(len(rescue.journal) - rescue.recorded for rescue in self._store.all())
        if unrecorded:
            _log.error("records.unwritten", count=unrecorded)


class ReplayLoop:
    """The log's own time: the clock jumps from one line to the next, and to whatever is due between the two."""

    def __init__(
        self,
        sources: Sequence[Source],
        intake: Intake,
        executor: Execution,
        store: RescueStore,
        policies: PolicyBook,
        clock: ManualClock,
        pause: Pause,
        present: datetime,
    ) -> None:
        """Run *sources*, merged by time. No log is of later than *present*; one without any time is of that moment."""
        self._sources = sources
        self._intake = intake
        self._executor = executor
        self._policies = policies
        self._present = present
        self._replay = Replay(intake, executor, store, clock, pause, present)

    async def run(self) -> None:
        """Read every source to its end, then go on until no open rescue can go further."""
        await self._policies.report()
        async for lines, delivery in self._from_the_first_stamp():
            for line in lines:
                await self._replay.take(line)
            await delivery.ack()
        for rescue in await self._replay.finish():
            _log.warning("replay.unfinished", rescue=rescue.name, status=rescue.status, due=rescue.due.isoformat())
        await self._executor.record_rest()

    async def _from_the_first_stamp(self) -> AsyncIterator[Taken]:
        """All that the sources deliver, once the clock stands at the first stamp of the log.

        Lines before it that have no time of their own are kept back until then: the log's time is not known yet.
        """
        kept: list[Taken] = []
        begun = False
        latest = latest_stamp(self._present)
        async for taken in merged(self._sources, self._intake, latest):
            if begun:
                yield taken
                continue
            kept.append(taken)
            first = _stamp(taken, latest)
            if first is not None or len(kept) == _LOOK_AHEAD:
                self._replay.begin(first)
                begun = True
                for item in kept:
                    yield item
                kept.clear()
        self._replay.begin(None)
        for item in kept:
            yield item


def _need_not_stay(rescue: Rescue) -> bool:
    """Whether nobody would bring the node of a held rescue back, or it is not out of service."""
    return not rescue.begun or rescue.reason == HoldReason.FABRIC_INCIDENT


async def merged(sources: Sequence[Source], intake: Intake, latest: datetime) -> AsyncIterator[Taken]:
    """What several sources deliver, always the oldest that is at hand next.

    What has no time keeps its place, and so does what is stamped after *latest*: its clock was wrong.
    """
    streams = [source.deliveries() for source in sources]
    heads: list[Taken | None] = [await _next(stream, intake) for stream in streams]
    while any(head is not None for head in heads):
        number = min(
            (number for number, head in enumerate(heads) if head is not None),
            key=lambda number: _stamp(heads[number], latest) or BEFORE_ALL_LOGS,
        )
        head = heads[number]
        assert head is not None
        yield head
        heads[number] = await _next(streams[number], intake)


async def _next(stream: AsyncIterator[Delivery], intake: Intake) -> Taken | None:
    delivery = await anext(stream, None)
    return None if delivery is None else (intake.lines(delivery), delivery)


def _stamp(taken: Taken | None, latest: datetime) -> datetime | None:
    times = (line.time for line in taken[0]) if taken else ()
    return next((time for time in times if time is not None and time <= latest), None)
