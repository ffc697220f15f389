"""offline: take the node out for good; only a person brings it back."""

from datetime import datetime

from pipeline.cluster.port import Cluster
from pipeline.execute.actions.port import Done, Outcome
from pipeline.model.node import NodePatch, Taint
from pipeline.model.ownership import OFFLINE, OFFLINE_REASON
from pipeline.model.plan import Offline
from pipeline.model.rescue import Rescue, StepState


class OfflineRunner:
    """Cordons the node and marks it by taint, label and reason, in one write."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def run(self, action: Offline, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Write the marks, unless they are there."""
        node = await self._cluster.get_node(rescue.node)
        if OFFLINE in node.labels and node.unschedulable:
            return Done(f"{node.name} is offline")
        fault = rescue.cause.fault
        taints = tuple(taint for taint in node.taints if taint.key != OFFLINE)
        patch = NodePatch(
            unschedulable=True,
            labels={OFFLINE: "true"},
            annotations={OFFLINE_REASON: f"{rescue.name}: {fault.kind} {fault.code} at {now.isoformat()}"},
            taints=(*taints, Taint(OFFLINE, "true", "NoSchedule")),
        )
        await self._cluster.patch_node(node.name, patch, node.resource_version)
        return Done(f"{node.name} is offline until a person brings it back")
