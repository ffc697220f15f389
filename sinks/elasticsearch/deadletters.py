"""Records that the server's mapping refuses: set aside in a file, so that they stand in no other one's way."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from sinks.appender import Appender
from sinks.base import Record, SinkError
from sinks.elasticsearch.outcomes import Answer

T = TypeVar("T")

_log = structlog.get_logger()

_RETRY_AFTER = 10.0


def nobody_counts(_: int) -> None:
    """Where nobody asks how many records were refused."""


class DeadLetters:
    """A file of refused records, a JSON document per line: `error` holds the server's reason, `document` the record.

    It is not rotated: it is meant to be looked at, and moved away.
    """

    def __init__(self, path: Path, tell: Callable[[int], None] = nobody_counts) -> None:
        """*tell* is called with how many more there are."""
        self._path = path
        self._tell = tell
        self._appender = Appender(path, "always", rotate_bytes=sys.maxsize, keep=1)
        self._worker = ThreadPoolExecutor(1, "dead-letters")

    async def probe(self) -> None:
        """Raise SinkError if nothing could be set aside."""
        await self._work(self._appender.probe)

    async def put(self, refused: Sequence[tuple[Record, Answer]]) -> None:
        """Return when the records are on the disk, each once; raise SinkError if that fails."""
        for record, answer in refused:
            _log.error("record.refused", id=record.id, error=answer.told, file=str(self._path))
        letters = [_letter(record, answer) for record, answer in refused]
        self._tell(await self._work(lambda: self._appender.append(letters)))

    async def close(self) -> None:
        """Close the file."""
        await self._work(self._appender.close)

    async def _work(self, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, job)
        except OSError as error:
            text = f"refused records cannot be set aside in {self._path}: {error.strerror}"
            raise SinkError(text, _RETRY_AFTER) from error


def _letter(record: Record, answer: Answer) -> Record:
    stamp = record.document.get("@timestamp", record.time.isoformat())
    document = {
        "@timestamp": stamp,
        "event": {"id": record.id},
        "error": {"type": answer.kind, "message": answer.reason},
        "document": record.document,
    }
    return Record(record.id, record.time, document)
