"""One process at a time: two test runs may start at once on one machine."""

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL = 0.2


@contextmanager
def locked(path: Path, limit: float, what: str) -> Iterator[None]:
    """Hold the lock file *path*, which a process that dies lets go of; *what* names what a waiting one waits for.

    Raises TimeoutError when another process has held it for *limit* seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if not _taken(file.fileno()):
            print(f"waiting for another process that is {what}", file=sys.stderr, flush=True)
            until = time.monotonic() + limit
            while not _taken(file.fileno()):
                if time.monotonic() > until:
                    raise TimeoutError(f"{path} is held since {limit:.0f} s by another process that is {what}")
                time.sleep(POLL)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
