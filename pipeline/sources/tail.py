"""A log file and the files that come after it, read as one stream of blocks."""

from pathlib import Path

import structlog

from pipeline.sources.logfile import LogFile, Mark
from pipeline.sources.rotation import find, find_copy, following, newer_than, opened

_log = structlog.get_logger()


class Tail:
    """Reads a log file through every kind of rotation.

    A renamed file is read to its end through its open handle, and not left before the next one has content: until then
    its writer may still write to it. Of a file truncated under its writer the rest is read from the rotated copy, if
    there is one. `file` is the file that is being read, None until there is one.
    """

    def __init__(self, path: Path, mark: Mark) -> None:
        self.file = find(path, mark)
        self._path = path
        self._mark = mark
        self._next: LogFile | None = None
        if mark.measured and self.file is None:
            _log.warning("log.gap", path=str(path), offset=mark.offset, reason="what was not read yet is gone")

    def read(self) -> bytes | None:
        """Return the next block; empty at the end of a file that another one follows; None if that is all for now."""
        if self.file is None:
            self.file = newer_than(self._path, self._mark)
            if self.file is None:
                return None
        if self._next is None and self.file.begun_anew() and not self._follow_copy(self.file):
            self._next = opened(self._path, self.file.generation + 1)
            return None if self._next is None else b""
        block = self.file.read()
        if block or self._next is not None:
            return block
        self._next = following(self._path, self.file)
        # Read once more: the writer may have added to the old file before it went on to the next one.
        return None if self._next is None else self.file.read()

    def turn(self) -> None:
        """Go on to the file that follows, after `read` told that the one before has ended."""
        if self.file is not None:
            self.file.close()
        self.file, self._next = self._next, None

    def close(self) -> None:
        """Close what is open."""
        for file in (self.file, self._next):
            if file is not None:
                file.close()

    def _follow_copy(self, truncated: LogFile) -> bool:
        copy = find_copy(self._path, truncated.mark(truncated.offset, 0))
        _log.info("log.truncated", path=str(self._path), offset=truncated.offset, copied=copy is not None)
        if copy is not None:
            truncated.close()
            self.file = copy
        return copy is not None
