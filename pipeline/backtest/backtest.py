"""The backtest: past logs through one set of policies, or through two at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.backtest.difference import difference
from pipeline.backtest.reading import Progress, Reading
from pipeline.backtest.report import LogTold, Report
from pipeline.backtest.trial import Trial
from pipeline.durations import format_duration
from pipeline.errors import BadInputError, Complaint
from pipeline.execute.replay import latest_stamp
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Drill, Fault, Sighting, UnknownDriverLine
from pipeline.model.line import LogLine

_LOOK_AHEAD = 10_000
"""Lines without a time that are kept back until the log has told its time."""

Found = tuple[LogLine, Fault | Sighting]


@dataclass(frozen=True, slots=True)
class Span:
    """The time of the faults that count; None is no bound. Both ends are part of it."""

    begin: datetime | None = None
    end: datetime | None = None

    def holds(self, moment: datetime | None) -> bool:
        """Whether a moment lies in it; one that nobody knows does only if there is no bound."""
        if moment is None:
            return self.begin is None and self.end is None
        return (self.begin is None or self.begin <= moment) and (self.end is None or moment <= self.end)


class Backtest:
    """Runs trials side by side, each line through all of them, and tells what came of it."""

    def __init__(self, reading: Reading, matcher: Matcher, span: Span, trials: Sequence[Trial]) -> None:
        """Run one trial, or the proposed policies' and that of the others, in this order."""
        self._reading = reading
        self._matcher = matcher
        self._span = span
        self._trials = trials
        self._faults = self._unknown = 0
        self._begun = False

    async def run(self) -> Report:
        """Read every log to its end, then bring every rescue to its own.

        Raises BadInputError if a log cannot be read, or if none of it lies between the bounds.
        """
        kept: list[Found] = []
        latest, at = latest_stamp(self._reading.present), None
        async for line in self._reading.lines():
            found = self._matcher.match(line)
            if found is None:
                continue
            if line.time is not None and line.time <= latest:
                at = line.time
            if isinstance(found, UnknownDriverLine):
                self._unknown += self._span.holds(at)
            elif not isinstance(found, Fault) or self._counts(found, at):
                await self._in_turn(kept, (line, found), at)
        await self._begin(kept, None)
        return self._report([await trial.finish() for trial in self._trials])

    def _counts(self, fault: Fault, at: datetime | None) -> bool:
        """Whether a fault is of the time asked for, and no drill: who held it knew what would come of it."""
        return self._span.holds(at) and fault.drill is not Drill.DRY

    async def _in_turn(self, kept: list[Found], read: Found, at: datetime | None) -> None:
        if self._begun:
            await self._take(*read)
            return
        kept.append(read)
        if (at is not None and isinstance(read[1], Fault)) or len(kept) == _LOOK_AHEAD:
            await self._begin(kept, at)

    async def _begin(self, kept: list[Found], first: datetime | None) -> None:
        """Set the clocks to the first time that is known, and go on with the lines that waited for it."""
        self._begun = True
        for trial in self._trials:
            trial.replay.begin(first)
        for read in kept:
            await self._take(*read)
        kept.clear()

    async def _take(self, line: LogLine, found: Fault | Sighting) -> None:
        self._faults += isinstance(found, Fault)
        for trial in self._trials:
            await trial.take(line, found)

    def _report(self, ends: Sequence[datetime | None]) -> Report:
        progress, span = self._reading.progress, self._span
        _demand_overlap(progress, span)
        begin = max((each for each in (span.begin, progress.first) if each is not None), default=None)
        end = min((each for each in (span.end, progress.last) if each is not None), default=None)
        until = max((each for each in (end, *ends) if each is not None), default=self._reading.present)
        outcomes = [trial.outcome(until) for trial in self._trials]
        told = LogTold(
            files=tuple(str(log.path) for log in self._reading.logs),
            bytes=progress.bytes_read,
            lines=progress.lines,
            faults=self._faults,
            unknown_driver_lines=self._unknown,
            problems=dict(sorted(progress.problems.items())),
            begin=begin,
            end=end,
            until=until,
        )
        assumed = tuple(_assumed(self._trials[0]))
        if len(outcomes) == 1:
            return Report(log=told, assumed=assumed, proposed=outcomes[0])
        proposed, against = outcomes
        changes = difference(proposed, against, (self._trials[0].ledger, self._trials[1].ledger))
        return Report(log=told, assumed=assumed, proposed=proposed, against=against, difference=changes)


def _demand_overlap(progress: Progress, span: Span) -> None:
    if span == Span():
        return
    first, last = progress.first, progress.last
    if first is None or last is None:
        raise BadInputError(Complaint("--from, --to", "no line of the log has a time", "leave both out"))
    if (span.end is not None and span.end < first) or (span.begin is not None and span.begin > last):
        told = f"the log runs from {first.isoformat()} to {last.isoformat()}"
        raise BadInputError(Complaint("--from, --to", "no line of the log is of this time", told))


def _assumed(trial: Trial) -> Iterator[str]:
    timings = trial.cluster.timings
    boot, ready, gpus = map(format_duration, (timings.boot, timings.ready, timings.gpus))
    yield (
        f"The cluster is simulated: {trial.nodes} nodes of the configuration; a host of the log that is none of them "
        "becomes a node with 8 GPUs, without labels and pods."
    )
    yield (
        f"A reboot takes {boot} to the kubelet's first word, {ready} more to Ready, {gpus} more to the GPUs; a pod "
        "that is evicted takes its grace period."
    )
    yield (
        "The log stays as it is: a fault that went on when it was written goes on after a reboot that would have ended "
        "it, and leads to the next rescue."
    )
    yield (
        "Nobody brings a node back by hand: one that is left cordoned, or is offline, counts as out of service until "
        "the end."
    )
    yield "Of several warm standbys the first by name is taken."
