"""Sinks that a test can look into, and that can be away."""

import asyncio
from collections.abc import Sequence

from sinks.base import Record, SinkError
from sinks.memory import MemorySink


class WatchedSink(MemorySink):
    """Keeps records in memory; `records` is what was written, in that order, each once. An id means one document."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.away = False
        self._told: dict[str, Record] = {}

    async def write(self, records: Sequence[Record]) -> None:
        """Keep the records, unless the sink is away."""
        if self.away:
            raise SinkError("the sink is away", retry_after=1.0)
        await super().write(records)
        for record in records:
            if record.id not in self._told:
                self._told[record.id] = record
                self.records.append(record)
            before = self._told[record.id]
            assert (record.time, record.document) == (before.time, before.document), f"{record.id} was another one"


class Gate(WatchedSink):
    """A sink that answers nothing until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    async def write(self, records: Sequence[Record]) -> None:
        await self.opened.wait()
        await super().write(records)
