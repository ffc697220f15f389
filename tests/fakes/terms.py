"""A leadership that tests give and take, and the calls of a step that hang until tests answer them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from pipeline.execute.actions.port import Done, Outcome
from pipeline.model.plan import Action
from pipeline.model.rescue import Rescue, StepState


class Terms:
    """Leads when it is told to, until it is told that it does no more."""

    def __init__(self) -> None:
        self._led = asyncio.Event()
        self._lost = asyncio.Event()

    @property
    def leading(self) -> bool:
        return self._led.is_set()

    def win(self) -> None:
        """From now on this process leads."""
        self._lost.clear()
        self._led.set()

    def lose(self) -> None:
        """From now on another one may."""
        self._led.clear()
        self._lost.set()

    async def lead(self, body: Callable[[], Awaitable[None]]) -> None:
        """As a lease does: the body is cancelled once, when it is over or when this is cancelled itself."""
        while True:
            await self._led.wait()
            work = asyncio.ensure_future(body())
            lost = asyncio.create_task(self._lost.wait())
            try:
                await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                by_itself = work.done()
                for task in (work, lost):
                    task.cancel()
                await asyncio.wait({work, lost})
            if by_itself:
                return work.result()


class Answering:
    """A step whose calls come back when they are answered; `begun` and `broken_off` count them."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()
        self.begun = 0
        self.broken_off = 0

    async def run(self, action: Action, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        self.begun += 1
        try:
            await self.answered.wait()
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        return Done("done")


async def eventually(holds: Callable[[], bool], limit: float = 10.0) -> None:
    """Return when the condition holds; TimeoutError after *limit* seconds."""
    async with asyncio.timeout(limit):
        while True:
            if holds():
                return
            await asyncio.sleep(0.005)
