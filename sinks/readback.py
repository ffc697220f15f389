"""Finds records in a file and in the rotated ones before it, and reads them back oldest first."""

import contextlib
import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sinks.appender import rotated_name
from sinks.base import Query, Record
from sinks.ndjson import decode, matches

Place = tuple[float, int, int]
"""Where a record stands: its time for sorting, the number of its file, its offset in bytes."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found: open files, and the places of the records in them, oldest first."""

    files: list[BinaryIO]
    places: list[Place]
    passed_over: int

    def records(self) -> Iterator[Record]:
        """Read the records, one at a time."""
        for _, number, offset in self.places:
            file = self.files[number]
            file.seek(offset)
            record = decode(file.readline())
            if record is not None:
                yield record

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()


def open_found(path: Path, query: Query) -> Found:
    """Look through a file and the rotated ones before it, as `open_files` does."""
    # The newest first: a file that another process rotates in this moment is then opened twice rather than never.
    return open_files(_newest_first(path), query)


def open_files(newest_first: Iterable[Path], query: Query) -> Found:
    """Look through the files for the records that match, each once; raise OSError for one that cannot be read.

    Only places are kept, since many records may match. A line that holds no whole record is passed over and counted: a
    crash, or a write that is still under way, may leave one.
    """
    files: list[BinaryIO] = []
    try:
        for name in newest_first:
            with contextlib.suppress(FileNotFoundError):
                files.insert(0, name.open("rb"))
        places, passed_over = _look_through(files, query)
    except BaseException:
        for file in files:
            file.close()
        raise
    return Found(files, sorted(places), passed_over)


def _look_through(files: list[BinaryIO], query: Query) -> tuple[list[Place], int]:
    places, passed_over, seen = [], 0, set[str]()
    for number, file in enumerate(files):
        offset = 0
        for line in file:
            record = decode(line)
            if record is None:
                passed_over += 1
            elif record.id not in seen:
                seen.add(record.id)
                if matches(query, record):
                    places.append((record.time.timestamp(), number, offset))
            offset += len(line)
    return places, passed_over


def _newest_first(path: Path) -> list[Path]:
    suffixes = [entry.name.removeprefix(f"{path.name}.") for entry in path.parent.glob(f"{glob.escape(path.name)}.*")]
    oldest = max((int(suffix) for suffix in suffixes if suffix.isdecimal() and len(suffix) < 4), default=0)
    return [path, *(rotated_name(path, number) for number in range(1, oldest + 2))]
