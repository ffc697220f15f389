"""Which nodes are out of service by our hand, as the breaker counts them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY
from pipeline.model.plan import ActionName
from pipeline.model.rescue import Rescue, Status

CACHE_LAG = timedelta(minutes=2)
"""How long a cordon is counted by the word of its rescue alone, after that has ended.

A watch tells the node cache of it within moments, and within a minute or two when the watch has to be made anew.
"""

_TAKING_OUT = frozenset({ActionName.CORDON, ActionName.OFFLINE})


@dataclass(frozen=True, slots=True)
class OutOfService:
    """The names of the nodes that are out of service by our hand.

    `lately` are those that a rescue works on, or that carry a cordon of ours no older than the window; `long` those
    that only carry an older one. `busy` are, by the rescue's name, those that an open rescue has begun on.
    """

    lately: frozenset[str]
    long: frozenset[str]
    busy: Mapping[str, str]

    @property
    def all(self) -> frozenset[str]:
        """Lately or for long."""
        return self.lately | self.long

    def among(self, nodes: Collection[str]) -> "OutOfService":
        """Those of these nodes only."""
        busy = {rescue: node for rescue, node in self.busy.items() if node in nodes}
        return OutOfService(self.lately.intersection(nodes), self.long.intersection(nodes), busy)

    def but(self, nodes: Collection[str]) -> "OutOfService":
        """Those of all other nodes."""
        return self.among(self.all.difference(nodes))


def is_cordoned_by_us(node: Node) -> bool:
    """Whether it carries a cordon of ours."""
    return node.unschedulable and CORDONED_BY in node.annotations


def out_of_service(
    rescues: Iterable[Rescue], cordoned: Mapping[str, Node], now: datetime, window: timedelta
) -> OutOfService:
    """Return the nodes that are out of service by our hand; *cordoned* are those that carry a cordon of ours.

    The cache alone is not trusted: a rescue that cordons and ends at once is over before the cache knows of its cordon.
    """
    kept, busy = set(), {}
    for rescue in rescues:
        if _keeps_out(rescue, now):
            kept.add(rescue.node)
        if rescue.begun and not rescue.status.ended:
            busy[rescue.name] = rescue.node
    kept.update(name for name, node in cordoned.items() if _is_recent(node, now, window))
    return OutOfService(frozenset(kept), frozenset(cordoned.keys() - kept), busy)


def _is_recent(node: Node, now: datetime, window: timedelta) -> bool:
    try:
        at = datetime.fromisoformat(node.annotations[CORDONED_AT])
    except (KeyError, ValueError):
        # A mark that somebody has garbled counts: holding one rescue too many is the smaller harm.
        return True
    return now - (at if at.tzinfo else at.replace(tzinfo=UTC)) <= window


def _keeps_out(rescue: Rescue, now: datetime) -> bool:
    if not rescue.status.ended:
        return rescue.begun
    if rescue.ended is None or now - rescue.ended > CACHE_LAG:
        return False
    steps = zip(rescue.plan.actions, rescue.steps, strict=True)
    done = {action.name for action, step in steps if step.status is Status.SUCCEEDED}
    return ActionName.UNCORDON not in done and not done.isdisjoint(_TAKING_OUT)
