"""One open log file, and what is remembered of it so that it is found again after any rotation."""

import os
import stat
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2s
from pathlib import Path

_BLOCK = 256 * 1024
_HEAD = 1024


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a log file.

    The file is known by its inode and by `head`, a digest of its first `measured` bytes; not by its device, whose
    number may change with a reboot. `offset` is in bytes. `generation` counts the files that the stream has gone
    through. `seen` is a moment, in seconds of the epoch, after which all that follows was written.
    """

    inode: int
    head: str
    measured: int
    offset: int
    generation: int
    seen: float = field(compare=False)

    @classmethod
    def before_anything(cls, now: datetime) -> "Mark":
        """Return the mark of a stream of which nothing has been written yet."""
        return cls(inode=0, head=_digest(b""), measured=0, offset=0, generation=-1, seen=now.timestamp())


class LogFile:
    """A regular file that is read from an offset on, through one handle, whatever becomes of its name.

    Raises OSError where the file cannot be opened, ValueError where it is not a regular file.
    """

    def __init__(self, path: Path, generation: int = 0, offset: int = 0) -> None:
        # A pipe would block here until somebody writes to it; on a regular file the flag has no effect.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self.path = path
        self.generation = generation
        self.offset = offset
        status = os.fstat(self._descriptor)
        self.inode = status.st_ino
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise ValueError("is a folder" if stat.S_ISDIR(status.st_mode) else "is not a regular file")
        self._head = os.pread(self._descriptor, min(_HEAD, offset), 0)
        self._digest = _digest(self._head)

    def read(self) -> bytes:
        """Return the next block of at most 256 KiB; empty at the end, as far as the file has been written."""
        block = os.pread(self._descriptor, _BLOCK, self.offset)
        self.offset += len(block)
        if block and len(self._head) < _HEAD:
            self._head += block[: _HEAD - len(self._head)]
            self._digest = _digest(self._head)
        return block

    @property
    def size(self) -> int:
        """How many bytes the file holds now."""
        return os.fstat(self._descriptor).st_size

    @property
    def modified(self) -> float:
        """When the file was last written to, in seconds of the epoch."""
        return os.fstat(self._descriptor).st_mtime

    @property
    def modified_ns(self) -> int:
        """When the file was last written to, in nanoseconds of the epoch, as the file system keeps it."""
        return os.fstat(self._descriptor).st_mtime_ns

    def begun_anew(self) -> bool:
        """Tell whether the file was truncated since it was read: it is shorter, or begins with other bytes."""
        return self.size < self.offset or os.pread(self._descriptor, len(self._head), 0) != self._head

    def holds(self, mark: Mark) -> bool:
        """Tell whether the content that was marked is in this file, whatever its name and inode are."""
        if self.size < max(mark.offset, mark.measured):
            return False
        return _digest(os.pread(self._descriptor, mark.measured, 0)) == mark.head

    def mark(self, offset: int, seen: float) -> Mark:
        """Return the mark of a place in what was read."""
        return Mark(self.inode, self._digest, len(self._head), offset, self.generation, seen)

    def close(self) -> None:
        """Close the handle; twice is once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _digest(head: bytes) -> str:
    return blake2s(head, digest_size=16).hexdigest()
