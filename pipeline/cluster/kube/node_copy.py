"""The nodes as the API server last showed them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from pipeline.clock import Clock
from pipeline.cluster.changes import Changes
from pipeline.cluster.kube.api import Object
from pipeline.cluster.kube.nodes import NodeReader
from pipeline.model.node import Node


class NodeCopy:
    """A copy of all nodes; a reflector shows it what happens to them.

    A node of which nothing has changed that is kept stays the very object that it was, with the resource version that
    it had then: a heartbeat is no change. What is written by that version may meet a conflict; read the node first.
    """

    def __init__(self, reader: NodeReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._nodes: dict[str, Node] = {}
        self._boots: dict[str, tuple[str, datetime]] = {}
        self._generation = 0
        self._changes = Changes()
        self._snapshot: Mapping[str, Node] = MappingProxyType({})
        self._snapshot_generation = 0

    @property
    def generation(self) -> int:
        """How many times something has changed."""
        return self._generation

    def changed_since(self, generation: int) -> Iterable[str]:
        """Return the names of the nodes that were added, removed or changed after that generation."""
        return self._changes.since(generation)

    def snapshot(self) -> Mapping[str, Node]:
        """Return all nodes by name as they are now; copied when somebody asks, if anything has changed since."""
        if self._snapshot_generation != self._generation:
            self._snapshot, self._snapshot_generation = MappingProxyType(dict(self._nodes)), self._generation
        return self._snapshot

    def read(self, found: Object) -> Node:
        """Return the slim node with the time of its boot."""
        node = self._reader.read(found)
        booted_at = self._booted_at(node)
        return node if booted_at is None else replace(node, booted_at=booted_at)

    def slim(self, found: Object) -> Node:
        """Return the node that is kept already, if it says the same: a list anew then takes no memory."""
        node = self.read(found)
        known = self._nodes.get(node.name)
        return known if known is not None and _same(known, node) else node

    def listed(self, found: Sequence[Node]) -> None:
        """Take these for all there are."""
        nodes = {node.name: node for node in found}
        changed = [name for name, node in nodes.items() if self._nodes.get(name) is not node]
        gone = self._nodes.keys() - nodes.keys()
        self._nodes = nodes
        self._boots = {name: boot for name, boot in self._boots.items() if name in nodes}
        self._note(*changed, *gone)

    def changed(self, found: Node) -> None:
        """Take this one for new, or in the place of what it was."""
        if self._nodes.get(found.name) is not found:
            self._nodes[found.name] = found
            self._note(found.name)

    def deleted(self, found: Node) -> None:
        """Forget this one."""
        if self._nodes.pop(found.name, None) is not None:
            self._boots.pop(found.name, None)
            self._note(found.name)

    def _note(self, *names: str) -> None:
        if names:
            self._generation += 1
        for name in names:
            self._changes.note(name, self._generation)

    def _booted_at(self, node: Node) -> datetime | None:
        """Return when this boot was first seen, of a node that was seen with an earlier one."""
        known = self._nodes.get(node.name)
        if known is None or not known.boot_id or not node.boot_id:
            return known.booted_at if known is not None else None
        if node.boot_id == known.boot_id:
            return known.booted_at
        # A call may see a boot before the watch does.
        boot_id, first_seen = self._boots.get(node.name, ("", None))
        if boot_id != node.boot_id or first_seen is None:
            first_seen = self._clock.now()
            self._boots[node.name] = (node.boot_id, first_seen)
        return first_seen


def _same(known: Node, node: Node) -> bool:
    """Whether nothing but the version differs, which every heartbeat changes."""
    return known == replace(node, resource_version=known.resource_version)
