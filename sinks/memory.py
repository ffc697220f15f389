"""Records in memory: the twin of the sinks that keep them."""

from collections.abc import AsyncIterator, Sequence

import orjson

from sinks.base import Query, Record
from sinks.ndjson import encode, matches


class MemorySink:
    """Keeps records as long as the process lives; each has gone through JSON, as on its way to any other sink."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    async def reach(self) -> str:
        """Tell how many records there are."""
        return f"memory, {len(self._records)} records"

    async def write(self, records: Sequence[Record]) -> None:
        """Keep the records; raise SinkError, and keep none, if one of them is no JSON document."""
        kept = [Record(record.id, record.time, orjson.loads(encode(record))) for record in records]
        for record in kept:
            self._records.setdefault(record.id, record)

    async def read(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match, oldest first."""
        for record in sorted(self._records.values(), key=lambda record: record.time):
            if matches(query, record):
                yield record

    async def close(self) -> None:
        """Nothing is to be made safe."""
