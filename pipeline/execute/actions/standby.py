"""enableWarmStandby: put a standby node into service in this node's place."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pipeline.cluster.port import Cluster
from pipeline.decide.standby import is_free, standbys
from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.errors import NotFoundError
from pipeline.execute.actions.port import Done, Intend, Outcome, Wait
from pipeline.model.node import Node, NodePatch
from pipeline.model.ownership import STANDBY_FOR
from pipeline.model.plan import EnableWarmStandby
from pipeline.model.rescue import Rescue, StepState

_STANDBY = "standby"
"""Memo: the standby that was chosen, and is to be claimed by the next call."""

_CHOOSE_AGAIN = timedelta(seconds=5)

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
        """Choose a standby and save which, then uncordon it and write on it for which rescue, in one write.

        One that was taken, or is not free any more, between the choice and the claim is given up; a moment later
        another one is chosen.
        """
        if _STANDBY not in step.memo:
            return await self._choice(rescue)
        chosen = await self._look(step.memo[_STANDBY])
        if chosen is not None and _stands_in(chosen, rescue):
            return _claimed(chosen, rescue)
        if chosen is None or not is_free(chosen):
            return Wait(_CHOOSE_AGAIN, {})
        # The version makes sure that no two rescues take the same standby.
        patch = NodePatch(unschedulable=False, annotations={STANDBY_FOR: rescue.name})
        await self._cluster.patch_node(chosen.name, patch, chosen.resource_version)
        return _claimed(chosen, rescue)

    async def _choice(self, rescue: Rescue) -> Outcome:
        # The cache may show as free what was taken a moment ago: each choice is looked at, and a wrong one left out.
        nodes = dict(self._cluster.nodes())
        while (found := standbys(rescue.node, rescue.cause.labels, nodes, self._policies())).nodes:
            name = self._choose(found.nodes).name
            node = await self._look(name)
            if node is not None and is_free(node):
                policy = found.policy_of(name)
                by = f"policy {policy}" if policy else "no policy that names one for it, so any would do"
                return Intend({_STANDBY: name}, f"{name} is to stand in for {rescue.node}, by {by}")
            del nodes[name]
        return Done(f"no warm standby is left to stand in for {rescue.node}", {"standby": "none"})

    async def _look(self, name: str) -> Node | None:
        try:
            return await self._cluster.get_node(name)
        except NotFoundError:
            return None


def _stands_in(standby: Node, rescue: Rescue) -> bool:
    return standby.annotations.get(STANDBY_FOR) == rescue.name


def _claimed(standby: Node, rescue: Rescue) -> Done:
    return Done(f"{standby.name} stands in for {rescue.node}", {"standby": standby.name})
