"""Lines out of blocks of bytes: the wanted ones are picked, the rest is passed over without being split."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.sources.port import Wanted

LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of one line that are held in memory; a longer line is handed out in pieces of this size."""

_PIECE = 2048
"""Bytes that are tested at once: with one wanted line in a hundred, larger or smaller pieces cost more."""


class Line(NamedTuple):
    """A wanted line: where in the stream it starts (bytes), and its bytes without the end of the line."""

    start: int
    payload: bytes


class Lines:
    """Cuts a stream that arrives in blocks into lines and keeps the wanted ones.

    `offset` is where the first line stands that has not ended yet. `read` counts the lines that passed, `wanted` those
    that were handed out, `cut` the pieces of lines longer than *longest* bytes, each tested and handed out by itself.
    """

    def __init__(self, wanted: Wanted, offset: int = 0, longest: int = LONGEST_LINE) -> None:
        self.offset = offset
        self.read = self.wanted = self.cut = 0
        self._test = wanted
        self._longest = longest
        self._rest = b""

    def restart(self, offset: int) -> None:
        """Go on in another file at *offset*; what had not ended is forgotten."""
        self.offset, self._rest = offset, b""

    def feed(self, block: bytes) -> list[Line]:
        """Take the next block and return the wanted ones of the lines that end in it, in order."""
        data = self._rest + block
        whole = data.rfind(b"\n", len(self._rest)) + 1
        found = [Line(self.offset + at, _trimmed(line)) for at, line in _picked(data[:whole], self._test)]
        self.read += data.count(b"\n", 0, whole)
        while len(data) - whole > self._longest:
            piece = data[whole : whole + self._longest]
            found += [Line(self.offset + whole, piece)] if self._test(piece) else []
            whole += self._longest
            self.cut += 1
        return self._passed(found, data, whole)

    def end(self) -> list[Line]:
        """Return the last line, wanted and without an end of its own, if there is one: nothing will follow it."""
        self.read += bool(self._rest)
        found = [Line(self.offset, _trimmed(self._rest))] if self._rest and self._test(self._rest) else []
        return self._passed(found, self._rest, len(self._rest))

    def _passed(self, found: list[Line], data: bytes, count: int) -> list[Line]:
        self._rest = data[count:]
        self.offset += count
        self.wanted += len(found)
        return found


class LineCounts:
    """What a source of lines has counted."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    @property
    def read(self) -> int:
        """How many lines were read."""
        return self._lines.read

    @property
    def wanted(self) -> int:
        """How many lines, or pieces of overlong ones, passed the cheap test."""
        return self._lines.wanted

    @property
    def cut(self) -> int:
        """How many pieces were cut off lines longer than 4 MiB."""
        return self._lines.cut


def _picked(block: bytes, wanted: Wanted) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of the wanted lines of a block of whole lines.

    Pieces that hold nothing wanted are dropped whole, so that noise costs a search through it and nothing per line.
    """
    start = 0
    while start < len(block):
        # A line that is longer than a piece is a piece.
        end = block.rfind(b"\n", start, start + _PIECE) + 1 or block.find(b"\n", start) + 1
        piece = block[start:end]
        if wanted(piece):
            at = start
            for line in piece[:-1].split(b"\n"):
                if wanted(line):
                    yield at, line
                at += len(line) + 1
        start = end


def _trimmed(line: bytes) -> bytes:
    """Drop the end of the line, and the zeros before it that a writer leaves in a file truncated under its hands."""
    return line.rstrip(b"\r\n").lstrip(b"\0")
