"""What has happened since the events were last looked at."""

import asyncio
from collections.abc import Sequence

from pipeline.sources.events.lines import NodeEventSeen


class Arrivals:
    """What has happened and was not read yet: of each event what was seen of it first, and what was seen last.

    So it holds no more than twice what the cluster does, however long nobody reads. What opened an event is kept
    because it names the incident, for every replica alike.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, bool], NodeEventSeen] = {}
        self._there = asyncio.Event()

    def put(self, event: NodeEventSeen, *, first: bool) -> None:
        """Add what has happened; *first* is whether nothing was seen of the event before."""
        self._waiting[event.uid, first] = event
        self.wake()

    def take(self) -> NodeEventSeen | None:
        """Return what came first, None when all is read."""
        if not self._waiting:
            self._there.clear()
            return None
        return self._waiting.pop(next(iter(self._waiting)))

    def wake(self) -> None:
        """Have whoever waits look again."""
        self._there.set()

    async def wait(self) -> None:
        """Return when something is there."""
        await self._there.wait()


class Followed:
    """Tells what has happened since it was last looked at; the counts of what the cluster holds tell it."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._counts: dict[str, int] = {}

    def listed(self, found: Sequence[NodeEventSeen]) -> None:
        """Take what is new or has grown, and forget what is gone."""
        there = {event.uid for event in found}
        self._counts = {uid: count for uid, count in self._counts.items() if uid in there}
        for event in sorted(found, key=lambda event: event.time):
            self.changed(event)

    def changed(self, found: NodeEventSeen) -> None:
        """Take it if it has happened again."""
        known = self._counts.get(found.uid, 0)
        if found.count > known:
            self._counts[found.uid] = found.count
            self._arrivals.put(found, first=not known)

    def deleted(self, found: NodeEventSeen) -> None:
        """Forget it; that the server does has no meaning."""
        self._counts.pop(found.uid, None)
