"""Log files: read to their end, or followed through every rotation."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2s
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.clock import Clock, WallClock
from pipeline.documents import Strict
from pipeline.durations import Duration
from pipeline.errors import BadInputError, Complaint
from pipeline.sources.age import Age
from pipeline.sources.lines import Line, LineCounts, Lines
from pipeline.sources.logfile import LogFile, Mark
from pipeline.sources.outstanding import Outstanding, Ticket
from pipeline.sources.port import Delivery, Wanted
from pipeline.sources.positions import PositionFile
from pipeline.sources.rotation import opened
from pipeline.sources.tail import Tail

_LOG_SUFFIXES = (".log", ".txt", ".json", ".jsonl", ".ndjson")


class FileSourceConfig(Strict):
    """One log file, a message per line."""

    type: Literal["file"] = "file"
    path: Path = Field(description="The log file. When it is followed it need not exist yet.")
    follow: bool = Field(
        False,
        description="Whether to go on at the end of the file and through its rotations, as tail -F does. Off, the file "
        "is read to its end, since that is what a log at hand is for.",
    )
    start: Literal["beginning", "end"] = Field(
        "beginning",
        description="Where to start without a saved position. At the beginning nothing is missed, and what is stale is "
        "recorded and skipped. Choose the end for a log whose lines carry no time: they count as of its last write.",
    )
    positions: Path | None = Field(
        None,
        description="File that keeps the position over a restart; one for each source. Without it reading starts as "
        "`start` says, every time.",
    )
    poll: Duration = Field(
        timedelta(seconds=1),
        gt=timedelta(0),
        description="How long to wait at the end of a followed file before looking again. A second costs a few system "
        "calls and is short beside any rescue.",
    )
    node: str | None = Field(None, min_length=1, description="Host name for messages that name none themselves.")
    node_from_file_name: bool = Field(
        False,
        description="Whether the file's name without .log is such a host name, for logs kept as NODE.log. Off, since "
        "most files are called kern.log or messages.",
    )

    @property
    def key(self) -> str | None:
        """The host name that the settings give to messages without one."""
        if self.node or not self.node_from_file_name:
            return self.node
        return self.path.stem if self.path.suffix in _LOG_SUFFIXES else self.path.name


class FileSource(LineCounts):
    """Reads the lines of a log file.

    `Delivery.position` is `NAME:OFFSET@DIGEST`; the digest covers the path, the line and how many files came before, so
    that equal lines of a file and of its successor differ. `Delivery.time` is given for a followed file only. It is the
    last moment at which the line was certainly not there yet, a poll ago as a rule: after hours away, a line without a
    time of its own counts as hours old, since nothing must act on a stale line. For what was there at the very first
    look it is the file's last write.
    """

    def __init__(
        self,
        settings: FileSourceConfig,
        wanted: Wanted,
        clock: Clock | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(Lines(wanted))
        self._settings = settings
        self._clock = clock or WallClock()
        self._pause = pause
        self._path, self._name = os.fsencode(settings.path), settings.path.name
        self._positions = (
            PositionFile(settings.positions, str(settings.path.absolute()), Mark, self._clock)
            if settings.positions
            else None
        )
        self._tail: Tail | None = None
        self._outstanding = Outstanding(Mark.before_anything(self._clock.now()))
        self._age = Age(None)
        self._seen = self._now()
        self._closed = False

    @property
    def live(self) -> bool:
        """Whether the file is followed."""
        return self._settings.follow

    async def reach(self) -> str:
        """Tell the file's size; raise BadInputError if it cannot be read."""
        _check(self._settings)
        file = opened(self._settings.path)
        if file is None:
            return f"{self._settings.path} does not exist yet"
        size = file.size
        file.close()
        return f"{self._settings.path}, {size} bytes"

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield the wanted lines; raise BadInputError if the file, or the one of its position, cannot be used."""
        tail = self._begin()
        while not self._closed:
            block = tail.read()
            if block is None and self.live:
                await self._idle(tail.file)
                continue
            if block and tail.file:
                start = tail.file.offset - len(block)
                self._seen = self._age.oldest(start, tail.file.size, tail.file.modified, self._now())
            # At the end of a file nothing more can end its last line: it is handed out as it stands.
            lines = self._lines.feed(block) if block else self._lines.end()
            for delivery in self._hand_out(tail.file, lines):
                yield delivery
            if block is None:
                return
            if not block:
                tail.turn()
                self._lines.restart(0)
                self._age.turn()
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Save the position and close the file."""
        if not self._closed:
            self._closed = True
            if self._positions:
                await self._positions.save(self._outstanding.safe)
            if self._tail:
                self._tail.close()

    def _begin(self) -> Tail:
        _check(self._settings)
        mark = self._positions.load() if self._positions else None
        self._age = Age(mark.seen if mark else None)
        mark = mark or _first_mark(self._settings, self._clock.now())
        self._seen = mark.seen
        if self._positions:
            self._positions.create(mark)
        self._tail = Tail(self._settings.path, mark)
        self._outstanding = Outstanding(mark)
        self._lines.restart(self._tail.file.offset if self._tail.file else 0)
        return self._tail

    def _hand_out(self, file: LogFile | None, lines: list[Line]) -> list[Delivery]:
        """Note every line of a block before the first one can be acknowledged: the position must pass none of them."""
        if file is None:
            return []
        tickets = [self._outstanding.hand_out(file.mark(line.start, self._seen)) for line in lines]
        self._outstanding.reached = file.mark(self._lines.offset, self._seen)
        time = datetime.fromtimestamp(self._seen, UTC) if self.live else None
        return [
            Delivery(
                payload=line.payload,
                position=self._position(file, line),
                ack=partial(self._acknowledge, ticket),
                time=time,
                key=self._settings.key,
            )
            for line, ticket in zip(lines, tickets, strict=True)
        ]

    def _position(self, file: LogFile, line: Line) -> str:
        what = b"\0".join((self._path, str(file.generation).encode(), line.payload))
        return f"{self._name}:{line.start}@{blake2s(what, digest_size=6).hexdigest()}"

    async def _acknowledge(self, ticket: Ticket[Mark]) -> None:
        self._outstanding.acknowledge(ticket)
        await self._save_when_due()

    async def _idle(self, file: LogFile | None) -> None:
        """All that was written has been read: what comes was written from now on."""
        now, reached = self._now(), self._outstanding.reached
        self._age.caught_up(now)
        self._outstanding.reached = file.mark(self._lines.offset, now) if file else replace(reached, seen=now)
        await self._save_when_due()
        await self._pause(self._settings.poll.total_seconds())

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _save_when_due(self) -> None:
        if self._positions:
            await self._positions.offer(self._outstanding.safe)


def _check(settings: FileSourceConfig) -> None:
    """Raise BadInputError unless the file can be read; one that is followed may not exist yet."""
    place = str(settings.path)
    try:
        LogFile(settings.path).close()
    except FileNotFoundError as error:
        if not settings.follow:
            raise BadInputError(
                Complaint(place, "does not exist", "name a log file, or follow it to wait for it")
            ) from error
    except OSError as error:
        raise BadInputError(Complaint(place, f"cannot be read: {error.strerror}")) from error
    except ValueError as error:
        remedy = "name one log file; what comes through a pipe is read from standard input"
        raise BadInputError(Complaint(place, str(error), remedy)) from error


def _first_mark(settings: FileSourceConfig, now: datetime) -> Mark:
    """Where reading starts without a saved position."""
    file = opened(settings.path)
    if file is None:
        return Mark.before_anything(now)
    try:
        if not file.read():
            return Mark.before_anything(now)
        return file.mark(file.size if settings.start == "end" else 0, file.modified)
    finally:
        file.close()
