"""Standbys, and a rescue of gpu-1 that has claimed one: what a test of the reserve needs."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.execute.actions.claims import STANDBY
from pipeline.execute.actions.standby import Choice, StandbyRunner
from pipeline.model.node import Node
from pipeline.model.ownership import STANDBY_FOR, STANDBY_LABEL, STANDBY_OF, WARM_STANDBY
from pipeline.model.plan import Action, ActionName, Cordon, Drain, EnableWarmStandby, Reboot
from pipeline.model.rescue import Status, StepState
from tests.fakes.faults import NOON, plan
from tests.fakes.stage import NAME, Stage
from tests.fakes.world import gpu_node

LABEL = {WARM_STANDBY: "hot"}
CLAIMED = {STANDBY_FOR: NAME, STANDBY_OF: "gpu-1", STANDBY_LABEL: f"{WARM_STANDBY}=hot"}
IN_SERVICE: dict[str, Any] = {"labels": {"app": "train"}, "annotations": CLAIMED}


def spare(name: str = "spare-1", **given: Any) -> Node:
    """A free standby."""
    return gpu_node(name, **{"labels": {**LABEL, "app": "train"}, "unschedulable": True, **given})


def policy(name: str, origin: dict[str, str], target: dict[str, str]) -> WarmStandbyPolicy:
    """A policy with one match."""
    manifest = {"apiVersion": "rescue.ksyun.com/v1", "kind": "WarmStandbyPolicy", "metadata": {"name": name}}
    matches = [{"originNode": origin, "targetNode": target}]
    return WarmStandbyPolicy.model_validate({**manifest, "spec": {"matches": matches}})


def claiming(
    stage: Stage,
    *policies: WarmStandbyPolicy,
    label: str = WARM_STANDBY,
    failing: Callable[[], Collection[str]] = tuple,
    choose: Choice = lambda nodes: nodes[0],
) -> StandbyRunner:
    """The runner of enableWarmStandby; it takes the first one there is."""
    return StandbyRunner(stage.cluster, lambda: policies, label, failing, choose)


def replaced(action: Action, *nodes: Node, **given: Any) -> Stage:
    """A step of a rescue of gpu-1 that comes after enableWarmStandby, which has claimed spare-1."""
    stage = Stage(action, *(nodes or (gpu_node(), gpu_node("spare-1", **IN_SERVICE))), **given)
    order: Sequence[Action] = (Cordon(), EnableWarmStandby(), Drain(), Reboot())
    before = order[: {ActionName.DRAIN: 2, ActionName.REBOOT: 3}.get(action.name, 4)]
    done = [_succeeded(one) for one in before]
    stage.rescue = replace(stage.rescue, plan=plan(*before, action), steps=(*done, stage.step))
    return stage


def _succeeded(action: Action) -> StepState:
    memo = {STANDBY: "spare-1"} if isinstance(action, EnableWarmStandby) else {}
    return StepState(Status.SUCCEEDED, NOON, NOON, memo=memo)
