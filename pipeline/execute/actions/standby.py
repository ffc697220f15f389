"""enableWarmStandby: put a standby node into service in this node's place."""

import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import structlog

from pipeline.cluster.port import Cluster
from pipeline.decide.standby import free, is_free, is_standby, shortage, standbys
from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.errors import NotFoundError
from pipeline.execute.actions.claims import STANDBY, adopting, look, stands_in, stood_in, taking
from pipeline.execute.actions.marks import leave, taken_back
from pipeline.execute.actions.port import Done, Intend, Outcome, Wait
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_BY
from pipeline.model.plan import EnableWarmStandby
from pipeline.model.rescue import Rescue, StepState

_CHOOSE_AGAIN = timedelta(seconds=5)

Choice = Callable[[Sequence[Node]], Node]

_log = structlog.get_logger()


class StandbyRunner:
    """Claims one of the matching standbys, each as likely as the other; without any, the rescue goes on and says so."""

    def __init__(
        self,
        cluster: Cluster,
        policies: Callable[[], Sequence[WarmStandbyPolicy]],
        label: str,
        failing: Callable[[], Collection[str]],
        choose: Choice = random.choice,
    ) -> None:
        """*label* is that of the reserve; *failing* names the nodes with an open rescue: none of them is chosen."""
        self._cluster = cluster
        self._policies = policies
        self._label = label
        self._failing = failing
        self._choose = choose

    async def run(self, action: EnableWarmStandby, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Choose a standby and save which, then put it into service and write on it for which rescue, in one write.

        A standby that an earlier rescue of the same node has put into service goes on standing in: no other is taken.
        One that was taken, or is not free any more, between the choice and the claim is given up; a moment later
        another one is chosen. A node that was taken back, or that is in the reserve itself, needs no standby.
        """
        node = await self._cluster.get_node(rescue.node)
        if taken_back(node, rescue):
            return await leave(self._cluster, node, rescue)
        if STANDBY in step.memo:
            return await self._claim(step.memo[STANDBY], rescue)
        if is_standby(node, self._label) and CORDONED_BY not in node.annotations:
            return Done(f"{node.name} is a standby itself: none has to stand in for it", {"standby": "none"})
        return await self._standing_in(rescue) or await self._choice(rescue)

    async def _standing_in(self, rescue: Rescue) -> Intend | None:
        for name, node in sorted(self._cluster.nodes().items()):
            now = await look(self._cluster, name) if stood_in(node, rescue) and name not in self._failing() else None
            if now is not None and stood_in(now, rescue):
                return Intend({STANDBY: name}, f"{name} stands in for {rescue.node} already, and is to go on")
        return None

    async def _choice(self, rescue: Rescue) -> Outcome:
        # The cache may show as free what was taken a moment ago: each choice is looked at, and a wrong one left out.
        reserve = {node.name: node for node in self._free()}
        while (found := standbys(rescue.node, rescue.cause.labels, reserve.values(), self._policies())).nodes:
            name = self._choose(found.nodes).name
            node = await look(self._cluster, name)
            if node is not None and is_free(node, self._label):
                policy = found.policy_of(name)
                by = f"policy {policy}" if policy else "no policy that names one for it, so any would do"
                return Intend({STANDBY: name}, f"{name} is to stand in for {rescue.node}, by {by}")
            del reserve[name]
        return self._without(rescue)

    async def _claim(self, name: str, rescue: Rescue) -> Outcome:
        standby = await look(self._cluster, name)
        if standby is not None and stands_in(standby, rescue):
            return self._claimed(name, rescue)
        if standby is None or name in self._failing():
            return Wait(_CHOOSE_AGAIN, {})
        if stood_in(standby, rescue):
            patch = adopting(rescue)
        elif is_free(standby, self._label):
            patch = taking(standby, rescue, self._label)
        else:
            return Wait(_CHOOSE_AGAIN, {})
        try:
            # The version makes sure that no two rescues take the same standby.
            await self._cluster.patch_node(name, patch, standby.resource_version)
        except NotFoundError:
            return Wait(_CHOOSE_AGAIN, {})
        return self._claimed(name, rescue)

    def _claimed(self, name: str, rescue: Rescue) -> Done:
        left = sum(node.name != name for node in self._free())
        told = f"{name} stands in for {rescue.node}"
        if left == 0:
            _log.warning("standby.last-taken", rescue=rescue.name, standby=name)
            told += "; it was the last free warm standby"
        return Done(told, {"standby": name, "reserve_left": left})

    def _without(self, rescue: Rescue) -> Done:
        told = f"no warm standby is left to stand in for {rescue.node}"
        if (why := shortage(self._cluster.nodes(), self._label)) is not None:
            told += f": {why}"
        _log.warning("standby.none-left", rescue=rescue.name, told=told)
        return Done(told, {"standby": "none", "reserve_left": 0})

    def _free(self) -> list[Node]:
        failing = self._failing()
        return [node for node in free(self._cluster.nodes(), self._label) if node.name not in failing]
