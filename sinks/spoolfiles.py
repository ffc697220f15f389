"""A queue of records on the disk: numbered files in a folder, written at one end and removed at the other."""

import errno
import fcntl
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field

from sinks.appender import Appender, sync_folder
from sinks.base import Query, Record, SinkError
from sinks.ndjson import decode
from sinks.readback import Found, open_files

_log = structlog.get_logger()

_NAME = re.compile(r"[0-9]{12}\.ndjson")
_FILES = 16
_HEAD_BYTES = 1_000_000
_RETRY_AFTER = 5.0


class SpoolConfig(BaseModel):
    """Records kept on the disk while their destination is away."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(
        description="A folder, made if it is not there, of this process alone, on a disk that outlives it."
    )
    max_bytes: int = Field(
        256 * 1024 * 1024,
        ge=64 * 1024,
        description="Size in bytes, about 100,000 records, beyond which it takes no more: lines wait where they come "
        "from. The disk needs room for one write more.",
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much was taken and is not delivered."""

    records: int = 0
    bytes: int = 0


class SpoolFiles:
    """The files of a spool; one thread at a time calls. Calls raise OSError, or SinkError in words of their own.

    What was appended is on the disk. A file goes when all in it is delivered: what a crash has delivered again is no
    more than a sixteenth of the spool. A file with a damaged line is not removed but renamed to damaged.N. `waiting`
    may be read by any thread.
    """

    def __init__(self, config: SpoolConfig) -> None:
        self.waiting = Waiting()
        self._folder = config.path
        self._most = config.max_bytes
        self._lock = -1
        self._numbers: list[int] = []
        self._appender: Appender | None = None
        self._head: list[Record] = []
        self._offset = self._end_of_head = 0
        self._damaged = False
        self._lines = 0

    def probe(self) -> int:
        """Return how many bytes are in the folder, whoever has it; raise OSError if it could not be written to."""
        place = next(place for place in (self._folder, *self._folder.absolute().parents) if place.exists())
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
        if not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        return sum(file.stat().st_size for file in map(self._file, _numbers(self._folder)))

    def open(self) -> None:
        """Take the folder for this process, with what an earlier one left; raise SinkError where another has it."""
        if self._lock >= 0:
            return
        _make(self._folder)
        lock = self._taken()
        try:
            numbers = _numbers(self._folder)
            lines = sum(_lines(self._file(number)) for number in numbers)
        except OSError:
            os.close(lock)
            raise
        self._lock, self._numbers, self._lines = lock, numbers, lines
        self._offset, self._head, self._damaged = 0, [], False
        self._count()

    def append(self, records: Sequence[Record]) -> None:
        """Return when the records are on the disk; raise, with none of them taken, when there is no room."""
        if self.waiting.bytes and sum(map(self._size, self._numbers)) >= self._most:
            raise SinkError(f"the spool {self._folder} is full", _RETRY_AFTER)
        if self._appender is None or self._size(self._numbers[-1]) * _FILES >= self._most:
            self._appender = self._next_file()
        try:
            self._lines += self._appender.append(records)
        finally:
            self._count()

    def head(self, most: int) -> list[Record]:
        """Return the oldest records, no more than *most* or about a megabyte: the same ones until delivered."""
        while not self._head and self._numbers:
            try:
                self._head, self._end_of_head = self._read(most)
            except FileNotFoundError as error:
                # Somebody has removed it: those that follow must not wait for it.
                _log.error("spool.file-gone", file=error.filename)
            if not self._head:
                self._remove_first()
        self._count()
        return self._head

    def delivered(self) -> None:
        """Forget what `head` returned."""
        self._lines -= len(self._head)
        self._head, self._offset = [], self._end_of_head
        self._remove_delivered()
        self._count()

    def find(self, query: Query) -> Found:
        """Look through what is in the folder, whoever has it."""
        return open_files(map(self._file, reversed(_numbers(self._folder))), query)

    def close(self) -> None:
        """Let go of the folder, also where that raises."""
        try:
            self._remove_delivered()
            if self._appender is not None:
                self._appender.close()
        finally:
            self._appender, self._numbers = None, []
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def _taken(self) -> int:
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise SinkError(f"the spool {self._folder} belongs to another process", _RETRY_AFTER) from error
        except OSError:
            os.close(lock)
            raise
        return lock

    def _next_file(self) -> Appender:
        if self._appender is not None:
            self._appender.close()
        self._numbers.append(self._numbers[-1] + 1 if self._numbers else 1)
        return Appender(self._file(self._numbers[-1]), "always", rotate_bytes=sys.maxsize, keep=1)

    def _read(self, most: int) -> tuple[list[Record], int]:
        """Read on in the first file."""
        records: list[Record] = []
        with self._file(self._numbers[0]).open("rb") as file:
            file.seek(self._offset)
            end = self._offset + _HEAD_BYTES
            while len(records) < most and file.tell() < end and (line := file.readline()):
                record = decode(line)
                if record is not None:
                    records.append(record)
                elif not line.endswith(b"\n"):
                    # A crash left it torn: nobody was told that it is safe.
                    _log.warning("spool.torn-line", file=file.name, bytes=len(line))
                elif line.strip():
                    self._damaged = True
                    _log.error("spool.damaged-line", file=file.name, bytes=len(line), effect="kept as damaged.N")
            return records, file.tell()

    def _remove_delivered(self) -> None:
        while self._numbers and self._offset >= self._size(self._numbers[0]):
            self._remove_first()

    def _remove_first(self) -> None:
        """Remove the first file. Where that raises, it is still the first, and all in it is still delivered."""
        if len(self._numbers) == 1 and self._appender is not None:
            self._appender.close()
            self._appender = None
        with suppress(FileNotFoundError):
            file = self._file(self._numbers[0])
            if self._damaged:
                file.rename(_free_name(self._folder))
            else:
                file.unlink()
            sync_folder(self._folder)
        del self._numbers[0]
        self._offset, self._damaged = 0, False

    def _count(self) -> None:
        sizes = [self._size(number) for number in self._numbers]
        rest = sum(sizes) - (min(self._offset, sizes[0]) if sizes else 0)
        self._lines = max(self._lines, 0) if rest else 0
        self.waiting = Waiting(self._lines, rest)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:012}.ndjson"

    def _size(self, number: int) -> int:
        try:
            return self._file(number).stat().st_size
        except FileNotFoundError:
            return 0


def _numbers(folder: Path) -> list[int]:
    return sorted(int(file.stem) for file in folder.glob("*.ndjson") if _NAME.fullmatch(file.name))


def _lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(line.endswith(b"\n") for line in lines)


def _make(folder: Path) -> None:
    """Make the folder and what is missing above it; a new folder is not safe until its name is on the disk."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def _free_name(folder: Path) -> Path:
    names = (folder / f"damaged.{number}" for number in count(1))
    return next(name for name in names if not name.exists())
