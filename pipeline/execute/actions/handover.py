"""unCordon where another rescue waits for the node: its cordon is handed over instead of lifted."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from pipeline.cluster.port import Cluster
from pipeline.execute.actions.marks import removal, signature
from pipeline.execute.actions.port import ActionRunner, Done, Outcome
from pipeline.model.node import NodePatch
from pipeline.model.ownership import CORDONED_BY
from pipeline.model.plan import Uncordon
from pipeline.model.rescue import Rescue, StepState

Begin = Callable[[Rescue, datetime], Awaitable[str | None]]
"""Has the rescue begin that goes on with the node of this one, and returns its name; None if there is none."""


class HandOverRunner:
    """Signs our cordon with the name of the rescue that goes on with the node; without one, the node is given back."""

    def __init__(self, cluster: Cluster, giving_back: ActionRunner[Uncordon], begin: Begin) -> None:
        self._cluster = cluster
        self._giving_back = giving_back
        self._begin = begin

    async def run(self, action: Uncordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Hand the cordon over in one write, so that no pod is scheduled in between; a cordon of another hand stays."""
        node = await self._cluster.get_node(rescue.node)
        ours = node.unschedulable and node.annotations.get(CORDONED_BY) == rescue.name
        heir = await self._begin(rescue, now) if ours else None
        if heir is None:
            return await self._giving_back.run(action, rescue, step, now)
        patch = NodePatch(annotations={**removal(node, rescue), **signature(heir, now)})
        await self._cluster.patch_node(node.name, patch, node.resource_version)
        told = f"{node.name} stays cordoned: rescue {heir}, which has waited for it, goes on with it"
        return Done(told, {"left_cordoned": True})
