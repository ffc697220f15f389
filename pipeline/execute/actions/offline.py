"""offline: take the node out for good; only a person brings it back."""

from datetime import datetime

from pipeline.cluster.port import Cluster
from pipeline.execute.actions.marks import leave, signature, taken_back
from pipeline.execute.actions.port import Done, Outcome
from pipeline.model.node import Node, NodePatch, Taint
from pipeline.model.ownership import OFFLINE, OFFLINE_REASON, UNDER_RESCUE
from pipeline.model.plan import Offline
from pipeline.model.rescue import Rescue, StepState

_TAINT = Taint(OFFLINE, "true", "NoSchedule")


class OfflineRunner:
    """Cordons the node and marks it by taint, label and reason, in one write; taints of others stay.

    The cordon is signed if it is ours, so that the node counts as out of service by our hand. The mark that a rescue
    works on the node goes: offline says more, and whoever brings the node back need not look for it.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def run(self, action: Offline, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Write the marks, unless they are all there; a node that was taken back is left alone.

        A label of this key that somebody else has set keeps its value.
        """
        node = await self._cluster.get_node(rescue.node)
        if taken_back(node, rescue):
            return await leave(self._cluster, node, rescue)
        if OFFLINE in node.labels and node.unschedulable and _tainted(node):
            return Done(f"{node.name} is offline")
        fault = rescue.cause.fault
        annotations: dict[str, str | None] = {
            OFFLINE_REASON: f"{rescue.name}: {fault.kind} {fault.code} at {now.isoformat()}"
        }
        if not node.unschedulable:
            annotations |= signature(rescue.name, now)
        if node.annotations.get(UNDER_RESCUE) == rescue.name:
            annotations |= {UNDER_RESCUE: None}
        patch = NodePatch(
            unschedulable=True,
            labels={} if OFFLINE in node.labels else {OFFLINE: "true"},
            annotations=annotations,
            taints=node.taints if _tainted(node) else (*node.taints, _TAINT),
        )
        await self._cluster.patch_node(node.name, patch, node.resource_version)
        return Done(f"{node.name} is offline until a person brings it back")


def _tainted(node: Node) -> bool:
    """Whether the taint is there; a key and an effect make one taint, whatever its value."""
    return any((taint.key, taint.effect) == (_TAINT.key, _TAINT.effect) for taint in node.taints)
