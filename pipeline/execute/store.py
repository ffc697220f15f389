"""Where rescues live between two steps, two crashes and two replicas."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.errors import ConflictError, NotFoundError
from pipeline.model.rescue import Rescue


class RescueStore(Protocol):
    """Holds rescues by name. Reading is from a cache and may lag; writing compares-and-sets, so a lag does no harm."""

    def get(self, name: str) -> Rescue | None:
        """Return the rescue of that name, if there is one."""
        ...

    def all(self) -> Sequence[Rescue]:
        """Return every rescue that is kept, ended ones included, oldest first."""
        ...

    def open(self) -> Sequence[Rescue]:
        """Return the rescues that have not ended, oldest first."""
        ...

    def on_node(self, node: str) -> Sequence[Rescue]:
        """Return the rescues of one node, ended ones included, oldest first."""
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
        """Return after the next create or save, whoever made it."""
        ...


async def update(store: RescueStore, name: str, change: Callable[[Rescue], Rescue], tries: int = 10) -> Rescue:
    """Apply *change* to the newest state of a rescue; read and apply again when somebody else wrote in between."""
    for _ in range(tries):
        rescue = store.get(name)
        if rescue is None:
            raise NotFoundError(f"rescue {name} is gone")
        changed = change(rescue)
        if changed is rescue:
            return rescue
        try:
            return await store.save(changed)
        except ConflictError:
            continue
    raise ConflictError(f"rescue {name} was changed by others {tries} times in a row")
