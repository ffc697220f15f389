"""One action of a plan by itself: its runner is called by hand, and what it answers is kept as the executor would."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.clock import ManualClock
from pipeline.cluster.memory import Budget, SimulatedCluster
from pipeline.errors import PermanentError
from pipeline.execute.actions.port import ActionRunner, Intend, Outcome, Wait
from pipeline.model.node import Node, NodePatch, Pod
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY, UNDER_RESCUE
from pipeline.model.plan import Action, Cordon
from pipeline.model.rescue import Status, StepState
from pipeline.rebooters.port import Asked
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.world import gpu_node

NAME = "gpu-1-xid-79-abc"
POLL = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SIGNED = {CORDONED_BY: NAME, CORDONED_AT: NOON.isoformat()}
POD = Pod("team", "train-0", "gpu-1", owner="Job", labels={"job": "train"})
NEVER = Budget("never", "team", selector={"job": "train"}, min_available=1)


class RoughCluster(SimulatedCluster):
    """A cluster whose nodes can be without a boot id, and that lets nobody touch the pods of some namespaces.

    `before_patch` is what somebody else does, once, when the next patch is on its way; `refuses` names nodes that the
    server lets nobody patch.
    """

    bootless = False
    forbidden: frozenset[str] = frozenset()
    more = ""
    before_patch: Callable[[], object] | None = None
    refuses: frozenset[str] = frozenset()

    async def get_node(self, name: str) -> Node:
        node = await super().get_node(name)
        return replace(node, boot_id="") if self.bootless else node

    async def patch_node(self, name: str, patch: NodePatch, resource_version: str) -> Node:
        if self.before_patch is not None:
            meddle, self.before_patch = self.before_patch, None
            meddle()
        if name in self.refuses:
            raise PermanentError(f"node {name} may not be patched")
        return await super().patch_node(name, patch, resource_version)

    async def evict(self, pod: Pod) -> None:
        self._refuse(pod)
        await super().evict(pod)

    async def delete_pod(self, pod: Pod, grace_period: timedelta) -> None:
        self._refuse(pod)
        await super().delete_pod(pod, grace_period)

    def _refuse(self, pod: Pod) -> None:
        if pod.namespace in self.forbidden:
            raise PermanentError(f"forbidden: namespace {pod.namespace} is being terminated{self.more}")


class Road:
    """A rebooter that answers as told, and remembers for the test what it was asked."""

    def __init__(self, cluster: SimulatedCluster, answer: Asked | None = None) -> None:
        self.requests: list[str] = []
        self.errors: list[Exception] = []
        self._cluster = cluster
        self._answer = answer

    async def reboot(self, node: Node, request: str) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.requests.append(request)
        self._cluster.reboot(node.name, request)

    async def asked(self, node: Node, request: str) -> Asked:
        if self._answer is not None:
            return self._answer
        return Asked.YES if request in self.requests else Asked.NO


class Stage:
    """One step of a rescue of gpu-1, after the steps before it have succeeded."""

    def __init__(self, action: Action, *nodes: Node, pods: Sequence[Pod] = (), **given: Any) -> None:
        before: tuple[Action, ...] = () if isinstance(action, Cordon) else (Cordon(),)
        self.action = action
        self.clock = ManualClock(NOON)
        self.cluster = RoughCluster(self.clock, nodes or [gpu_node()], pods)
        self.step = StepState(Status.RUNNING, NOON)
        planned = rescue(NAME, plan=plan(*before, action), **given)
        self.rescue = replace(planned, steps=(*[StepState(Status.SUCCEEDED, NOON, NOON) for _ in before], self.step))
        if before:
            self.edit(unschedulable=True, annotations=SIGNED)

    async def call(self, runner: ActionRunner[Any], after: timedelta = timedelta(0)) -> Outcome:
        """Call the runner when that much time has passed, and keep the memo that it answers with."""
        self.clock.move_to(self.clock.now() + after)
        outcome = await runner.run(self.action, self.rescue, self.step, self.clock.now())
        if isinstance(outcome, Intend | Wait) and outcome.memo is not None:
            self.step = replace(self.step, memo=outcome.memo)
            self.rescue = self.rescue.with_step(len(self.rescue.steps) - 1, self.step)
        return outcome

    async def calls(self, runner: ActionRunner[Any], most: int = 400) -> Outcome:
        """Call it, each time when it asks to be called, until it is through."""
        outcome = await self.call(runner)
        for _ in range(most):
            if not isinstance(outcome, Intend | Wait):
                return outcome
            outcome = await self.call(runner, outcome.delay if isinstance(outcome, Wait) else timedelta(0))
        raise AssertionError(f"not through after {most} calls")

    def edit(self, name: str = "gpu-1", **given: Any) -> None:
        """Change a node as somebody else does."""
        self.cluster.edit_node(name, NodePatch(**given))

    def hand_over(self) -> None:
        """Have somebody else's cordon on the node, and our mark that a rescue works on it."""
        self.edit(annotations={CORDONED_BY: None, CORDONED_AT: None, UNDER_RESCUE: NAME})

    def now(self) -> datetime:
        return self.clock.now()

    @property
    def node(self) -> Node:
        return self.cluster.nodes()["gpu-1"]

    async def pods(self) -> dict[str, bool]:
        """The pods on the node by name, and whether they are leaving."""
        return {pod.name: pod.terminating for pod in await self.cluster.pods_on("gpu-1")}
