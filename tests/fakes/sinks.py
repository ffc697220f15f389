"""Sinks that a test can look into, and that can be away."""

import asyncio
from collections.abc import Sequence

from sinks.base import Record, SinkError
from sinks.memory import MemorySink


class WatchedSink(MemorySink):
    """Keeps records in memory. An id means one document.

    `taken` is what it took, in that order, `records` the same with each record once. While it is away a write fails
    after the first `takes_before_it_fails` records.
    """

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.taken: list[Record] = []
        self.away = False
        self.takes_before_it_fails = 0
        self._told: dict[str, Record] = {}

    async def write(self, records: Sequence[Record]) -> None:
        """Keep the records; raise SinkError while the sink is away."""
        taken = records[: self.takes_before_it_fails] if self.away else records
        await super().write(taken)
        for record in taken:
            # A spool writes the very same object again: that it is known is told by its id alone.
            if record.id not in self._told:
                self.records.append(record)
            before = self._told.setdefault(record.id, record)
            assert (record.time, record.document) == (before.time, before.document), f"{record.id} was another one"
            self.taken.append(record)
        if self.away:
            raise SinkError("the sink is away", retry_after=1.0)


class Gate(WatchedSink):
    """A sink that answers nothing until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    async def write(self, records: Sequence[Record]) -> None:
        await self.opened.wait()
        await super().write(records)
