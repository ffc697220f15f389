"""Which warm standby nodes may take a node's place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_BY, OFFLINE, STANDBY_FOR, UNDER_RESCUE, WARM_STANDBY

_TAKEN = frozenset({STANDBY_FOR, CORDONED_BY, UNDER_RESCUE})


@dataclass(frozen=True, slots=True)
class Standbys:
    """The nodes to choose from, each once and in the order of their names; `policies` tells, by node, who names it."""

    nodes: tuple[Node, ...]
    policies: Mapping[str, str]

    def policy_of(self, node: str) -> str | None:
        """Return the first policy that names the node; None when no policy names any, and it is all there are."""
        return self.policies.get(node)


def standbys(
    origin: str, labels: Mapping[str, str], nodes: Mapping[str, Node], policies: Sequence[WarmStandbyPolicy]
) -> Standbys:
    """Return the free standbys that any policy names for the node *origin* with these labels; else every free one.

    A node never stands in for itself.
    """
    free = [node for name, node in sorted(nodes.items()) if name != origin and is_free(node)]
    named: dict[str, str] = {}
    for policy in policies:
        wanted = [match.target_node for match in policy.spec.matches if _carries(labels, match.origin_node)]
        for node in free:
            if any(_carries(node.labels, target) for target in wanted):
                named.setdefault(node.name, policy.metadata.name)
    return Standbys(tuple(node for node in free if node.name in named) or tuple(free), named)


def is_free(node: Node) -> bool:
    """Whether the node stands by: labelled `rescue.ksyun.com/warm-standby`, cordoned and Ready.

    One that stands in for another node, is rescued itself or was taken out for good does not.
    """
    marked = node.labels.get(WARM_STANDBY, "false") != "false" and OFFLINE not in node.labels
    return marked and node.unschedulable and node.ready and _TAKEN.isdisjoint(node.annotations)


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())
