"""How many nodes would have been out of service by our hand, when, and for how long."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.backtest.report import Peak, RescueTold


@dataclass(frozen=True, slots=True)
class Interval:
    """A time out of service."""

    begin: datetime
    end: datetime


def out_of_service(rescues: Iterable[RescueTold], until: datetime) -> dict[str, list[Interval]]:
    """Return by node when it would have been out of service: from a rescue's first step to its node's return.

    What nobody ends lasts until *until*. Times of several rescues that overlap or touch are one.
    """
    times: dict[str, list[Interval]] = defaultdict(list)
    for rescue in rescues:
        if rescue.out_from is not None:
            times[rescue.node].append(Interval(rescue.out_from, max(rescue.out_to or until, rescue.out_from)))
    return {node: _merged(sorted(each, key=lambda one: one.begin)) for node, each in sorted(times.items())}


def hours_of(intervals: Iterable[Interval]) -> float:
    """Return how many hours the intervals take."""
    return sum((one.end - one.begin for one in intervals), timedelta()) / timedelta(hours=1)


def curve(out: Mapping[str, Sequence[Interval]]) -> list[tuple[datetime, int]]:
    """Return at which moments the number of nodes out of service changes, and what it is from then on."""
    changes: dict[datetime, int] = defaultdict(int)
    for intervals in out.values():
        for one in intervals:
            changes[one.begin] += 1
            changes[one.end] -= 1
    found, count = [], 0
    for moment, change in sorted(changes.items()):
        if change:
            count += change
            found.append((moment, count))
    return found


def peak_of(out: Mapping[str, Sequence[Interval]]) -> Peak:
    """Return the most nodes that were out at a time, and when that was so first."""
    steps = curve(out)
    most = max((count for _, count in steps), default=0)
    if not most:
        return Peak(nodes=0, begin=None, end=None, names=())
    at = next(number for number, (_, count) in enumerate(steps) if count == most)
    begin, end = steps[at][0], steps[at + 1][0]
    names = [node for node, each in out.items() if any(one.begin <= begin < one.end for one in each)]
    return Peak(nodes=most, begin=begin, end=end, names=tuple(names))


def _merged(intervals: Sequence[Interval]) -> list[Interval]:
    found: list[Interval] = []
    for one in intervals:
        if found and one.begin <= found[-1].end:
            found[-1] = Interval(found[-1].begin, max(found[-1].end, one.end))
        else:
            found.append(one)
    return found
