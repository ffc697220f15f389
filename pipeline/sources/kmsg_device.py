"""The device /dev/kmsg: what a source needs of it, and the device itself."""

import os
import stat
from pathlib import Path
from typing import Protocol

from pipeline.errors import BadInputError, Complaint
from pipeline.sources.readable import readable

_LONGEST_RECORD = 16 * 1024


class Device(Protocol):
    """What the source needs of /dev/kmsg."""

    def read(self) -> bytes:
        """Return the next record; raise BlockingIOError if there is none yet, BrokenPipeError if it was overwritten."""
        ...

    async def ready(self) -> None:
        """Return when a read will not raise BlockingIOError."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


class Kmsg:
    """The device itself; opening it raises BadInputError, with what would help."""

    def __init__(self, path: Path, from_end: bool) -> None:
        remedy = "it takes root or CAP_SYSLOG on this machine; elsewhere, read a log file"
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise BadInputError(Complaint(str(path), f"cannot be opened: {error.strerror}", remedy)) from error
        if not stat.S_ISCHR(os.fstat(self._descriptor).st_mode):
            self.close()
            raise BadInputError(Complaint(str(path), "is not the kernel's log device", "use a source of type file"))
        os.lseek(self._descriptor, 0, os.SEEK_END if from_end else os.SEEK_SET)

    def read(self) -> bytes:
        """Return the next record."""
        return os.read(self._descriptor, _LONGEST_RECORD)

    async def ready(self) -> None:
        """Return when there is a record, or when one was overwritten."""
        await readable(self._descriptor)

    def close(self) -> None:
        """Close the device."""
        os.close(self._descriptor)
