"""What a sink promises, and the record it takes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened, as a document in Elastic Common Schema names.

    `id` equals the document's `event.id` and is a pure function of what happened: the same record written twice is one.
    `time` equals its `@timestamp`.
    """

    id: str
    time: datetime
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """Which records to read back; None means any. `since` is aware."""

    node: str | None = None
    since: datetime | None = None
    action: str | None = None


class SinkError(Exception):
    """The records are not safe. `retry_after` is in seconds; None: the sink cannot take them at all."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Sink(Protocol):
    """A place where rescue records are kept."""

    async def reach(self) -> str:
        """Return in a few words what answers; raise SinkError, which says why nothing does."""
        ...

    async def write(self, records: Sequence[Record]) -> None:
        """Return when every record is safe, else raise SinkError. Writing a record again changes nothing."""
        ...

    def read(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match, oldest first, each once."""
        ...

    async def close(self) -> None:
        """Make safe what was taken and let go of the destination."""
        ...
