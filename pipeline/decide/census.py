"""What admission counts over all nodes and rescues: computed when it is first asked for, then shared by all who ask.

Hundreds of rescues may be held in a cluster of thousands of nodes; each poll asks for all of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from pipeline.decide.out_of_service import OutOfService, is_cordoned_by_us, out_of_service
from pipeline.model.node import Node
from pipeline.model.ownership import NEWCOMER
from pipeline.model.rescue import Rescue

_GPU_COUNT = "nvidia.com/gpu.count"


@dataclass(slots=True)
class Group:
    """The nodes that share the value of a label, by name; `gpu_nodes` is how many of them have GPUs."""

    names: set[str] = field(default_factory=set)
    gpu_nodes: int = 0


class Fleet:
    """The nodes of a cluster, counted."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self._groups: dict[str, Mapping[str, Group]] = {}

    @cached_property
    def newcomers(self) -> frozenset[str]:
        """The names of the nodes that only the log has named."""
        return frozenset(name for name, node in self.nodes.items() if NEWCOMER in node.annotations)

    @cached_property
    def cordoned(self) -> Mapping[str, Node]:
        """The nodes that carry a cordon of ours."""
        return {name: node for name, node in self.nodes.items() if is_cordoned_by_us(node)}

    @cached_property
    def gpu_nodes(self) -> int:
        """How many nodes have GPUs, newcomers left out."""
        return sum(map(_counts, self.nodes.values()))

    def changed(self, names: Iterable[str], nodes: Mapping[str, Node]) -> "Fleet":
        """Return the fleet of *nodes*, which differ from these by what has become of *names*.

        Only those are counted anew: in a burst each cordon changes one node of thousands, and each admission asks.
        """
        after = Fleet(nodes)
        pairs = [(name, self.nodes.get(name), nodes.get(name)) for name in names]
        after.newcomers = self.newcomers.difference(name for name, _, _ in pairs).union(
            name for name, _, now in pairs if now is not None and NEWCOMER in now.annotations
        )
        after.cordoned = {name: node for name, node in self.cordoned.items() if nodes.get(name) is node} | {
            name: now for name, _, now in pairs if now is not None and is_cordoned_by_us(now)
        }
        after.gpu_nodes = self.gpu_nodes + sum(_counts(now) - _counts(before) for _, before, now in pairs)
        return after

    def group(self, label: str, value: str) -> Group:
        """Return the nodes with that label."""
        if label not in self._groups:
            self._groups[label] = self._by(label)
        return self._groups[label][value]

    def _by(self, label: str) -> Mapping[str, Group]:
        groups: dict[str, Group] = defaultdict(Group)
        for name, node in self.nodes.items():
            if label in node.labels:
                group = groups[node.labels[label]]
                group.names.add(name)
                group.gpu_nodes += _has_gpus(node)
        return groups


class Sharing:
    """Rescues by what their nodes share. The labels are the node's own as long as the cache has it."""

    def __init__(self, rescues: Sequence[Rescue], nodes: Mapping[str, Node]) -> None:
        self._rescues = rescues
        self._nodes = nodes
        self._by_label: dict[str, Mapping[str | None, list[Rescue]]] = {}

    def of(self, label: str, value: str) -> Sequence[Rescue]:
        """Return the rescues of the nodes with that label."""
        if label not in self._by_label:
            by_value: dict[str | None, list[Rescue]] = defaultdict(list)
            for rescue in self._rescues:
                by_value[labels_of(rescue, self._nodes).get(label)].append(rescue)
            self._by_label[label] = by_value
        return self._by_label[label].get(value, ())


class Census:
    """The rescues of one moment, counted; *past* are others that have ended, which only show what was seen."""

    def __init__(
        self, rescues: Sequence[Rescue], fleet: Fleet, now: datetime, window: timedelta, past: Sharing | None = None
    ) -> None:
        """*window* is the breaker's: how long a cordon of ours counts."""
        self.fleet = fleet
        self._rescues = rescues
        self._now = now
        self._window = window
        self._past = past

    @cached_property
    def out(self) -> OutOfService:
        """The nodes that are out of service by our hand."""
        return out_of_service(self._rescues, self.fleet.cordoned, self._now, self._window)

    def sharing(self, label: str, value: str) -> Iterable[Rescue]:
        """Return the rescues, past ones too, of the nodes with that label, each once."""
        past = () if self._past is None else self._past.of(label, value)
        found = (*past, *self._present.of(label, value))
        return {rescue.name: rescue for rescue in found}.values()

    @cached_property
    def _present(self) -> Sharing:
        return Sharing(self._rescues, self.fleet.nodes)


def labels_of(rescue: Rescue, nodes: Mapping[str, Node]) -> Mapping[str, str]:
    """Return the labels of a rescue's node, as they are now or, when the cache has lost it, as they were."""
    there = nodes.get(rescue.node)
    return rescue.cause.labels if there is None else there.labels


def _counts(node: Node | None) -> bool:
    """Whether it counts as one with GPUs; hosts that only the log has named do not."""
    return node is not None and NEWCOMER not in node.annotations and _has_gpus(node)


def _has_gpus(node: Node) -> bool:
    """Whether it has GPUs; by its label too, because with MIG it may have none that are called nvidia.com/gpu."""
    label = node.labels.get(_GPU_COUNT, "")
    return node.gpus > 0 or (label.isdecimal() and int(label) > 0)
