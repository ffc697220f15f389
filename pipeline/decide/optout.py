"""A node that people have opted out: what is said of it, and of what a rescue leaves on it."""

from pipeline.decide.wording import names
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_BY, IGNORE
from pipeline.model.rescue import Rescue, Status

OPTED_OUT = f"somebody has opted the node out (annotation {IGNORE}): nothing is done to it"


def left(node: Node, rescue: Rescue) -> str:
    """Say that the rescue leaves the node as it is, and how to bring back what it has done to it so far."""
    steps = zip(rescue.plan.actions, rescue.steps, strict=True)
    done = [action for action, step in steps if step.status is Status.SUCCEEDED]
    if not done:
        return OPTED_OUT
    told = f"{OPTED_OUT} any more; it is left as it is after {names(done)}"
    if not node.unschedulable or node.annotations.get(CORDONED_BY) != rescue.name:
        return told
    return f"{told}, cordoned by our hand: kubectl uncordon {node.name} makes it schedulable"
