"""cordon: mark the node unschedulable and write on it whose hand it was."""

from datetime import datetime

from pipeline.cluster.port import Cluster
from pipeline.execute.actions.port import Done, Outcome
from pipeline.model.node import Node, NodePatch
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY
from pipeline.model.plan import Cordon
from pipeline.model.rescue import Rescue, StepState


class CordonRunner:
    """Cordons as `kubectl cordon` does; a node that somebody else has cordoned stays theirs."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def run(self, action: Cordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Cordon the node, unless it is cordoned."""
        node = await self._cluster.get_node(rescue.node)
        if node.unschedulable:
            return _already(rescue, node)
        marks = {CORDONED_BY: rescue.name, CORDONED_AT: now.isoformat()}
        await self._cluster.patch_node(
            node.name, NodePatch(unschedulable=True, annotations=marks), node.resource_version
        )
        return Done(f"{node.name} is cordoned")


def _already(rescue: Rescue, node: Node) -> Done:
    owner = node.annotations.get(CORDONED_BY)
    if owner == rescue.name:
        return Done(f"{node.name} is cordoned")
    by = f"rescue {owner}" if owner else "somebody else"
    return Done(f"{node.name} was cordoned before, by {by}: it stays theirs", {"cordoned_before": True})
