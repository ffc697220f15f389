"""Changes that are due later. Nothing here waits: whoever looks at the cluster has the due ones made first."""

import heapq
from collections.abc import Callable
from datetime import datetime

Change = Callable[[datetime], None]
"""Makes a change; it is given the moment at which the change was due, which may be long before it is made."""


class Timeline:
    """Scheduled changes, in the order of their time, and at one time in the order of their scheduling."""

    def __init__(self) -> None:
        self._entries: list[tuple[datetime, int, str, Change]] = []
        self._scheduled = 0

    def schedule(self, moment: datetime, about: str, change: Change) -> None:
        """Have *change* made at *moment*; *about* names what it happens to, so that it can be cancelled."""
        self._scheduled += 1
        heapq.heappush(self._entries, (moment, self._scheduled, about, change))

    def cancel(self, about: str) -> None:
        """Drop every change that was scheduled for *about*."""
        self._entries = [entry for entry in self._entries if entry[2] != about]
        heapq.heapify(self._entries)

    def next(self) -> datetime | None:
        """Return when the next change is due; None when none is scheduled."""
        return self._entries[0][0] if self._entries else None

    def settle(self, now: datetime) -> None:
        """Make every change that is due, those included that follow from them by *now*."""
        while self._entries and self._entries[0][0] <= now:
            moment, _, _, change = heapq.heappop(self._entries)
            change(moment)
