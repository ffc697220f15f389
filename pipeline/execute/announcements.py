"""Brings events to the nodes they are about, behind everything else."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from pipeline.cluster.announcer import Announcement, Announcer
from pipeline.errors import BadInputError, PermanentError, TemporaryError
from pipeline.execute.announce import Language, announced
from pipeline.telemetry import EVENTS
from sinks.base import Record

_log = structlog.get_logger()

_TRIES = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class Announcements:
    """Takes records once they are safe, and tells of them at the nodes; whoever shows them never waits for it.

    What waits is one event for each series, however often it is told meanwhile, and *most* of them: when no more can
    wait, what is new is dropped and counted. An event that the cluster does not take within eight tries, about two
    minutes, is lost; the records have it all.
    """

    def __init__(self, announcer: Announcer, language: Language, most: int = 4096, behind: float = 1.0) -> None:
        """*behind* is how many seconds an event stays back, so that a burst of cordons goes before its events."""
        self._announcer = announcer
        self._language = language
        self._most = most
        self._behind = behind
        self._waiting: dict[str, Announcement] = {}
        self._closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._trouble = ""

    def show(self, batch: Sequence[Record]) -> None:
        """Take the events that records are worth."""
        for record in batch:
            told = announced(record, self._language)
            if told is not None:
                self._take(told)
        if self._waiting and not self._closing.is_set() and (self._writer is None or self._writer.done()):
            self._writer = asyncio.get_running_loop().create_task(self._write_all())

    async def close(self, limit: float = 5.0) -> None:
        """Write what waits, each once and no longer than *limit* seconds; what is left then is dropped."""
        self._closing.set()
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=limit)
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        self._lost("dropped", len(self._waiting))
        self._waiting.clear()

    def _take(self, told: Announcement) -> None:
        known = self._waiting.get(told.series)
        if known is None and (len(self._waiting) >= self._most or self._closing.is_set()):
            self._lost("dropped", 1)
        else:
            self._waiting[told.series] = told.over(known) if known is not None else told

    async def _write_all(self) -> None:
        await self._pause(self._behind)
        while self._waiting:
            await self._write(self._waiting.pop(next(iter(self._waiting))))

    async def _write(self, told: Announcement) -> None:
        pause = _FIRST_PAUSE
        for _ in range(_TRIES):
            try:
                await self._announcer.announce(told)
            except TemporaryError as error:
                self._tell(error)
                if self._closing.is_set():
                    break
                await self._pause(max(pause, error.delay.total_seconds() if error.delay else 0.0))
                pause = min(pause * 2, _LONGEST_PAUSE)
            except (PermanentError, BadInputError) as error:
                self._tell(error)
                break
            except asyncio.CancelledError:
                self._lost("dropped", 1)
                raise
            else:
                self._trouble = ""
                EVENTS.labels("written").inc()
                return
        self._lost("failed", 1)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    def _tell(self, error: Exception) -> None:
        """Tell of a trouble once, as long as it lasts."""
        if self._trouble != str(error):
            self._trouble = str(error)
            _log.warning("events.not_written", error=self._trouble, waiting=len(self._waiting))

    def _lost(self, outcome: str, number: int) -> None:
        EVENTS.labels(outcome).inc(number)
