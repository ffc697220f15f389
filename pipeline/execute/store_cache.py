"""What a store shows: the rescues by all that is asked of them, and the occurrences. Every store reads from one."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from datetime import datetime

from pipeline.execute.occurrences_memory import OccurrenceIndex
from pipeline.model.occurrence import Gpu, Occurrence
from pipeline.model.rescue import Rescue

KEPT_ENDED = 10_000


class StoreCache:
    """Keeps every open rescue, of the ended ones the newest *kept_ended*, and the newest 50,000 occurrences.

    It is the reading half of a store. Whoever writes shows it what is safe.
    """

    def __init__(self, kept_ended: int = KEPT_ENDED) -> None:
        self._kept_ended = kept_ended
        self._rescues: dict[str, Rescue] = {}
        # Asked for with every line: put in order when one of them changes, not when they are read.
        self._by_node: dict[str, Sequence[Rescue]] = {}
        self._open: dict[str, None] = {}
        self._unrecorded: dict[str, None] = {}
        self._condemned: dict[str, None] = {}
        # Oldest end first, in whatever order they are shown: clocks jump, and others write, too.
        self._ended: list[tuple[datetime, str]] = []
        self._changed = asyncio.Event()
        self._generation = 0
        self._occurrences = OccurrenceIndex()

    @property
    def synced(self) -> bool:
        """Always: a store that others write as well knows better."""
        return True

    @property
    def generation(self) -> int:
        """How many changes there were."""
        return self._generation

    def get(self, name: str) -> Rescue | None:
        """Return the rescue of that name, if there is one."""
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
        lately = self._ended[bisect_left(self._ended, (moment, "")) :]
        return self._oldest_first(name for _, name in lately)

    def condemned(self) -> Sequence[Rescue]:
        """Return the open rescues that somebody wants deleted, oldest first."""
        return self._oldest_first(name for name in self._condemned if name in self._open)

    async def changed(self) -> None:
        """Return after the next create or save."""
        await self._changed.wait()

    def occurrence(self, name: str) -> Occurrence | None:
        """Return the occurrence that was noted by that name, if it is remembered."""
        return self._occurrences.get(name)

    def occurrences(self, gpu: Gpu) -> Sequence[Occurrence]:
        """Return what was noted of every GPU that shares board serial, UUID or place with this one."""
        return self._occurrences.of(gpu)

    def show(self, saved: Rescue) -> list[str]:
        """Show a rescue as it was saved, unless a newer state shows already; return the names of those forgotten."""
        known = self._rescues.get(saved.name)
        if known is not None and known.revision >= saved.revision:
            return []
        if known is not None and known.status.ended and not saved.status.ended:
            # Another of the same name, made since that one was deleted.
            self.forget(saved.name)
        self._rescues[saved.name] = saved
        self._by_node[saved.node] = _with(self.on_node(saved.node), saved)
        if not saved.status.ended:
            self._open[saved.name] = None
        elif known is None or not known.status.ended:
            self._open.pop(saved.name, None)
            insort(self._ended, (saved.ended or saved.created, saved.name))
        if saved.recorded < len(saved.journal):
            self._unrecorded[saved.name] = None
        else:
            self._unrecorded.pop(saved.name, None)
        self._wake()
        return self._forget_oldest()

    def condemn(self, name: str) -> None:
        """Show of a rescue that somebody wants it deleted; it is `forget` that shows that it is."""
        if name not in self._condemned:
            self._condemned[name] = None
            self._wake()

    def forget(self, name: str) -> None:
        """Show no more of a rescue: it is deleted."""
        self._open.pop(name, None)
        self._unrecorded.pop(name, None)
        if name in self._rescues:
            self._ended = [one for one in self._ended if one[1] != name]
            self._drop(name)
            self._wake()

    def ended_before(self, moment: datetime) -> Sequence[str]:
        """Return the names of those that ended before *moment* and whose records are safe, oldest end first."""
        before = self._ended[: bisect_left(self._ended, (moment, ""))]
        return [name for _, name in before if name not in self._unrecorded]

    def show_occurrence(self, occurrence: Occurrence) -> list[str]:
        """Show an occurrence; one of its name spans the time of both. Return the names of those forgotten."""
        return self._occurrences.put(occurrence)

    def forget_occurrence(self, name: str) -> None:
        """Show no more of an occurrence: it is deleted."""
        self._occurrences.forget(name)

    def _oldest_first(self, names: Iterable[str]) -> list[Rescue]:
        return sorted((self._rescues[name] for name in names), key=_age)

    def _forget_oldest(self) -> list[str]:
        """Forget the oldest ended ones beyond the limit, but none whose records are not safe yet."""
        oldest = self._ended[: max(0, len(self._ended) - self._kept_ended)]
        forgotten = [one for one in oldest if one[1] not in self._unrecorded]
        for one in forgotten:
            self._ended.remove(one)
            self._drop(one[1])
        return [name for _, name in forgotten]

    def _drop(self, name: str) -> None:
        self._condemned.pop(name, None)
        gone = self._rescues.pop(name)
        self._by_node[gone.node] = tuple(rescue for rescue in self.on_node(gone.node) if rescue is not gone)

    def _wake(self) -> None:
        self._generation += 1
        self._changed.set()
        self._changed = asyncio.Event()


def _age(rescue: Rescue) -> tuple[datetime, str]:
    return rescue.created, rescue.name


def _with(rescues: Sequence[Rescue], saved: Rescue) -> Sequence[Rescue]:
    """The rescues, oldest first, with one that is new or takes the place of what it was."""
    at = bisect_left(rescues, _age(saved), key=_age)
    after = at + 1 if at < len(rescues) and rescues[at].name == saved.name else at
    return (*rescues[:at], saved, *rescues[after:])
