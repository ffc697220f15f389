"""What takes broken nodes out of service goes before all that is told of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

LONGEST = timedelta(seconds=5)
"""How long the rest waits at the most: a storm that never ends, or one call that hangs, keeps nothing back for long."""


class Rush:
    """Counts the cordons that are on their way, from the line that asks for one to the node that has it.

    When hundreds of nodes fail at once, an API server that saved of each what was done, what is recorded and what comes
    next would come to the last cordon many times later. Nothing is lost by it: what waits has its intent saved.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._over = asyncio.Event()
        self._over.set()

    @contextmanager
    def hurrying(self) -> Iterator[None]:
        """One more is on its way."""
        self._under_way += 1
        self._over.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._over.set()

    async def over(self) -> None:
        """Return when none is on its way, or after LONGEST; at once, where none is."""
        if self._under_way:
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST.total_seconds()):
                    await self._over.wait()
