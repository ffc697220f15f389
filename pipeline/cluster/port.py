"""What the pipeline asks of a cluster."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from pipeline.model.node import Node, NodePatch, Pod

HOSTNAME = "kubernetes.io/hostname"
"""The well-known label with a node's host name; the kubelet sets it."""


class EventType(StrEnum):
    """What a watch tells of an object, in the words of the Kubernetes API."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """One event of a watch; `node` is the node after the change, or as it was last when it is deleted."""

    type: EventType
    node: Node


class NodeCache(Protocol):
    """The nodes as last seen by list and watch; reading it never touches the network."""

    @property
    def synced(self) -> bool:
        """Whether the first list is complete."""
        ...

    @property
    def generation(self) -> int:
        """A number that grows whenever a node is added, removed or changed."""
        ...

    def nodes(self) -> Mapping[str, Node]:
        """All nodes, by name."""
        ...

    def changed_since(self, generation: int) -> Iterable[str]:
        """Return the names of the nodes that were added, removed or changed after that generation; after 0, of all.

        It may name some that have not changed, and none twice.
        """
        ...


class Cluster(NodeCache, Protocol):
    """The calls a rescue makes.

    Each raises TemporaryError (with the delay the server asked for) when it may succeed later, NotFoundError when the
    object is gone, PermanentError when the server refuses.
    """

    async def reach(self) -> str:
        """Return in a few words what answers (kind, version, size); raise what says why nothing does."""
        ...

    async def get_node(self, name: str) -> Node:
        """Return the node as the server holds it now, not as the cache does."""
        ...

    async def patch_node(self, name: str, patch: NodePatch, resource_version: str) -> Node:
        """Change the node if it still has *resource_version*; raise ConflictError if it has not."""
        ...

    async def pods_on(self, node: str) -> Sequence[Pod]:
        """Return every pod bound to the node, finished and terminating ones included."""
        ...

    async def evict(self, pod: Pod) -> None:
        """Ask for the pod's eviction with its own grace period; a disruption budget answers with TemporaryError.

        A pod that is already gone is evicted.
        """
        ...

    async def delete_pod(self, pod: Pod, grace_period: timedelta) -> None:
        """Delete the pod without asking any disruption budget; a pod that is already gone is deleted."""
        ...

    def policies(self) -> Sequence[Mapping[str, Any]]:
        """Return the manifests of the rescue policies, from the cache."""
        ...

    async def set_policy_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        """Write what people should know of a policy (a tie, say) into its status."""
        ...
