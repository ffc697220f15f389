"""Brings the journal to the sinks: a record of every entry, each safe before the store says so."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from pipeline.execute.records import records
from pipeline.execute.store import RescueStore, update
from pipeline.model.rescue import Rescue
from sinks.base import Record, Sink, SinkError

_log = structlog.get_logger()
_LONGEST_PAUSE = 60.0


def _nobody_watches(_: Sequence[Record]) -> None:
    """Where nobody looks on."""


class Recorder:
    """Writes records to a sink and keeps in the store how far each rescue's journal was written."""

    def __init__(
        self,
        sink: Sink,
        store: RescueStore,
        dry_run: bool,
        watch: Callable[[Sequence[Record]], None] = _nobody_watches,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """*watch* is shown every record once it is safe."""
        self._sink = sink
        self._store = store
        self._dry_run = dry_run
        self._watch = watch
        self._pause = pause

    async def write(self, batch: Sequence[Record]) -> None:
        """Return when the records are safe, however long that takes; raise SinkError if the sink can't take them."""
        pause = 1.0
        while True:
            try:
                await self._sink.write(batch)
            except SinkError as error:
                if error.retry_after is None:
                    raise
                _log.warning("sink.away", error=str(error), retry_after=error.retry_after)
                await self._pause(max(error.retry_after, pause))
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return self._watch(batch)

    async def write_journal(self, rescue: Rescue) -> None:
        """Make the journal of a rescue safe, then save how far it was written; wait for the sink as `write` does."""
        if rescue.recorded < len(rescue.journal):
            await self.write(records(rescue, self._dry_run)[rescue.recorded :])
            await self._mark(rescue)

    async def try_journal(self, rescue: Rescue) -> bool:
        """Do the same once, and return False if the sink is away: no step of a rescue waits for its record."""
        if rescue.recorded < len(rescue.journal):
            batch = records(rescue, self._dry_run)[rescue.recorded :]
            try:
                await self._sink.write(batch)
            except SinkError as error:
                _log.warning("sink.away", rescue=rescue.name, error=str(error))
                return False
            self._watch(batch)
            await self._mark(rescue)
        return True

    async def _mark(self, written: Rescue) -> None:
        length = len(written.journal)
        await update(
            self._store, written.name, lambda now: now if now.recorded >= length else replace(now, recorded=length)
        )
