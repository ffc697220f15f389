"""Folders of servers that run for a test: removed at the end, or by the next run when the process was killed."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.locks import locked


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """A new, empty folder with a short path (a socket's has 107 bytes at most), which other users may enter.

    It is locked while its process lives: what an earlier process left, because it was killed, is removed first.
    """
    base = _base()
    with locked(base / ".lock", 60, "making a folder"):
        _sweep(base)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))
        folder.chmod(0o755)
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(descriptor)


def barrier(path: Path) -> Path | None:
    """Return the outermost folder on the way into *path* that other users may not enter; None when they may."""
    ways = (folder for folder in (*reversed(path.parents), path) if folder.is_dir())
    return next((folder for folder in ways if not folder.stat().st_mode & stat.S_IXOTH), None)


def _base() -> Path:
    base = Path(tempfile.gettempdir()) / f"gpu-rescue-{os.geteuid()}"
    base.mkdir(mode=0o755, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.geteuid():
        raise PermissionError(f"{base} belongs to somebody else; set TMPDIR to a folder of your own")
    return base


def _sweep(base: Path) -> None:
    for folder in base.iterdir():
        if folder.is_dir() and not _in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _in_use(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
