"""What a test of admission asks: nodes, rescues at every point of their way, and the question itself."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.decide.admission import Admission, Cancel, Fold, Go, Hold, admission_states, admit
from pipeline.decide.guards import GuardSettings
from pipeline.model.guard import Guard, GuardState
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY
from pipeline.model.plan import ActionName
from pipeline.model.rescue import REBOOTED_AT, Rescue, Status, StepState
from tests.fakes.faults import NOON, rescue


def node(name: str = "gpu-1", **given: Any) -> Node:
    """A node in service, without GPUs, so that max_percent is not asked."""
    return Node(name, "1", **given)


def cordoned(name: str, at: str | None = NOON.isoformat(), **given: Any) -> Node:
    """A node with a cordon of ours."""
    marks = {CORDONED_BY: "somebody", **({CORDONED_AT: at} if at is not None else {})}
    return node(name, **{"unschedulable": True, "annotations": marks, **given})


def cluster(*nodes: Node) -> dict[str, Node]:
    """These nodes by name, and gpu-1 unless it is among them."""
    return {one.name: one for one in (node(), *nodes)}


def begun(one: Rescue, steps: int = 1) -> Rescue:
    """The rescue with that many steps started, all but the last of them done."""
    return done(steps - 1, one).with_step(steps - 1, StepState(Status.RUNNING, NOON))


def done(steps: int, one: Rescue | None = None) -> Rescue:
    """The rescue with that many steps done; a reboot among them was proven a second before noon."""
    one = one or rescue()
    for index in range(steps):
        one = one.with_step(index, StepState(Status.SUCCEEDED, NOON, NOON))
        if one.plan.actions[index].name is ActionName.REBOOT:
            one = rebooted(one, NOON - timedelta(seconds=1))
    return one


def rebooted(one: Rescue, at: datetime) -> Rescue:
    """The rescue with its reboot done, whose new boot was first seen at that time."""
    index = [action.name for action in one.plan.actions].index(ActionName.REBOOT)
    return one.with_step(index, StepState(Status.SUCCEEDED, at, at, memo={REBOOTED_AT: at.isoformat()}))


def over(
    one: Rescue,
    status: Status = Status.SUCCEEDED,
    ago: timedelta = timedelta(0),
    reason: str | None = None,
) -> Rescue:
    """The rescue, ended so long before noon."""
    return replace(one, status=status, reason=reason, ended=NOON - ago)


def ask(
    one: Rescue,
    others: Iterable[Rescue] = (),
    nodes: Mapping[str, Node] | None = None,
    now: Any = NOON,
    **settings: Any,
) -> Admission:
    """What admission says of the rescue; *nodes* are gpu-1 alone unless given."""
    guards = GuardSettings.model_validate(settings)
    return admit(one, [one, *others], cluster() if nodes is None else nodes, now, guards)


def states(
    one: Rescue,
    others: Iterable[Rescue] = (),
    nodes: Mapping[str, Node] | None = None,
    now: Any = NOON,
    **settings: Any,
) -> dict[Guard, GuardState]:
    """What each guard answers to the same."""
    guards = GuardSettings.model_validate(settings)
    asked = admission_states(one, [one, *others], cluster() if nodes is None else nodes, now, guards)
    return {state.guard: state for state in asked}


def answer(admission: Admission) -> str:
    """An admission in one word."""
    match admission:
        case Hold(reason) | Cancel(reason):
            return reason
        case Fold(into):
            return f"fold into {into}"
        case Go():
            return "go"
