"""Reading: what past logs tell of GPUs, oldest first, read and recognised once for all trials."""

import asyncio
import heapq
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from pipeline.backtest.blocks import blocks
from pipeline.backtest.logs import PastLog
from pipeline.decode.envelopes import Decoder
from pipeline.execute.replay import BEFORE_ALL_LOGS, latest_stamp
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Fault, Sighting
from pipeline.model.line import LogLine
from pipeline.sources.lines import Lines
from pipeline.sources.port import Wanted

_LOOKED_AT = 20
"""Lines at either end of a file in which its first or last time is looked for."""

_END = 64 * 1024
"""Bytes that are the end of a file, however small its last block is."""


@dataclass(slots=True)
class Progress:
    """How far the reading is: bytes as they are on disk, lines, and the time of the last line that was handed out.

    `first` and `last` are the earliest and the latest time at either end of a file. `problems` counts the messages that
    were not whole or not clean.
    """

    bytes_total: int
    bytes_read: int = 0
    lines: int = 0
    at: datetime | None = None
    first: datetime | None = None
    last: datetime | None = None
    problems: Counter[str] = field(default_factory=Counter)


Told = Callable[[Progress], None]
"""Called again and again while the logs are read, to say how far."""


class MatchedOnce(Matcher):
    """A matcher that several ask about the same line, one after the other: it looks at it once."""

    _line: LogLine | None = None
    _found: Fault | Sighting | None = None

    def match(self, line: LogLine) -> Fault | Sighting | None:
        """Return what the line reports."""
        if line is not self._line:
            self._found = super().match(line)
            self._line = line
        return self._found


@dataclass(frozen=True, slots=True)
class _Head:
    """The next line of one file; without a time of its own it keeps its place behind the one before it."""

    line: LogLine
    time: datetime


@dataclass(slots=True)
class Reading:
    """Reads files side by side, always the oldest line that is at hand next: rotated files are in order by that alone.

    Of lines of one moment, and of those without any time, the files' order decides. `told` is called after each block.
    """

    logs: Sequence[PastLog]
    decoder: Decoder
    wanted: Wanted
    present: datetime
    told: Told
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress(sum(log.size for log in self.logs))

    async def lines(self) -> AsyncIterator[LogLine]:
        """Yield the lines that may report something; raise BadInputError if a file cannot be read to its end."""
        streams = [self._heads(log) for log in self.logs]
        waiting = []
        for number, stream in enumerate(streams):
            head = await anext(stream, None)
            if head is not None:
                waiting.append((head.time, number, head))
        heapq.heapify(waiting)
        while waiting:
            _, number, head = waiting[0]
            self.progress.at = head.line.time or self.progress.at
            yield head.line
            following = await anext(streams[number], None)
            if following is None:
                heapq.heappop(waiting)
            else:
                heapq.heapreplace(waiting, (following.time, number, following))

    async def _heads(self, log: PastLog) -> AsyncIterator[_Head]:
        time, latest = BEFORE_ALL_LOGS, latest_stamp(self.present)
        async for line in self._wanted_lines(log):
            if line.time is not None and line.time <= latest:
                time = line.time
            yield _Head(line, time)

    async def _wanted_lines(self, log: PastLog) -> AsyncIterator[LogLine]:
        lines, end, counted = Lines(self.wanted), b"", 0
        for read, block in blocks(log):
            if lines.offset == 0:
                self._note_time(block.splitlines()[:_LOOKED_AT])
            end = (end + block)[-_END:]
            found = lines.feed(block)
            self.progress.bytes_read += read
            self.progress.lines += lines.read - counted
            counted = lines.read
            for line in found:
                for each in self._decoded(log, line.start, line.payload):
                    yield each
            self.told(self.progress)
            # Only here can Ctrl-C come through: hours of noise hold nothing else to wait for.
            await asyncio.sleep(0)
        self._note_time(list(islice(reversed(end.splitlines()), _LOOKED_AT)))
        for line in lines.end():
            for each in self._decoded(log, line.start, line.payload):
                yield each
        self.progress.lines += lines.read - counted

    def _decoded(self, log: PastLog, start: int, payload: bytes) -> Sequence[LogLine]:
        read = self.decoder.decode(payload, f"{log.path}:{start}", received=self.present, key=log.host)
        for problem in read.problems:
            self.progress.problems[problem] += 1
        return read.lines

    def _note_time(self, payloads: Sequence[bytes]) -> None:
        """Take the first time that can be read from these lines as one at which the log was written."""
        for payload in payloads:
            for line in self.decoder.decode(payload, "", received=self.present).lines:
                if line.time is not None and line.time <= latest_stamp(self.present):
                    self.progress.first = min(self.progress.first or line.time, line.time)
                    self.progress.last = max(self.progress.last or line.time, line.time)
                    return
