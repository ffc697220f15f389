"""The store's twin in memory: for the embedded run, dry runs and tests, with the same compare-and-set."""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from pipeline.errors import ConflictError, NotFoundError
from pipeline.execute.occurrences_memory import OccurrenceIndex
from pipeline.model.occurrence import Gpu, Occurrence
from pipeline.model.rescue import Rescue

_KEPT_ENDED = 10_000


class MemoryStore:
    """Keeps every open rescue, of the ended ones the newest 10,000, and the newest 50,000 occurrences."""

    def __init__(self) -> None:
        self._rescues: dict[str, Rescue] = {}
        self._by_node: dict[str, Sequence[Rescue]] = {}
        self._open: dict[str, None] = {}
        self._unrecorded: dict[str, None] = {}
        self._ended: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._generation = 0
        self._occurrences = OccurrenceIndex()

    @property
    def generation(self) -> int:
        """How many creates and saves there were."""
        return self._generation

    def get(self, name: str) -> Rescue | None:
        """Return the rescue of that name, if there is one."""
        return self._rescues.get(name)

    async def fetch(self, name: str) -> Rescue | None:
        """Return the same as `get`: nothing lags here."""
        return self._rescues.get(name)

    def all(self) -> Sequence[Rescue]:
        """Return every rescue that is kept, oldest first."""
        return self._oldest_first(self._rescues)

    def open(self) -> Sequence[Rescue]:
        """Return the rescues that have not ended, oldest first."""
        return self._oldest_first(self._open)

    def unfinished(self) -> Sequence[Rescue]:
        """Return the rescues that are open, or whose records are not all safe yet, oldest first."""
        return self._oldest_first({**self._open, **self._unrecorded})

    def on_node(self, node: str) -> Sequence[Rescue]:
        """Return the rescues of one node, oldest first."""
        return self._by_node.get(node, ())

    def ended_since(self, moment: datetime) -> Sequence[Rescue]:
        """Return the rescues that have ended at *moment* or later, oldest first."""
        lately: list[str] = []
        for name in reversed(self._ended):
            ended = self._rescues[name].ended
            if ended is None or ended < moment:
                break
            lately.append(name)
        return self._oldest_first(lately)

    async def create(self, rescue: Rescue) -> Rescue:
        """Save a new rescue, or return the one that has its name."""
        return self._rescues.get(rescue.name) or self._put(rescue)

    async def save(self, rescue: Rescue) -> Rescue:
        """Replace the rescue if nobody else has since it was read."""
        stored = self._rescues.get(rescue.name)
        if stored is None:
            raise NotFoundError(f"rescue {rescue.name} is gone")
        if stored.revision != rescue.revision:
            raise ConflictError(f"rescue {rescue.name} is at revision {stored.revision}, not {rescue.revision}")
        return self._put(rescue)

    async def changed(self) -> None:
        """Return after the next create or save."""
        await self._changed.wait()

    def occurrence(self, name: str) -> Occurrence | None:
        """Return the occurrence that was noted by that name, if it is remembered."""
        return self._occurrences.get(name)

    def occurrences(self, gpu: Gpu) -> Sequence[Occurrence]:
        """Return what was noted of every GPU that shares board serial, UUID or place with this one."""
        return self._occurrences.of(gpu)

    async def note(self, occurrence: Occurrence) -> None:
        """Remember an occurrence; one of its name spans the time of both from then on."""
        self._occurrences.put(occurrence)

    def _oldest_first(self, names: Iterable[str]) -> list[Rescue]:
        return sorted((self._rescues[name] for name in names), key=_age)

    def _put(self, rescue: Rescue) -> Rescue:
        saved = replace(rescue, revision=rescue.revision + 1)
        self._rescues[saved.name] = saved
        self._by_node[saved.node] = _with(self.on_node(saved.node), saved)
        if saved.status.ended:
            self._open.pop(saved.name, None)
            self._ended.setdefault(saved.name)
            if len(self._ended) > _KEPT_ENDED:
                self._forget_oldest()
        else:
            self._open[saved.name] = None
        if saved.recorded < len(saved.journal):
            self._unrecorded[saved.name] = None
        else:
            self._unrecorded.pop(saved.name, None)
        self._generation += 1
        self._changed.set()
        self._changed = asyncio.Event()
        return saved

    def _forget_oldest(self) -> None:
        """Forget the oldest ended ones beyond the limit, but none whose records are not safe yet."""
        for name in list(self._ended)[: max(0, len(self._ended) - _KEPT_ENDED)]:
            rescue = self._rescues[name]
            if rescue.recorded == len(rescue.journal):
                del self._ended[name], self._rescues[name]
                self._by_node[rescue.node] = _without(self.on_node(rescue.node), rescue)


def _age(rescue: Rescue) -> tuple[datetime, str]:
    return rescue.created, rescue.name


def _with(rescues: Sequence[Rescue], saved: Rescue) -> Sequence[Rescue]:
    """The rescues, oldest first, with one that is new or takes the place of what it was."""
    at = bisect_left(rescues, _age(saved), key=_age)
    after = at + 1 if at < len(rescues) and rescues[at].name == saved.name else at
    return (*rescues[:at], saved, *rescues[after:])


def _without(rescues: Sequence[Rescue], gone: Rescue) -> Sequence[Rescue]:
    return tuple(rescue for rescue in rescues if rescue.name != gone.name)
