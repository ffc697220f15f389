"""The file in which a source keeps its position over a restart."""

import asyncio
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from pipeline.clock import Clock
from pipeline.documents import Strict
from pipeline.errors import BadInputError, Complaint

P = TypeVar("P")

MOVED_EVERY = timedelta(seconds=1)
UNMOVED_EVERY = timedelta(seconds=30)

_log = structlog.get_logger()


class _Content(Strict):
    stream: str
    position: dict[str, Any]


class PositionFile(Generic[P]):
    """Keeps one position of one stream as JSON: `{"stream": NAME, "position": {...}}`.

    It is replaced as a whole and synced, so that a crash leaves the old one or the new one. To spare the disk a
    position that has moved is saved at most every second, one that compares equal every half minute: what was
    acknowledged since is delivered again after a crash, under the same `Delivery.position`.
    """

    def __init__(self, path: Path, stream: str, kind: type[P], clock: Clock) -> None:
        self._path = path
        self._stream = stream
        self._kind = TypeAdapter(kind)
        self._clock = clock
        # One thread alone: saves happen in order, also when whoever waited for one was cancelled.
        self._writer = ThreadPoolExecutor(1, "position")
        self._saved: P | None = None
        self._tried = datetime.min.replace(tzinfo=UTC)

    def load(self) -> P | None:
        """Return the saved position, None if there is none.

        Raises BadInputError if the file cannot be read, is none of ours, or keeps the position of another stream.
        """
        try:
            content = _Content.model_validate_json(self._path.read_bytes())
            position = self._kind.validate_python(content.position)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._bad(f"the position cannot be read: {error.strerror}", "name a file that can be read") from error
        except ValidationError as error:
            remedy = "remove the file to read the stream as if for the first time"
            raise self._bad("is not a saved position", remedy) from error
        if content.stream != self._stream:
            problem = f"holds the position of {content.stream}, not of {self._stream}"
            raise self._bad(problem, "give each source a position file of its own")
        return position

    def create(self, position: P) -> None:
        """Save the first position; raise BadInputError if the file cannot be written at all."""
        try:
            self._write(position)
        except OSError as error:
            remedy = "name a file in a folder that exists and can be written to"
            raise self._bad(f"the position cannot be saved: {error.strerror}", remedy) from error

    async def offer(self, position: P) -> None:
        """Save the position if the last save is long enough ago."""
        every = UNMOVED_EVERY if position == self._saved else MOVED_EVERY
        if self._clock.now() - self._tried >= every:
            await self.save(position)

    async def save(self, position: P) -> None:
        """Save the position now. A failure is told and no more: all it costs is that messages are delivered again."""
        self._tried = self._clock.now()
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._write, position)
        except OSError as error:
            _log.warning("position.unsaved", file=str(self._path), error=error.strerror)

    def _write(self, position: P) -> None:
        content = _Content(stream=self._stream, position=self._kind.dump_python(position))
        draft = self._path.with_name(f".{self._path.name}.new")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(content.model_dump_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        _sync_folder(self._path.parent)
        self._saved = position

    def _bad(self, problem: str, remedy: str) -> BadInputError:
        return BadInputError(Complaint(str(self._path), problem, remedy))


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder safe: a renamed file is not until its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
