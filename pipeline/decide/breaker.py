"""Which nodes are out of service by our hand, as the breaker counts them."""

from collections.abc import Iterable, Mapping
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


def out_of_service(
    rescues: Iterable[Rescue], nodes: Mapping[str, Node], now: datetime, window: timedelta
) -> frozenset[str]:
    """Return the names of the nodes that carry a cordon of ours, no older than *window*, or that a rescue works on.

    The cache alone is not trusted: a rescue that cordons and ends at once is over before the cache knows of its cordon.
    """
    cordoned = {name for name, node in nodes.items() if _is_ours(node, now, window)}
    return frozenset(cordoned | {rescue.node for rescue in rescues if _keeps_out(rescue, now)})


def _is_ours(node: Node, now: datetime, window: timedelta) -> bool:
    if not node.unschedulable or CORDONED_BY not in node.annotations:
        return False
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
