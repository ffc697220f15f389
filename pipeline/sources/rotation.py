"""Where the content of a log file goes when it is rotated, and what comes after it.

Names as logrotate(8) gives them: `kern.log.1`, `kern.log-20260131`, `kern.1.log`; compressed ones are not read.
"""

import contextlib
import os
import re
from pathlib import Path

from pipeline.sources.logfile import LogFile, Mark

_NUMBER = r"[.-](\d[\d.T:_-]*)"


def find(path: Path, mark: Mark) -> LogFile | None:
    """Open the marked content at the mark, under whatever name it has now.

    That is the file itself; else one beside it with the same inode, which was renamed; else a copy, made before the
    file was truncated. None if it is gone, or if nothing had been written that could be found again.
    """
    if not mark.measured:
        return None
    beside = [Path(entry) for entry in _entries(path.parent) if entry.inode() == mark.inode]
    for candidate in (path, *beside):
        file = opened(candidate, mark.generation, mark.offset)
        if file is not None and file.inode == mark.inode and file.holds(mark):
            return file
        _close(file)
    return find_copy(path, mark)


def find_copy(path: Path, mark: Mark) -> LogFile | None:
    """Open a rotated copy of marked content at the mark, the newest of several; None if there is none."""
    for candidate in reversed(_rotated(path)):
        file = opened(candidate, mark.generation, mark.offset)
        if file is not None and file.holds(mark):
            return file
        _close(file)
    return None


def following(path: Path, file: LogFile) -> LogFile | None:
    """Open the oldest file with content that came after *file*, at its start; None while *file* is the newest.

    Where *file* is not among the rotated ones any more, those count that were written to after it.
    """
    names = [*_rotated(path), path]
    inodes = [_inode(name) for name in names]
    if file.inode in inodes:
        later = names[inodes.index(file.inode) + 1 :]
    else:
        later = [*_newer(names[:-1], file.modified_ns), path]
    return _first(later, file.generation + 1)


def newer_than(path: Path, mark: Mark) -> LogFile | None:
    """Open, at its start, the oldest file with content that was written to after the mark was made, at last *path*."""
    return _first([*_newer(_rotated(path), int(mark.seen * 1e9)), path], mark.generation + 1)


def opened(path: Path, generation: int = 0, offset: int = 0) -> LogFile | None:
    """Open a log file; None where there is none that can be read."""
    try:
        return LogFile(path, generation, offset)
    except (OSError, ValueError):
        return None


def _first(names: list[Path], generation: int) -> LogFile | None:
    for name in names:
        file = opened(name, generation)
        if file is not None and file.size:
            return file
        _close(file)
    return None


def _rotated(path: Path) -> list[Path]:
    """The rotated files of *path*, oldest first: by their last write; where that is one, by their number or date."""
    name = re.compile(f"{re.escape(path.name)}{_NUMBER}|{re.escape(path.stem)}{_NUMBER}{re.escape(path.suffix)}")
    found = []
    for entry in _entries(path.parent):
        match = name.fullmatch(entry.name)
        if match:
            number = match[1] or match[2]
            # Of `.1` and `.2` the smaller is the newer, of two dates the greater.
            order = -int(number) if number.isdecimal() and len(number) < 6 else 0
            with contextlib.suppress(OSError):
                found.append((entry.stat().st_mtime_ns, order, number, Path(entry)))
    return [entry for *_, entry in sorted(found)]


def _newer(names: list[Path], moment_ns: int) -> list[Path]:
    found = []
    for name in names:
        with contextlib.suppress(OSError):
            if name.stat().st_mtime_ns > moment_ns:
                found.append(name)
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _inode(name: Path) -> int | None:
    try:
        return name.stat().st_ino
    except OSError:
        return None


def _close(file: LogFile | None) -> None:
    if file is not None:
        file.close()
