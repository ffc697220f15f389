"""unCordon: make the node schedulable again, if this very rescue cordoned it."""

from datetime import datetime

from pipeline.cluster.port import Cluster
from pipeline.execute.actions.claims import give_back
from pipeline.execute.actions.marks import removal
from pipeline.execute.actions.port import UNCORDONED, Done, Outcome
from pipeline.model.node import NodePatch
from pipeline.model.ownership import CORDONED_BY
from pipeline.model.plan import Uncordon
from pipeline.model.rescue import Rescue, StepState


class UncordonRunner:
    """Uncordons as `kubectl uncordon` does, and never lifts a cordon of another hand."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def run(self, action: Uncordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Lift our own cordon and take our marks off, in one write; where the cordon is not ours, only the marks.

        The standby of a rescue that was withdrawn goes back into the reserve first, so that a crash in between forgets
        neither. Marks on a schedulable node show that somebody else has uncordoned it: our own hand takes both off together.
        """
        given_back = await give_back(self._cluster, rescue) if rescue.withdrawn else ""
        node = await self._cluster.get_node(rescue.node)
        owner = node.annotations.get(CORDONED_BY)
        ours = owner == rescue.name
        if marks := removal(node, rescue):
            patch = NodePatch(unschedulable=False if ours else None, annotations=marks)
            await self._cluster.patch_node(node.name, patch, node.resource_version)
        if not node.unschedulable and marks:
            told = f"{node.name} is schedulable already: somebody has uncordoned it meanwhile{given_back}"
            return Done(told, {UNCORDONED: True})
        if not node.unschedulable:
            return Done(f"{node.name} is schedulable already{given_back}")
        if ours:
            return Done(f"{node.name} is schedulable again{given_back}")
        by = f"rescue {owner}" if owner else "somebody else"
        return Done(f"{node.name} stays cordoned: {by} cordoned it{given_back}", {"left_cordoned": True})
