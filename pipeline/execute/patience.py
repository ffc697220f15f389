"""Calls that are made again until they succeed: no line is given back before what follows from it is safe."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from pipeline.errors import TemporaryError
from sinks.base import SinkError

T = TypeVar("T")

_log = structlog.get_logger()
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


class Patience:
    """Waits out a store or a sink that is away, and says so each time; of many that wait for the same, one speaks."""

    def __init__(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._pause = pause
        self._told: set[str] = set()

    async def insist(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Return what *call* returns, however often it has to be made; *what* it does is for the log.

        Only TemporaryError and SinkError are waited out. A sink that says that only a person can help is asked again
        every minute: the person may be at it, and records that are not written are lost.
        """
        doubling, speaks = _FIRST_PAUSE, False
        try:
            while True:
                try:
                    return await call()
                except TemporaryError as error:
                    delay, told = error.delay.total_seconds() if error.delay else 0.0, str(error)
                except SinkError as error:
                    delay, told = _LONGEST_PAUSE if error.retry_after is None else error.retry_after, str(error)
                pause = max(delay, doubling)
                speaks = speaks or what not in self._told
                if speaks:
                    self._told.add(what)
                    _log.warning("waiting", what=what, error=told, seconds=pause)
                await self._pause(pause)
                doubling = min(doubling * 2, _LONGEST_PAUSE)
        finally:
            if speaks:
                self._told.discard(what)
