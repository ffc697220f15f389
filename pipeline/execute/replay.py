"""Simulated time: intake and execution are moved from line to line, and to whatever is due between two of them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from pipeline.clock import ManualClock
from pipeline.execute.intake import Intake
from pipeline.execute.rehearsal import Execution
from pipeline.execute.store import RescueStore
from pipeline.model.line import LogLine
from pipeline.model.rescue import Rescue

_HORIZON = timedelta(days=1)
_AHEAD = timedelta(minutes=10)

BEFORE_ALL_LOGS = datetime(1970, 1, 1, tzinfo=UTC)
"""Where the clock of a replay stands until the log has told its time."""

Pause = Callable[[timedelta], Awaitable[None]]
"""Called with each jump of simulated time before it is made, so that people can watch."""


class Replay:
    """Moves one clock, and lets one intake and one executor do what is to be done at each moment."""

    def __init__(
        self,
        intake: Intake,
        executor: Execution,
        store: RescueStore,
        clock: ManualClock,
        pause: Pause,
        present: datetime,
    ) -> None:
        """No line is of later than *present*; one that says so was stamped by a wrong clock, and moves none."""
        self._intake = intake
        self._executor = executor
        self._store = store
        self._clock = clock
        self._pause = pause
        self._present = present
        self._generation = store.generation
        self._due: datetime | None = None

    def begin(self, first: datetime | None) -> None:
        """Set the clock to the first stamp of the log, once; without any the log is of the present."""
        if self._clock.now() == BEFORE_ALL_LOGS:
            self._clock.move_to(min(first or self._present, self._present))

    async def take(self, line: LogLine) -> None:
        """Go on to the moment of a line, then do all that follows from it at once."""
        if line.time is not None:
            await self._reach(line.time)
        await self._intake.handle(line)
        await self._work()

    async def finish(self) -> Sequence[Rescue]:
        """Go on until no open rescue can go further, for a day at the most; return those that are still open."""
        await self._intake.flush()
        horizon = self._clock.now() + _HORIZON
        while (due := await self._work()) is not None and due <= horizon:
            await self._jump(due)
        return self._store.open()

    async def _work(self) -> datetime | None:
        """Have the executor look if something is due or has changed since; return when the next is due.

        In between nobody asks it: a storm goes on line by line while rescues are held.
        """
        due = self._due is not None and self._due <= self._clock.now()
        if due or self._store.generation != self._generation:
            self._due = await self._executor.tick()
            self._generation = self._store.generation
        return self._due

    async def _reach(self, moment: datetime) -> None:
        if moment > latest_stamp(self._present):
            # A clock was wrong. Were ours to follow it, every line after it would look stale.
            return
        while (due := await self._work()) is not None and due <= moment:
            await self._jump(due)
        if due is not None:
            await self._jump(moment)
        self._clock.move_to(moment)

    async def _jump(self, moment: datetime) -> None:
        now = self._clock.now()
        if moment > now:
            await self._pause(moment - now)
            self._clock.move_to(moment)


def latest_stamp(present: datetime) -> datetime:
    """Return the latest time that a line read at *present* can carry: clocks of machines differ a little."""
    return present + _AHEAD
