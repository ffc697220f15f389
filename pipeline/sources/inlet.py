"""The other end of a source: where a drill's line is put in, so that the source delivers it like any other."""

import asyncio
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from pipeline.errors import NotFoundError, PermanentError

_AT_ONCE = 1_000


class Inlet(Protocol):
    """Takes messages for a source."""

    @property
    def place(self) -> str:
        """Where the messages go, for people."""
        ...

    async def inject(self, messages: Sequence[bytes], node: str | None = None) -> None:
        """Put the messages in, each by itself, and return when they are there; *node* is their key in a keyed stream.

        Raises PermanentError, TemporaryError, BadInputError or OSError when they cannot be; some of them may be there
        all the same.
        """
        ...


class FileInlet:
    """Appends lines to a log file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self._path)

    async def inject(self, messages: Sequence[bytes], node: str | None = None) -> None:
        """Append a line for each message. The file must be there: whose log it is makes it, with the right owner."""
        await asyncio.to_thread(self._append, messages)

    def _append(self, messages: Sequence[bytes]) -> None:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            raise NotFoundError(f"{self._path} is not there; it is for the log's own writer to make it") from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PermanentError(f"{self._path} is no file that could be appended to")
            if status.st_size and os.pread(descriptor, 1, status.st_size - 1) != b"\n":
                # A line that has not ended yet would be one with ours, and its text stand before the mark.
                os.write(descriptor, b"\n")
            for block in _blocks(messages):
                rest = memoryview(block)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)


class StreamInlet:
    """Writes lines to a stream: standard output, which a pipe leads to a source."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    @property
    def place(self) -> str:
        """What a stream is called."""
        return "standard output"

    async def inject(self, messages: Sequence[bytes], node: str | None = None) -> None:
        """Write a line for each message."""
        for block in _blocks(messages):
            self._stream.write(block)
        self._stream.flush()


def _blocks(messages: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines in blocks: one write of each keeps another writer's lines from coming between or inside."""
    for start in range(0, len(messages), _AT_ONCE):
        yield b"".join(message + b"\n" for message in messages[start : start + _AT_ONCE])
