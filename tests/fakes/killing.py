"""A process that is killed at a chosen moment: before or after any write to the store, any effect, any record."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from pipeline.cluster.memory import SimulatedCluster
from pipeline.execute.store_memory import MemoryStore
from pipeline.execute.store_sqlite import SqliteStore
from pipeline.model.node import Node, NodePatch, Pod
from pipeline.model.rescue import Rescue
from pipeline.rebooters.port import Asked, Rebooter
from sinks.base import Record
from tests.fakes.sinks import WatchedSink


class KilledError(BaseException):
    """The process is gone; nothing catches this."""


class Killer:
    """Counts the moments at which a process may die, and kills it at the chosen one, once."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.moments = 0
        self.killed: str | None = None

    def moment(self, what: str) -> None:
        """One moment; *what* names it for people."""
        self.moments += 1
        if self.moments == self.at:
            self.killed = what
            raise KilledError(what)

    async def around(self, what: str, write: Callable[[Rescue], Awaitable[Rescue]], rescue: Rescue) -> Rescue:
        """Make a write between two moments."""
        self.moment(f"before the {what}")
        written = await write(rescue)
        self.moment(f"after the {what}")
        return written


class KillingStore(MemoryStore):
    """Dies before or after a write."""

    def __init__(self, killer: Killer) -> None:
        super().__init__()
        self._killer = killer

    async def create(self, rescue: Rescue) -> Rescue:
        return await self._killer.around(f"create of {rescue.name}", super().create, rescue)

    async def save(self, rescue: Rescue) -> Rescue:
        return await self._killer.around(_told(rescue), super().save, rescue)


class KillingFile(SqliteStore):
    """The same over a file, which outlives the process."""

    def __init__(self, path: Path, killer: Killer) -> None:
        super().__init__(path)
        self._killer = killer

    async def create(self, rescue: Rescue) -> Rescue:
        return await self._killer.around(f"create of {rescue.name}", super().create, rescue)

    async def save(self, rescue: Rescue) -> Rescue:
        return await self._killer.around(_told(rescue), super().save, rescue)


def _told(rescue: Rescue) -> str:
    return f"save of {rescue.name} at entry {len(rescue.journal)}, status {rescue.status}"


class KillingCluster(SimulatedCluster):
    """Dies before or after an effect; the effect itself is the cluster's and outlives the process."""

    killer = Killer(None)

    async def patch_node(self, name: str, patch: NodePatch, resource_version: str) -> Node:
        self.killer.moment(f"before the patch of {name}")
        node = await super().patch_node(name, patch, resource_version)
        self.killer.moment(f"after the patch of {name}")
        return node

    async def evict(self, pod: Pod) -> None:
        self.killer.moment(f"before the eviction of {pod.full_name}")
        await super().evict(pod)
        self.killer.moment(f"after the eviction of {pod.full_name}")

    async def delete_pod(self, pod: Pod, grace_period: timedelta) -> None:
        self.killer.moment(f"before the deletion of {pod.full_name}")
        await super().delete_pod(pod, grace_period)
        self.killer.moment(f"after the deletion of {pod.full_name}")


class KillingRebooter:
    """Dies before or after the asking."""

    def __init__(self, rebooter: Rebooter, killer: Killer) -> None:
        self._rebooter = rebooter
        self._killer = killer
        self.asks: Counter[str] = Counter()

    async def reboot(self, node: Node, request: str) -> None:
        """Count every asking: the simulated machine itself turns a deaf ear to a second one of the same name."""
        self._killer.moment(f"before the reboot of {node.name}")
        self.asks[request] += 1
        await self._rebooter.reboot(node, request)
        self._killer.moment(f"after the reboot of {node.name}")

    async def asked(self, node: Node, request: str) -> Asked:
        return await self._rebooter.asked(node, request)


class KillingSink(WatchedSink):
    """Dies before or after records are safe."""

    def __init__(self, killer: Killer) -> None:
        super().__init__()
        self._killer = killer

    async def write(self, records: Sequence[Record]) -> None:
        self._killer.moment("before a write of records")
        await super().write(records)
        self._killer.moment("after a write of records")
