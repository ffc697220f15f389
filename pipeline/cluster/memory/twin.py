"""The twin of another cluster, for dry runs: it sees what that one sees, and what is done to it stays there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pipeline.clock import Clock
from pipeline.cluster.memory.cluster import SimulatedCluster
from pipeline.cluster.port import Cluster
from pipeline.model.node import Node, Pod

_FOLLOWED = ("taints", "unschedulable", "ready", "boot_id", "booted_at", "addresses", "gpus", "gpus_allocatable")


def twin(cluster: Cluster, clock: Clock) -> "Twin":
    """Return a twin of *cluster* as its cache shows it."""
    return Twin(cluster, clock)


class Twin(SimulatedCluster):
    """A simulated cluster that goes on following another one.

    Nodes come from the original's cache; what changes there later changes here too, field by field and label by
    label, so that a rescue's marks on the twin stay. The pods of a node are read from the original once for each boot
    of the twin's node, when somebody first asks for them. Budgets are not known to a cache: every eviction is
    allowed.
    """

    def __init__(self, original: Cluster, clock: Clock) -> None:
        super().__init__(clock)
        self._original = original
        self._seen: Mapping[str, Node] = {}
        self._seen_generation: int | None = None
        self._seen_policies: Sequence[Mapping[str, Any]] = ()
        self._pods_of_boot: dict[str, str] = {}

    @property
    def synced(self) -> bool:
        """Whether the original's first list is complete."""
        return self._original.synced and super().synced

    def settle(self) -> datetime:
        """Make every change that is due by now, here and at the original, and return now."""
        now = super().settle()
        if self._original.synced and self._original.generation != self._seen_generation:
            self._seen_generation = self._original.generation
            self._follow(self._original.nodes(), now)
        return now

    async def pods_on(self, node: str) -> Sequence[Pod]:
        """Return the pods of the twin's node; reading the original's may raise what it raises."""
        now = self.settle()
        if node in self._objects and self._pods_of_boot.get(node) != self._objects.get(node).boot_id:
            self._workloads.replace_on(node, await self._original.pods_on(node), now)
            self._pods_of_boot[node] = self._objects.get(node).boot_id
        return await super().pods_on(node)

    def policies(self) -> Sequence[Mapping[str, Any]]:
        """Return the original's policies, with the statuses that were written here."""
        manifests = self._original.policies()
        if manifests != self._seen_policies:
            self._seen_policies = manifests
            self.set_policies(manifests)
        return super().policies()

    async def set_policy_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        """Replace the status of a policy, here only."""
        self.policies()
        await super().set_policy_status(kind, name, status)

    def _follow(self, nodes: Mapping[str, Node], now: datetime) -> None:
        before, self._seen = self._seen, nodes
        for name in before.keys() - nodes.keys():
            self._remove(name, now)
        for name, node in nodes.items():
            known = before.get(name)
            if known is None:
                self._install(node, now)
            elif known is not node:
                self._objects.put(_merged(self._objects.get(name), known, node))
        self._workloads.assign_pending(now)


def _merged(mine: Node, before: Node, after: Node) -> Node:
    """Return *mine* with all that changed between *before* and *after*."""
    changes = {name: getattr(after, name) for name in _FOLLOWED if getattr(before, name) != getattr(after, name)}
    return replace(
        mine,
        labels=_merged_words(mine.labels, before.labels, after.labels),
        annotations=_merged_words(mine.annotations, before.annotations, after.annotations),
        **changes,
    )


def _merged_words(mine: Mapping[str, str], before: Mapping[str, str], after: Mapping[str, str]) -> Mapping[str, str]:
    gone = before.keys() - after.keys()
    new = {key: value for key, value in after.items() if before.get(key) != value}
    return {key: value for key, value in {**mine, **new}.items() if key not in gone}
