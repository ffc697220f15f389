"""Standard input: a message per line, to its end."""

import asyncio
import os
from collections.abc import AsyncIterator
from hashlib import blake2s
from typing import Literal

from pydantic import Field

from pipeline.documents import Strict
from pipeline.errors import BadInputError, Complaint
from pipeline.sources.lines import Line, LineCounts, Lines
from pipeline.sources.port import Delivery, Wanted
from pipeline.sources.readable import readable

_BLOCK = 256 * 1024


class StdinSourceConfig(Strict):
    """Standard input, a message per line."""

    type: Literal["stdin"] = "stdin"
    follow: bool = Field(
        False,
        description="Whether what comes is of now (`dmesg -w | ...`), by the wall clock. Off, the input is a log "
        "that is read to its end, on its own time.",
    )
    node: str | None = Field(None, min_length=1, description="Host name for messages that name none themselves.")


class StdinSource(LineCounts):
    """Reads lines from a file descriptor, as fast as they are taken and no faster.

    `Delivery.position` is `stdin:OFFSET@DIGEST` with a digest of the line: the same input piped in again counts as
    delivered again. There is nothing to go back to, so acknowledging does nothing.
    """

    def __init__(self, settings: StdinSourceConfig, wanted: Wanted, descriptor: int = 0) -> None:
        super().__init__(Lines(wanted))
        self._settings = settings
        self._descriptor = descriptor
        self._closed = False

    @property
    def live(self) -> bool:
        """Whether what comes is of now."""
        return self._settings.follow

    async def reach(self) -> str:
        """There is always one."""
        return "standard input"

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield the wanted lines; raise BadInputError if there is no standard input to read."""
        block = b"-"
        while block and not self._closed:
            block = await self._next_block()
            for line in self._lines.feed(block) if block else self._lines.end():
                yield self._delivery(line)
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop reading; the descriptor is the process's own and stays open."""
        self._closed = True

    async def _next_block(self) -> bytes:
        try:
            await readable(self._descriptor)
            return os.read(self._descriptor, _BLOCK)
        except BlockingIOError:
            # Another process that shares the descriptor was faster.
            return await self._next_block()
        except OSError as error:
            remedy = "pipe a kernel log in, or name a file"
            raise BadInputError(Complaint("standard input", f"cannot be read: {error.strerror}", remedy)) from error

    def _delivery(self, line: Line) -> Delivery:
        digest = blake2s(line.payload, digest_size=6).hexdigest()
        return Delivery(line.payload, f"stdin:{line.start}@{digest}", _nothing, key=self._settings.node)


async def _nothing() -> None:
    """Acknowledge."""
