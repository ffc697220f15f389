"""Which warm standby nodes may take a node's place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.model.node import Node
from pipeline.model.ownership import OFFLINE, STANDBY_FOR, WARM_STANDBY


@dataclass(frozen=True, slots=True)
class Standbys:
    """The nodes to choose from, by name, and the policy that names them; None when it is all standbys there are."""

    nodes: tuple[Node, ...]
    policy: str | None


def standbys(origin: Mapping[str, str], nodes: Mapping[str, Node], policies: Sequence[WarmStandbyPolicy]) -> Standbys:
    """Return the standbys that match the labels of the *origin*, of the first policy that has one; else every standby.

    A standby is cordoned, Ready, and carries the label `rescue.ksyun.com/warm-standby`.
    """
    free = tuple(node for _, node in sorted(nodes.items()) if is_free(node))
    for policy in policies:
        for match in policy.spec.matches:
            if _carries(origin, match.origin_node):
                matching = tuple(node for node in free if _carries(node.labels, match.target_node))
                if matching:
                    return Standbys(matching, policy.metadata.name)
    return Standbys(free, None)


def is_free(node: Node) -> bool:
    """Whether the node stands by and stands in for nobody yet."""
    marked = WARM_STANDBY in node.labels and node.labels[WARM_STANDBY] != "false"
    return (
        marked
        and node.unschedulable
        and node.ready
        and STANDBY_FOR not in node.annotations
        and OFFLINE not in node.labels
    )


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())
