"""Where rescues live between two steps, two crashes and two replicas."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from pipeline.errors import ConflictError, NotFoundError
from pipeline.model.occurrence import Gpu, Occurrence
from pipeline.model.rescue import Rescue


class RescueStore(Protocol):
    """Holds rescues by name, and beside them the occurrences that rules with `repeat` count.

    Reading is from a cache. It may lag behind what other processes write, but never behind this one: what `create` and
    `save` return is what `get`, `all`, `open` and `on_node` show from then on, or something newer. Writing compares and
    sets.
    """

    async def reach(self) -> str:
        """Return in a few words where rescues are kept; raise what says why they cannot be."""
        ...

    async def close(self) -> None:
        """Let go of what is open."""
        ...

    @property
    def synced(self) -> bool:
        """Whether the cache shows all that the store holds, as it does from the start where nobody else writes."""
        ...

    @property
    def generation(self) -> int:
        """A number that grows with each create, save and deletion that the cache shows."""
        ...

    def get(self, name: str) -> Rescue | None:
        """Return the rescue of that name, if there is one."""
        ...

    async def fetch(self, name: str) -> Rescue | None:
        """Return the rescue as the store holds it now, and let the cache know; may raise TemporaryError."""
        ...

    def all(self) -> Sequence[Rescue]:
        """Return every rescue that is kept, ended ones included, oldest first."""
        ...

    def open(self) -> Sequence[Rescue]:
        """Return the rescues that have not ended, oldest first."""
        ...

    def unfinished(self) -> Sequence[Rescue]:
        """Return the rescues that are open, or whose records are not all safe yet, oldest first."""
        ...

    def on_node(self, node: str) -> Sequence[Rescue]:
        """Return the rescues of one node, ended ones included, oldest first.

        A store gives the very same sequence as long as none of them has changed, since it is asked for every line; a
        view of one need not.
        """
        ...

    def ended_since(self, moment: datetime) -> Sequence[Rescue]:
        """Return the rescues that have ended at *moment* or later, oldest first."""
        ...

    def condemned(self) -> Sequence[Rescue]:
        """Return the open rescues that somebody wants deleted (`kubectl delete rescue`), oldest first.

        They are to be given up and undone; `clean_up` lets go of each when it has ended and its records are safe.
        """
        ...

    async def clean_up(self, now: datetime) -> None:
        """Delete for good what need not be kept any more; for the one replica that executes, every few seconds.

        A store that is one process's own does so by itself. May raise TemporaryError.
        """
        ...

    async def create(self, rescue: Rescue) -> Rescue:
        """Save a new rescue and return it with its revision; return the one that is there, if the name is taken."""
        ...

    async def save(self, rescue: Rescue) -> Rescue:
        """Replace the rescue if its revision is still the stored one and return it with its new revision.

        Raises ConflictError when it is not, NotFoundError when the rescue is gone, TemporaryError when the store is
        away.
        """
        ...

    async def changed(self) -> None:
        """Return after the next create, save or deletion, whoever made it."""
        ...

    def occurrence(self, name: str) -> Occurrence | None:
        """Return the occurrence that was noted by that name, if it is remembered."""
        ...

    def occurrences(self, gpu: Gpu) -> Sequence[Occurrence]:
        """Return what was noted of every GPU that shares board serial, UUID or place with this one, first seen first.

        What was last seen more than 30 days (`repeat.LONGEST`) before the newest of all may be forgotten.
        """
        ...

    async def note(self, occurrence: Occurrence) -> None:
        """Save an occurrence; one of its name that is there already spans the time of both from then on.

        May raise TemporaryError.
        """
        ...


async def update(store: RescueStore, name: str, change: Callable[[Rescue], Rescue], tries: int = 10) -> Rescue:
    """Apply *change* to the newest state of a rescue; read and apply again when somebody else wrote in between."""
    rescue = store.get(name)
    for _ in range(tries):
        if rescue is None:
            raise NotFoundError(f"rescue {name} is gone")
        changed = change(rescue)
        if changed is rescue:
            return rescue
        try:
            return await store.save(changed)
        except ConflictError:
            rescue = await store.fetch(name)
    raise ConflictError(f"rescue {name} was changed by others {tries} times in a row")
