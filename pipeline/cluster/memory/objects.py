"""The node objects as an API server stores them: versioned, and told to whoever watches."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from weakref import WeakSet

from pipeline.cluster.changes import Changes
from pipeline.cluster.memory.watch import Watch
from pipeline.cluster.port import EventType, NodeEvent
from pipeline.errors import NotFoundError
from pipeline.model.node import Node


class NodeObjects:
    """Nodes by name. A write that changes nothing gives no new version and no event."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._watches: WeakSet[Watch] = WeakSet()
        self._generation = 0
        self._changes = Changes()

    @property
    def generation(self) -> int:
        """How many changes there have been."""
        return self._generation

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def all(self) -> Mapping[str, Node]:
        """Return the nodes by name, a live view."""
        return MappingProxyType(self._nodes)

    def changed_since(self, generation: int) -> Iterable[str]:
        """Return the names of the nodes that were added, removed or changed after that generation."""
        return self._changes.since(generation)

    def get(self, name: str) -> Node:
        """Return one node; raise NotFoundError if there is none of that name."""
        try:
            return self._nodes[name]
        except KeyError:
            raise NotFoundError(f"node {name} does not exist") from None

    def put(self, node: Node) -> Node:
        """Store the node, added or changed, and return it with its new resource version."""
        before = self._nodes.get(node.name)
        if before is not None and replace(node, resource_version=before.resource_version) == before:
            return before
        self._generation += 1
        stored = replace(node, resource_version=str(self._generation))
        self._nodes[node.name] = stored
        self._changes.note(node.name, self._generation)
        self._tell(EventType.ADDED if before is None else EventType.MODIFIED, stored)
        return stored

    def remove(self, name: str) -> None:
        """Forget a node; raise NotFoundError if there is none of that name."""
        gone = self.get(name)
        del self._nodes[name]
        self._generation += 1
        self._changes.note(name, self._generation)
        self._tell(EventType.DELETED, gone)

    def watch(self) -> Watch:
        """Return a watch that begins with the nodes that are there now."""
        watch = Watch(NodeEvent(EventType.ADDED, node) for node in self._nodes.values())
        self._watches.add(watch)
        return watch

    def _tell(self, kind: EventType, node: Node) -> None:
        for watch in self._watches:
            watch.offer(NodeEvent(kind, node))
