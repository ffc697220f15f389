"""Waiting for what servers do in their own time."""

import asyncio
from collections.abc import Awaitable, Callable

LIMIT = 30.0
POLL = 0.05


async def until(true: Callable[[], Awaitable[bool]], limit: float = LIMIT) -> None:
    """Return when *true* answers True; raise TimeoutError when it has not after *limit* seconds."""
    async with asyncio.timeout(limit):
        while True:
            if await true():
                return
            await asyncio.sleep(POLL)
