"""The sink: records into a data stream and back."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from sinks.base import Query, Record
from sinks.elasticsearch.batches import Batches
from sinks.elasticsearch.bulk import Bulk
from sinks.elasticsearch.config import ElasticsearchSinkConfig
from sinks.elasticsearch.connection import Connection
from sinks.elasticsearch.deadletters import DeadLetters, nobody_counts
from sinks.elasticsearch.install import install
from sinks.elasticsearch.operations import operation
from sinks.elasticsearch.reaching import reach
from sinks.elasticsearch.reading import read


class ElasticsearchSink:
    """Keeps records in a data stream, each under its id, so that a second write of it changes nothing.

    That holds within one index behind the stream: written again after a rollover, which takes a crash just before it,
    a record is there twice, and read once.
    """

    def __init__(self, config: ElasticsearchSinkConfig, tell: Callable[[int], None] = nobody_counts) -> None:
        """*tell* is called with how many more records were refused and set aside."""
        self._config = config
        self._connection = Connection(config)
        self._letters = DeadLetters(config.dead_letters, tell)
        bulk = Bulk(self._connection, config.data_stream, self._letters, config.retry_seconds)
        self._batches = Batches(bulk.send, config.batch_records, config.batch_bytes, config.batch_seconds)

    async def reach(self) -> str:
        """Tell version and data stream; raise SinkError, which says what is missing."""
        await self._letters.probe()
        return await reach(self._connection, self._config.data_stream)

    async def write(self, records: Sequence[Record]) -> None:
        """Return when every record is in the stream, or among the dead letters if the mapping refuses it.

        Raises SinkError otherwise. Writes that come at the same time share requests.
        """
        await self._batches.put([operation(record) for record in records])

    def read(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match, oldest first; raise SinkError if they cannot be read."""
        return read(self._connection, self._config.data_stream, query)

    def install(self, folder: Path) -> AsyncIterator[str]:
        """Put in place what the stream needs, from the files in *folder*; tell what was done. Raises SinkError."""
        return install(self._connection, self._config.data_stream, folder)

    async def close(self) -> None:
        """Send what is under way, for no longer than one request may take, and end the connections."""
        await self._batches.flush(self._config.timeout_seconds)
        try:
            await self._letters.close()
        finally:
            await self._connection.close()
