"""The marks of a rescue on a node: which are its own, and whether somebody has taken the node back from it."""

from collections.abc import Mapping
from datetime import datetime

from pipeline.cluster.port import Cluster
from pipeline.decide.optout import left
from pipeline.execute.actions.claims import give_back
from pipeline.execute.actions.port import Abandon
from pipeline.model.node import Node, NodePatch
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY, UNDER_RESCUE
from pipeline.model.plan import ActionName
from pipeline.model.rescue import CancelReason, Rescue, Status


def signature(rescue: str, now: datetime) -> Mapping[str, str | None]:
    """Return the annotations that go with a cordon of the rescue of that name."""
    return {CORDONED_BY: rescue, CORDONED_AT: now.isoformat()}


def removal(node: Node, rescue: Rescue) -> Mapping[str, str | None]:
    """Return the annotations that take this rescue's marks off the node, and no other's; empty when it has none."""
    marks: dict[str, str | None] = {}
    if node.annotations.get(CORDONED_BY) == rescue.name:
        marks |= {CORDONED_BY: None, CORDONED_AT: None}
    if node.annotations.get(UNDER_RESCUE) == rescue.name:
        marks |= {UNDER_RESCUE: None}
    return marks


def taken_back(node: Node, rescue: Rescue) -> bool:
    """Whether somebody has taken the node out of the rescue's hands: opted it out, or uncordoned it."""
    return node.opted_out or _uncordoned(node, rescue)


def _uncordoned(node: Node, rescue: Rescue) -> bool:
    """Whether somebody has uncordoned the node since this rescue cordoned it, or found it cordoned.

    Who uncordons a node as kubectl does leaves our marks on it. When they are off, a schedulable node still tells it if
    the rescue's cordon is done: from then on only its unCordon, the step after all that ask here, makes the node
    schedulable by our hand. A node that was deleted and has registered anew looks the same, and is left alone as well.
    """
    cordoned = any(
        action.name is ActionName.CORDON and step.status is Status.SUCCEEDED
        for action, step in zip(rescue.plan.actions, rescue.steps, strict=True)
    )
    return not node.unschedulable and (cordoned or bool(removal(node, rescue)))


async def leave(cluster: Cluster, node: Node, rescue: Rescue) -> Abandon:
    """Give up the rescue of a node that was taken back, each node in one write: its standby's, then its own.

    One that was uncordoned is in service: its standby goes back, then our marks come off, so that a crash in between
    forgets neither. One that was opted out is not touched: its cordon stays, and with it the standby that stands in.
    """
    if not _uncordoned(node, rescue):
        return Abandon(CancelReason.OPTED_OUT, f"{node.name}: {left(node, rescue)}")
    given_back = await give_back(cluster, rescue)
    if marks := removal(node, rescue):
        await cluster.patch_node(node.name, NodePatch(annotations=marks), node.resource_version)
    told = f"somebody has uncordoned {node.name} meanwhile: it is left to them{given_back}"
    return Abandon(CancelReason.UNCORDONED, told)
