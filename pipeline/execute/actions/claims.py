"""The standby that a rescue has claimed: which it is, how it is taken out of the reserve and how it goes back."""

import structlog

from pipeline.cluster.port import Cluster
from pipeline.errors import NotFoundError, PermanentError
from pipeline.model.node import Node, NodePatch
from pipeline.model.ownership import CORDONED_BY, STANDBY_FOR, STANDBY_LABEL, STANDBY_OF, UNDER_RESCUE
from pipeline.model.plan import ActionName
from pipeline.model.rescue import Rescue, Status

STANDBY = "standby"
"""Memo of enableWarmStandby: the standby that was chosen, and is claimed by the next call."""

UNMARKED = {STANDBY_FOR: None, STANDBY_LABEL: None, STANDBY_OF: None}
"""The annotations that take the marks of a claim off."""

_EMPTIED = (ActionName.DRAIN, ActionName.REBOOT)

_log = structlog.get_logger()


def chosen(rescue: Rescue) -> str | None:
    """Return the name of the standby that the rescue has claimed, or is about to."""
    steps = zip(rescue.plan.actions, rescue.steps, strict=True)
    return next((step.memo.get(STANDBY) for action, step in steps if action.name is ActionName.WARM_STANDBY), None)


async def look(cluster: Cluster, name: str | None) -> Node | None:
    """Return the node as it is now, None if there is none of that name."""
    try:
        return None if name is None else await cluster.get_node(name)
    except NotFoundError:
        return None


def taking(standby: Node, rescue: Rescue, label: str) -> NodePatch:
    """Return what puts a free standby into service for the rescue and out of the reserve, in one write."""
    remembered = f"{label}={standby.labels[label]}"
    annotations = {STANDBY_FOR: rescue.name, STANDBY_OF: rescue.node, STANDBY_LABEL: remembered}
    return NodePatch(unschedulable=False, labels={label: None}, annotations=annotations)


def stands_in(standby: Node, rescue: Rescue) -> bool:
    """Whether it is this rescue's mark that the standby carries."""
    return standby.annotations.get(STANDBY_FOR) == rescue.name


def stood_in(standby: Node, rescue: Rescue) -> bool:
    """Whether an earlier rescue of the same node has put the standby into service, and it still is: it goes on."""
    return standby.annotations.get(STANDBY_OF) == rescue.node and standby.ready and in_service(standby)


def adopting(rescue: Rescue) -> NodePatch:
    """Return what makes a standby that an earlier rescue of the node has claimed this rescue's own."""
    return NodePatch(annotations={STANDBY_FOR: rescue.name})


def label_of(standby: Node) -> tuple[str, str] | None:
    """Return key and value of the label that a standby had in the reserve; None if that is not remembered."""
    key, sign, value = standby.annotations.get(STANDBY_LABEL, "").partition("=")
    return (key, value) if key and sign else None


def in_service(standby: Node) -> bool:
    """Whether a standby still is where a claim has put it: schedulable, and no rescue of its own works on it."""
    return not standby.unschedulable and {CORDONED_BY, UNDER_RESCUE}.isdisjoint(standby.annotations)


async def give_back(cluster: Cluster, rescue: Rescue) -> str:
    """Put the rescue's standby back into the reserve, in one write, because its node is in service without it.

    Return what became of it, to be added to a sentence; "" if there is nothing to tell, also when an earlier call has
    done it. Pods that run on the standby stay there. It goes on standing in once the node was drained or rebooted: from
    then on it does the node's work. Who has cordoned or labelled it meanwhile wins, and only our marks come off. A
    standby that cannot be put back is no reason to keep the node.
    """
    standby = await look(cluster, chosen(rescue))
    if standby is None or not stands_in(standby, rescue):
        return ""
    if _emptied(rescue):
        return f"; {standby.name} has taken over its work and stays in service"
    if standby.opted_out:
        return f"; {standby.name} is opted out and stays as it is"
    patch, told = _returning(standby)
    try:
        await cluster.patch_node(standby.name, patch, standby.resource_version)
    except PermanentError as error:
        told = f"could not be put back into the reserve: {error}"
    _log.info("standby.given-back", rescue=rescue.name, standby=standby.name, told=told)
    return f"; {standby.name} {told}"


def _returning(standby: Node) -> tuple[NodePatch, str]:
    label = label_of(standby)
    if label is None or label[0] in standby.labels or not in_service(standby):
        return NodePatch(annotations=UNMARKED), "was changed by others meanwhile and is left to them"
    patch = NodePatch(unschedulable=True, labels=dict([label]), annotations=UNMARKED)
    return patch, "is back in the reserve"


def _emptied(rescue: Rescue) -> bool:
    steps = zip(rescue.plan.actions, rescue.steps, strict=True)
    return any(action.name in _EMPTIED and step.status is Status.SUCCEEDED for action, step in steps)
