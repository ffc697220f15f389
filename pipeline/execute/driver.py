"""Runs intake and execution together: by the wall clock over live streams, by the log's own time over one that ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from pipeline.clock import Clock, ManualClock
from pipeline.execute.executor import Executor
from pipeline.execute.intake import Intake
from pipeline.execute.policies import PolicyBook
from pipeline.execute.reload import Reload
from pipeline.execute.store import RescueStore
from pipeline.model.line import LogLine
from pipeline.sources.port import Delivery, Source

_LONGEST_IDLE = timedelta(seconds=5)
_LOOK_AHEAD = 10_000
_HORIZON = timedelta(days=1)

BEFORE_ALL_LOGS = datetime(1970, 1, 1, tzinfo=UTC)
"""Where the clock of a replay stands until the log has told its time."""

Pause = Callable[[timedelta], Awaitable[None]]
"""Called with each jump of simulated time before it is made, so that people can watch."""

Taken = tuple[tuple[LogLine, ...], Delivery]


class Live:
    """The wall clock: streams are read side by side while the executor works; ends when it is cancelled."""

    def __init__(
        self,
        sources: Sequence[Source],
        intake: Intake,
        executor: Executor,
        store: RescueStore,
        policies: PolicyBook,
        clock: Clock,
        reloads: Sequence[Reload] = (),
    ) -> None:
        self._reloads = reloads
        self._sources = sources
        self._intake = intake
        self._executor = executor
        self._store = store
        self._policies = policies
        self._clock = clock

    async def run(self) -> None:
        """Read and execute until cancelled; the counts that have grown are recorded on the way out."""
        self._intake.restore()
        try:
            async with asyncio.TaskGroup() as tasks:
                for source in self._sources:
                    tasks.create_task(self._read(source))
                for reload in self._reloads:
                    tasks.create_task(reload.run())
                tasks.create_task(self._execute())
        finally:
            await self._intake.flush()

    async def _read(self, source: Source) -> None:
        async for delivery in source.deliveries():
            for line in self._intake.lines(delivery):
                await self._intake.handle(line)
            await delivery.ack()

    async def _execute(self) -> None:
        while True:
            # Asked for before the tick, so that a rescue saved during the tick is not slept over.
            changed = asyncio.ensure_future(self._store.changed())
            await self._policies.report()
            due = await self._executor.tick()
            await self._intake.sweep()
            idle = min(due - self._clock.now(), _LONGEST_IDLE) if due else _LONGEST_IDLE
            await asyncio.wait({changed}, timeout=max(idle.total_seconds(), 0))
            changed.cancel()


class Replay:
    """The log's own time: the clock jumps from one line to the next, and to whatever is due between the two."""

    def __init__(
        self,
        sources: Sequence[Source],
        intake: Intake,
        executor: Executor,
        store: RescueStore,
        policies: PolicyBook,
        clock: ManualClock,
        pause: Pause,
        otherwise: datetime,
    ) -> None:
        """Run *sources* one after the other; a log without any time is taken to be of the moment *otherwise*."""
        self._sources = sources
        self._intake = intake
        self._executor = executor
        self._store = store
        self._policies = policies
        self._clock = clock
        self._pause = pause
        self._otherwise = otherwise

    async def run(self) -> None:
        """Read every source to its end, then go on until no open rescue can go further."""
        await self._policies.report()
        async for lines, delivery in self._from_the_first_stamp():
            for line in lines:
                if line.time is not None:
                    await self._reach(line.time)
                await self._intake.handle(line)
                await self._work()
            await delivery.ack()
        await self._intake.flush()
        await self._finish()

    async def _from_the_first_stamp(self) -> AsyncIterator[Taken]:
        """All that the sources deliver, once the clock stands at the first stamp of the log.

        Lines before it that have no time of their own are kept back until then: the log's time is not known yet.
        """
        kept: list[Taken] = []
        begun = False
        async for taken in self._taken():
            kept.append(taken)
            first = next((line.time for line in taken[0] if line.time is not None), None)
            if begun or first is not None or len(kept) == _LOOK_AHEAD:
                self._begin(first)
                begun = True
                for item in kept:
                    yield item
                kept.clear()
        self._begin(None)
        for item in kept:
            yield item

    def _begin(self, first: datetime | None) -> None:
        if self._clock.now() == BEFORE_ALL_LOGS:
            self._clock.move_to(first or self._otherwise)

    async def _taken(self) -> AsyncIterator[Taken]:
        for source in self._sources:
            async for delivery in source.deliveries():
                yield self._intake.lines(delivery), delivery

    async def _work(self) -> datetime | None:
        due = min((rescue.due for rescue in self._store.open()), default=None)
        return await self._executor.tick() if due is not None and due <= self._clock.now() else due

    async def _reach(self, moment: datetime) -> None:
        while (due := await self._work()) is not None and due <= moment:
            await self._jump(due)
        if due is not None:
            await self._jump(moment)
        self._clock.move_to(moment)

    async def _finish(self) -> None:
        horizon = self._clock.now() + _HORIZON
        while (due := await self._work()) is not None and due <= horizon:
            await self._jump(due)

    async def _jump(self, moment: datetime) -> None:
        now = self._clock.now()
        if moment > now:
            await self._pause(moment - now)
            self._clock.move_to(moment)
