"""enableWarmStandby: put a standby node into service in this node's place."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime

from pipeline.cluster.port import Cluster
from pipeline.decide.standby import is_free, standbys
from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.errors import NotFoundError
from pipeline.execute.actions.port import Done, Intend, Outcome
from pipeline.model.node import Node, NodePatch
from pipeline.model.ownership import STANDBY_FOR
from pipeline.model.plan import EnableWarmStandby
from pipeline.model.rescue import Rescue, StepState

Choice = Callable[[Sequence[Node]], Node]


class StandbyRunner:
    """Claims one of the matching standbys, each as likely as the other; without any, the rescue goes on and says so."""

    def __init__(
        self, cluster: Cluster, policies: Callable[[], Sequence[WarmStandbyPolicy]], choose: Choice = random.choice
    ) -> None:
        self._cluster = cluster
        self._policies = policies
        self._choose = choose

    async def run(self, action: EnableWarmStandby, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Choose a standby and save which, then uncordon it and write on it for which rescue, in one write."""
        chosen = await self._chosen(step)
        if chosen is None or not (is_free(chosen) or _stands_in(chosen, rescue)):
            return self._choice(rescue)
        if not _stands_in(chosen, rescue):
            # The version makes sure that no two rescues take the same standby.
            patch = NodePatch(unschedulable=False, annotations={STANDBY_FOR: rescue.name})
            await self._cluster.patch_node(chosen.name, patch, chosen.resource_version)
        return Done(f"{chosen.name} stands in for {rescue.node}", {"standby": chosen.name})

    async def _chosen(self, step: StepState) -> Node | None:
        if "standby" not in step.memo:
            return None
        try:
            return await self._cluster.get_node(step.memo["standby"])
        except NotFoundError:
            return None

    def _choice(self, rescue: Rescue) -> Outcome:
        found = standbys(rescue.cause.labels, self._cluster.nodes(), self._policies())
        if not found.nodes:
            return Done(f"no warm standby is left to stand in for {rescue.node}", {"standby": "none"})
        name = self._choose(found.nodes).name
        by = f"policy {found.policy}" if found.policy else "no policy that names one for it, so any would do"
        return Intend({"standby": name}, f"{name} is to stand in for {rescue.node}, by {by}")


def _stands_in(standby: Node, rescue: Rescue) -> bool:
    return standby.annotations.get(STANDBY_FOR) == rescue.name
