"""A node on which another rescue waits is not given back in between: that one begins first, and keeps it cordoned."""

from datetime import datetime

from pipeline.cluster.port import NodeCache
from pipeline.decide.fabric import reach
from pipeline.decide.guards import GuardSettings
from pipeline.decide.out_of_service import CACHE_LAG
from pipeline.decide.succession import Heir, heir
from pipeline.errors import ConflictError, NotFoundError
from pipeline.execute import progress
from pipeline.execute.store import RescueStore, update
from pipeline.model.rescue import Rescue


class Succession:
    """Lets the rescue that waits for a node begin while the one before it still holds the cordon."""

    def __init__(self, store: RescueStore, nodes: NodeCache, guards: GuardSettings) -> None:
        self._store = store
        self._nodes = nodes
        self._guards = guards

    async def begin(self, rescue: Rescue, now: datetime) -> str | None:
        """Have the heir of the rescue begin, and return its name; None if nobody goes on with the node.

        That it begins is saved before the cordon is made its own, so that a crash in between leaves no cordon to one
        that is given up later: who has begun is brought to its end. The node counts for the breaker all along. Raises
        TemporaryError when the store is away.
        """
        found = self._heir(rescue, now) if self._nodes.synced else None
        if found is None:
            return None
        try:
            after = await update(self._store, found.name, lambda stored: _begun(stored, found, now))
        except (NotFoundError, ConflictError):
            return None
        return after.name if after.begun and not after.status.ended else None

    def _heir(self, rescue: Rescue, now: datetime) -> Heir | None:
        of_node = self._store.on_node(rescue.node)
        window = self._guards.fabric.window
        since = min([now - CACHE_LAG, *(reach(other, of_node, window) for other in of_node if not other.status.ended)])
        rescues = (*self._store.open(), *of_node, *self._store.ended_since(since))
        company = list({other.name: other for other in rescues}.values())
        return heir(rescue, company, self._nodes.nodes(), now, self._guards)


def _begun(rescue: Rescue, found: Heir, now: datetime) -> Rescue:
    return rescue if rescue.begun or rescue.status.ended else progress.started(rescue, 0, now, found.guards)
