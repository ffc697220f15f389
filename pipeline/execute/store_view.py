"""A part of the rescues of a store: whoever works with a view knows of no others."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from pipeline.errors import ConflictError
from pipeline.execute.store import RescueStore
from pipeline.model.occurrence import Gpu, Occurrence
from pipeline.model.rescue import Rescue

Shows = Callable[[Rescue], bool]
"""Whether a rescue belongs to the part; it must answer the same for as long as the rescue lives."""


def acts(rescue: Rescue) -> bool:
    """Whether it acts on the cluster itself, be it as a drill that was asked for with real effects."""
    return not rescue.dry_run


def is_rehearsed(rescue: Rescue) -> bool:
    """Whether policies want it rehearsed only."""
    return rescue.dry_run and rescue.cause.fault.drill is None


def is_drill(rescue: Rescue) -> bool:
    """Whether it is the rehearsal of a fault that has not happened."""
    return rescue.dry_run and rescue.cause.fault.drill is not None


class StoreView:
    """A store of which only some rescues show. Occurrences are all there: they are of GPUs, not of rescues."""

    def __init__(self, store: RescueStore, shows: Shows) -> None:
        self._store = store
        self._shows = shows

    async def reach(self) -> str:
        """Tell what the store itself tells."""
        return await self._store.reach()

    async def close(self) -> None:
        """The store is its owner's to close."""

    @property
    def synced(self) -> bool:
        """Whether the store shows all that it holds."""
        return self._store.synced

    @property
    def generation(self) -> int:
        """The store's own, which grows with the others' rescues too."""
        return self._store.generation

    def get(self, name: str) -> Rescue | None:
        """Return the rescue of that name, if there is one here."""
        return self._shown(self._store.get(name))

    async def fetch(self, name: str) -> Rescue | None:
        """Return the rescue as the store holds it now, if it is one of these."""
        return self._shown(await self._store.fetch(name))

    def all(self) -> Sequence[Rescue]:
        """Return every one of these rescues that is kept, oldest first."""
        return self._part(self._store.all())

    def open(self) -> Sequence[Rescue]:
        """Return those that have not ended, oldest first."""
        return self._part(self._store.open())

    def unfinished(self) -> Sequence[Rescue]:
        """Return those that are open, or whose records are not all safe yet, oldest first."""
        return self._part(self._store.unfinished())

    def on_node(self, node: str) -> Sequence[Rescue]:
        """Return those of one node, oldest first."""
        return self._part(self._store.on_node(node))

    def ended_since(self, moment: datetime) -> Sequence[Rescue]:
        """Return those that have ended at *moment* or later, oldest first."""
        return self._part(self._store.ended_since(moment))

    def condemned(self) -> Sequence[Rescue]:
        """Return those that are open and that somebody wants deleted, oldest first."""
        return self._part(self._store.condemned())

    async def clean_up(self, now: datetime) -> None:
        """Delete what need not be kept any more, as the store itself does, whichever rescue it is of."""
        await self._store.clean_up(now)

    async def create(self, rescue: Rescue) -> Rescue:
        """Save a new rescue, or return the one that has its name; ConflictError if that one does not show here."""
        created = await self._store.create(rescue)
        if not self._shows(created):
            raise ConflictError(f"rescue {rescue.name} is there already, and is of another kind")
        return created

    async def save(self, rescue: Rescue) -> Rescue:
        """Replace the rescue as the store itself does."""
        return await self._store.save(rescue)

    async def changed(self) -> None:
        """Return after the next create or save in the store, whichever rescue it is of."""
        await self._store.changed()

    def occurrence(self, name: str) -> Occurrence | None:
        """Return the occurrence that was noted by that name, if it is remembered."""
        return self._store.occurrence(name)

    def occurrences(self, gpu: Gpu) -> Sequence[Occurrence]:
        """Return what was noted of the GPU, as the store itself does."""
        return self._store.occurrences(gpu)

    async def note(self, occurrence: Occurrence) -> None:
        """Save an occurrence."""
        await self._store.note(occurrence)

    def _shown(self, rescue: Rescue | None) -> Rescue | None:
        return rescue if rescue is not None and self._shows(rescue) else None

    def _part(self, rescues: Iterable[Rescue]) -> list[Rescue]:
        return [rescue for rescue in rescues if self._shows(rescue)]
