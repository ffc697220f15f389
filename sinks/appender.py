"""Appends records to a file, each once and whole."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import structlog

from sinks.base import Record, SinkError
from sinks.ndjson import decode, encode

_log = structlog.get_logger()

_REMEMBERED = 10_000
_LOOKED_BACK = 1024 * 1024


class Appender:
    """Writes records as lines, rotates the file by size, and mends what a crash left.

    The ids of the last 10,000 records are remembered, also over a restart as far as they stand in the last MiB of the
    file and of the rotated one before it: a record written again within that is not written twice. Calls raise OSError,
    or SinkError in words of their own.
    """

    def __init__(self, path: Path, fsync: Literal["always", "close", "never"], rotate_bytes: int, keep: int) -> None:
        self._path = path
        self._fsync = fsync
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self._descriptor = -1
        self._recent: dict[str, None] = {}

    def probe(self) -> None:
        """Raise OSError, or SinkError, if nothing could be appended; leave no trace."""
        place = self._path if self._path.exists() else self._path.parent
        if not place.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
        if self._path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
        if self._path.exists() and not self._path.is_file():
            raise _not_regular(self._path)
        if not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))

    def append(self, records: Sequence[Record]) -> int:
        """Return how many were new when all are in the file, and on the disk if every write is to be; else none is."""
        self._open()
        new: dict[str, bytes] = {}
        for record in records:
            if record.id not in self._recent and record.id not in new:
                new[record.id] = encode(record) + b"\n"
        block = b"".join(new.values())
        size = os.fstat(self._descriptor).st_size
        if block and size and size + len(block) > self._rotate_bytes:
            self._rotate()
        if block:
            self._write(block)
            self._remember(new)
        return len(new)

    def close(self) -> None:
        """Force the file to the disk, unless never, and close it."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                if self._fsync != "never":
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _write(self, block: bytes) -> None:
        size = os.fstat(self._descriptor).st_size
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            if self._fsync == "always":
                os.fsync(self._descriptor)
        except OSError:
            # Half a block is taken back. Where that fails too, the next write opens the file again and mends its end.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size)
            os.close(self._descriptor)
            self._descriptor = -1
            raise

    def _open(self) -> None:
        """Open the file unless it is open and still has its name: what is written to a deleted file is lost."""
        if self._descriptor >= 0 and _same(self._path, self._descriptor):
            return
        self.close()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self._path, flags, 0o644)
        try:
            _check_regular(self._path, descriptor)
            _mend(descriptor)
            if self._fsync == "always":
                # What a killed process has written counts as written, so that it must be on the disk, as must the name.
                os.fsync(descriptor)
                sync_folder(self._path.parent)
            self._recent.clear()
            for name in (rotated_name(self._path, 1), self._path):
                self._remember(_last_ids(name))
        except (OSError, SinkError):
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _rotate(self) -> None:
        """Move each file on by one number; where that is refused, the file grows on, since records come first."""
        self.close()
        try:
            for number in range(self._keep - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    rotated_name(self._path, number).replace(rotated_name(self._path, number + 1))
            self._path.replace(rotated_name(self._path, 1))
        except OSError as error:
            _log.warning("records.not-rotated", path=str(self._path), error=error.strerror)
        self._open()

    def _remember(self, ids: Iterable[str]) -> None:
        self._recent.update(dict.fromkeys(ids))
        while len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe: that of a new, renamed or removed file is not until this was done."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rotated_name(path: Path, number: int) -> Path:
    """Return the name of the rotated file of that number; 1 is the newest."""
    return path.with_name(f"{path.name}.{number}")


def _check_regular(path: Path, descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise _not_regular(path)


def _not_regular(path: Path) -> SinkError:
    return SinkError(f"records cannot be written to {path}: it is not a regular file")


def _mend(descriptor: int) -> None:
    """End the last line, if a crash left it torn, so that the next record begins a new one."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")


def _same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _last_ids(path: Path) -> list[str]:
    """The ids of the records in the last MiB of a file, oldest first; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _LOOKED_BACK, 0))
            return [record.id for line in file if (record := decode(line))]
    except OSError:
        return []
