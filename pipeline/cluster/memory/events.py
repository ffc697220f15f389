"""The events about nodes, in memory."""

from collections.abc import Sequence

from pipeline.cluster.announcer import Announcement


class KeptEvents:
    """Keeps the newest series, as an API server does that forgets its events after an hour."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._kept: dict[str, Announcement] = {}

    def all(self) -> Sequence[Announcement]:
        """Return what is kept, the series that began first at first."""
        return tuple(self._kept.values())

    async def announce(self, told: Announcement) -> None:
        """Keep it, over what was told of its series before."""
        known = self._kept.get(told.series)
        self._kept[told.series] = told.over(known) if known is not None else told
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
