"""The right to the file of a store: one process has it at a time, from before it looks into the file until it ends."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from pipeline.errors import BadInputError, Complaint

_FIND_A_FOLDER = "name a file in a folder that exists and can be written to"
_POLL = 0.02


class InUseError(BadInputError):
    """Another process has the file open."""

    def __init__(self, path: Path) -> None:
        remedy = "stop that one, or give each pipeline a store of its own"
        super().__init__(Complaint(str(path), "is in use by another process", remedy))


class StoreLock:
    """Holds the lock that `flock` sets, which the kernel lifts when the process dies.

    SQLite's own locks, which are of another kind, let two processes that open a file at once both look at it and then
    both give up. Closing this one drops SQLite's as well: it is the last thing to be closed.
    """

    def __init__(self, path: Path, patience: float) -> None:
        """Open the file, made if there is none, and lock it; *patience*, in seconds, is how long to wait for another.

        Raises BadInputError for a file that cannot be opened, InUseError for one that another process has.
        """
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unusable(path, error) from error
        try:
            self._wait(time.monotonic() + patience)
        except BaseException:
            self.close()
            raise

    @property
    def there(self) -> bool:
        """Whether the file still has its name: what is written to a file that was removed is lost."""
        with suppress(OSError):
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        return False

    def close(self) -> None:
        """Let another process have the file."""
        os.close(self._descriptor)

    def _wait(self, until: float) -> None:
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise InUseError(self._path) from None
            except OSError as error:
                raise unusable(self._path, error) from error
            else:
                return
            time.sleep(_POLL)


def not_yet(path: Path) -> str:
    """Tell that there is no such file yet; raise BadInputError if none can be made there."""
    folder = path.absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        problem = "cannot be made in its folder" if folder.is_dir() else "cannot be made: its folder does not exist"
        raise BadInputError(Complaint(str(path), problem, _FIND_A_FOLDER))
    return f"{path} does not exist yet"


def unusable(path: Path, error: OSError) -> BadInputError:
    """Return the error for a file that the system refuses, in its own words."""
    return BadInputError(Complaint(str(path), f"cannot be used: {error.strerror}", _FIND_A_FOLDER))
