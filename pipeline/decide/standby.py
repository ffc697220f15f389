"""The reserve of warm standby nodes: which are in it, which of them are free, and which may take a node's place."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.documents import Strict
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_BY, OFFLINE, STANDBY_FOR, UNDER_RESCUE, WARM_STANDBY

_MOST_TOLD = 10
_MARKS = {
    STANDBY_FOR: "stands in for the node of rescue",
    CORDONED_BY: "was cordoned by rescue",
    UNDER_RESCUE: "is worked on by rescue",
}

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/: a prefix that is a DNS name, and a name.
_LABEL = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def _label(key: str) -> str:
    if not _LABEL.fullmatch(key):
        raise ValueError(f"{key!r} is not the key of a label; write it like {WARM_STANDBY}")
    return key


class StandbySettings(Strict):
    """The reserve of warm standby nodes."""

    label: Annotated[str, AfterValidator(_label)] = Field(
        WARM_STANDBY,
        description="Label of the nodes that stand by, cordoned, whatever its value but `false`. It is taken off a "
        "standby that is put into service, so that the nodes that have it are the reserve.",
    )
    replenish: bool = Field(
        False,
        description="Whether a healed node takes the place of the standby that stood in for it: it stays cordoned and "
        "gets the label, and the standby remains in service. Off, because then people know which nodes are the "
        "reserve; the standby remains in service all the same, until a person puts it back.",
    )


@dataclass(frozen=True, slots=True)
class Standbys:
    """The nodes to choose from, each once and in the order of their names; `policies` tells, by node, who names it."""

    nodes: tuple[Node, ...]
    policies: Mapping[str, str]

    def policy_of(self, node: str) -> str | None:
        """Return the first policy that names the node; None when no policy names any, and it is all there are."""
        return self.policies.get(node)


def standbys(
    origin: str, labels: Mapping[str, str], reserve: Iterable[Node], policies: Sequence[WarmStandbyPolicy]
) -> Standbys:
    """Return those of the *reserve* that any policy names for the node *origin* with these labels; else all of it.

    *reserve* are free standbys. A node never stands in for itself.
    """
    others = [node for node in reserve if node.name != origin]
    named: dict[str, str] = {}
    for policy in policies:
        wanted = [match for match in policy.spec.matches if match.concerns(labels)]
        for node in others:
            if any(match.names(node.labels) for match in wanted):
                named.setdefault(node.name, policy.metadata.name)
    return Standbys(tuple(node for node in others if node.name in named) or tuple(others), named)


def free(nodes: Mapping[str, Node], label: str) -> tuple[Node, ...]:
    """Return the standbys that may be put into service, in the order of their names."""
    return tuple(node for _, node in sorted(nodes.items()) if is_free(node, label))


def is_free(node: Node, label: str) -> bool:
    """Whether the node is in the reserve and nothing keeps it from being put into service."""
    return is_standby(node, label) and obstacle(node) is None


def is_standby(node: Node, label: str) -> bool:
    """Whether the node has the label of the reserve."""
    return node.labels.get(label, "false") != "false"


def obstacle(node: Node) -> str | None:
    """Say, after the node's name, what keeps a standby from being put into service; None if nothing does.

    A mark of a rescue counts until it is taken off, also when that rescue has ended: what it is about was not undone.
    """
    return next(_obstacles(node), None)


def _obstacles(node: Node) -> Iterator[str]:
    if OFFLINE in node.labels:
        yield "was taken out for good"
    if node.opted_out:
        yield "is opted out"
    for mark, told in _MARKS.items():
        if mark in node.annotations:
            yield f"{told} {node.annotations[mark]}"
    if not node.unschedulable:
        yield "is in service"
    if not node.ready:
        yield "is not Ready"
    if node.gpus_allocatable < node.gpus:
        yield f"has {node.gpus_allocatable} of {node.gpus} GPUs allocatable"


def shortage(nodes: Mapping[str, Node], label: str) -> str | None:
    """Say which standbys there are and what keeps each from being put into service; None if there are none at all."""
    reserve = [node for _, node in sorted(nodes.items()) if is_standby(node, label)]
    told = [f"{node.name} {why}" for node in reserve if (why := obstacle(node)) is not None]
    more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return ", ".join(told[:_MOST_TOLD]) + more or None
