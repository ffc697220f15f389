"""Brings the journal to the sinks: a record of every entry, each safe before the store says so."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

import structlog

from pipeline.errors import NotFoundError
from pipeline.execute.patience import Patience
from pipeline.execute.records import records
from pipeline.execute.rush import Rush
from pipeline.execute.store import RescueStore, update
from pipeline.model.rescue import Rescue
from sinks.base import Record, Sink, SinkError

_log = structlog.get_logger()


def _nobody_watches(_: Sequence[Record]) -> None:
    """Where nobody looks on."""


class Recorder:
    """Writes records to a sink and keeps in the store how far each rescue's journal was written."""

    def __init__(
        self,
        sink: Sink,
        store: RescueStore,
        watch: Callable[[Sequence[Record]], None] = _nobody_watches,
        patience: Patience | None = None,
    ) -> None:
        """*watch* is shown every record once it is safe."""
        self._sink = sink
        self._store = store
        self._watch = watch
        self._patience = patience or Patience()
        self.rush = Rush()
        """Cordons on their way: how far records are written is saved when none is."""
        # Intake and executor may both be at one journal: whoever comes second finds it written.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def write(self, batch: Sequence[Record]) -> None:
        """Return when the records are safe, however long the sink is away."""
        await self._patience.insist("write records", lambda: self._sink.write(batch))
        self._watch(batch)

    async def write_journal(self, rescue: Rescue) -> None:
        """Make the journal of a rescue safe, then save how far it was written; wait for sink and store."""
        async with self._turn(rescue.name):
            current = self._store.get(rescue.name) or rescue
            if current.recorded < len(current.journal):
                await self.write(self._pending(current))
                await self.rush.over()
                await self._patience.insist("save how far records are written", lambda: self._mark(current))

    async def try_journal(self, rescue: Rescue) -> bool:
        """Do the same once, and return False if the sink is away: no step of a rescue waits for its record.

        Raises what the store raises when it is away.
        """
        turn = self._turn(rescue.name)
        if rescue.recorded == len(rescue.journal) or turn.locked():
            return True
        async with turn:
            batch = self._pending(rescue)
            try:
                await self._sink.write(batch)
            except SinkError as error:
                _log.warning("sink.away", rescue=rescue.name, error=str(error))
                return False
            self._watch(batch)
            await self._mark(rescue)
        return True

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    def _pending(self, rescue: Rescue) -> list[Record]:
        return records(rescue)[rescue.recorded :]

    async def _mark(self, written: Rescue) -> None:
        length = len(written.journal)
        try:
            await update(
                self._store, written.name, lambda now: now if now.recorded >= length else replace(now, recorded=length)
            )
        except NotFoundError:
            _log.warning("rescue.gone", rescue=written.name)
