"""cordon: mark the node unschedulable and write on it whose hand it was."""

from datetime import datetime

from pipeline.cluster.port import Cluster
from pipeline.execute.actions.marks import leave, signature, taken_back
from pipeline.execute.actions.port import Done, Outcome
from pipeline.model.node import Node, NodePatch
from pipeline.model.ownership import CORDONED_BY, UNDER_RESCUE
from pipeline.model.plan import Cordon
from pipeline.model.rescue import Rescue, StepState


class CordonRunner:
    """Cordons as `kubectl cordon` does; a node that somebody else has cordoned stays theirs.

    Such a node is not signed, but marked as under rescue, so that a cordoned standby is not put into service with the
    fault on it. unCordon and offline take the mark off; a plan that ends otherwise leaves it, with the cordon, to a
    person. A mark of another rescue stays, which serves as well.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def run(self, action: Cordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Cordon and sign the node, or mark it if it is cordoned, in one write; neither if that is done already.

        A node that carries our mark and is schedulable was uncordoned before anybody knew that we had cordoned it (a
        crash fell in between): it is left to whoever did.
        """
        node = await self._cluster.get_node(rescue.node)
        if taken_back(node, rescue):
            return await leave(self._cluster, node, rescue)
        if node.unschedulable:
            return await self._found_cordoned(node, rescue)
        patch = NodePatch(unschedulable=True, annotations=signature(rescue.name, now))
        await self._cluster.patch_node(node.name, patch, node.resource_version)
        return Done(f"{node.name} is cordoned")

    async def _found_cordoned(self, node: Node, rescue: Rescue) -> Done:
        owner = node.annotations.get(CORDONED_BY)
        if owner == rescue.name:
            return Done(f"{node.name} is cordoned")
        if UNDER_RESCUE not in node.annotations:
            patch = NodePatch(annotations={UNDER_RESCUE: rescue.name})
            await self._cluster.patch_node(node.name, patch, node.resource_version)
        by = f"rescue {owner}" if owner else "somebody else"
        return Done(f"{node.name} was cordoned before, by {by}: it stays theirs", {"cordoned_before": True})
