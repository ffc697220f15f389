"""Reading a live source: what it delivers is decided and saved at once, and given back when that is recorded."""

import asyncio
from collections.abc import Sequence

from pipeline.clock import Clock
from pipeline.execute.consequences import Recording, in_turn
from pipeline.execute.intake import Intake
from pipeline.sources.port import Delivery, Source

MOST_IN_HAND = 1_000
"""How many deliveries of a source may wait for their records: beyond that, an outage of the sinks stops the reading."""

_InHand = tuple[Delivery, asyncio.Task[None] | None]
"""A delivery, and what decides on it and makes its records safe; None where nothing follows from it."""


class Reading:
    """Reads one source to its end; what is read and not yet recorded is in hand.

    So no fault waits for what is saved of another node's, nor grows too old to be acted on while an earlier one waits
    for its record. Records of a node are written in the order of the stream, and none waits for the answer to an
    earlier one, so that a sink can take them together. Deliveries are acknowledged in the order of the stream.
    """

    def __init__(self, source: Source, intake: Intake, clock: Clock) -> None:
        self._source = source
        self._intake = intake
        self._clock = clock
        self._first: _InHand | None = None
        self._others: asyncio.Queue[_InHand] = asyncio.Queue(MOST_IN_HAND)
        self._recording: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Return when the stream has ended and all of it is acknowledged."""
        async with asyncio.TaskGroup() as tasks:
            giving_back = tasks.create_task(self._give_back())
            async for delivery in self._source.deliveries():
                read = self._clock.now()
                taken = [self._intake.take(line, read) for line in self._intake.lines(delivery)]
                await self._others.put((delivery, self._begin([each for each in taken if each is not None])))
            await self._others.join()
            giving_back.cancel()

    async def settle(self) -> None:
        """Record and acknowledge what is in hand, after the reading was broken off."""
        try:
            while self._first is not None or not self._others.empty():
                await self._give_back_first()
        finally:
            self._break_off()

    def _begin(self, taken: Sequence[asyncio.Task[Recording]]) -> asyncio.Task[None] | None:
        if not taken:
            return None
        task = asyncio.create_task(_recorded(taken))
        self._recording.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._recording.discard(task)
        if not task.cancelled():
            # Whoever gives its delivery back raises it; if an earlier one has failed as well, nobody does.
            task.exception()

    async def _give_back(self) -> None:
        try:
            while True:
                await self._give_back_first()
        except Exception:
            # A defect has stopped it: what is in hand comes again next time.
            self._first, self._others = None, asyncio.Queue()
            self._break_off()
            raise

    async def _give_back_first(self) -> None:
        """It stays in hand until it is acknowledged: if this is broken off, `settle` goes on with it."""
        if self._first is None:
            self._first = await self._others.get()
        delivery, recording = self._first
        if recording is not None:
            await asyncio.shield(recording)
        await delivery.ack()
        self._first = None
        self._others.task_done()

    def _break_off(self) -> None:
        for task in self._recording:
            task.cancel()


async def _recorded(taken: Sequence[asyncio.Task[Recording]]) -> None:
    await in_turn(await asyncio.gather(*taken))
