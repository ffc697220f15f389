"""What becomes of the plan of a rescue that takes over another one on the same node."""

from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.decide.errorcodes import severity
from pipeline.decide.planner import in_order
from pipeline.decide.wording import described, names
from pipeline.errors import ConflictError
from pipeline.model.fault import NodeFault
from pipeline.model.plan import ActionName, Plan
from pipeline.model.rescue import Entry, EventAction, Rescue, StepState

FAMILY = timedelta(seconds=2)
"""How far apart the faults of one family are at the most; drivers print them within a second."""


def takes_over(leader: Rescue) -> bool:
    """Whether it can still take another rescue over: it is open, and no step has started that ends what it can do.

    After the reboot has started it is too late, because a fault may be of before or after it; offline is the end too.
    A cordon or a drain that has started is none: more can follow, under the same name, so that unCordon finds its own
    cordon.
    """
    last = (ActionName.REBOOT, ActionName.UNCORDON, ActionName.OFFLINE)
    steps = zip(leader.plan.actions, leader.steps, strict=True)
    return not leader.status.ended and not any(step.started for action, step in steps if action.name in last)


def escalate(first: Rescue, second: Rescue, now: datetime) -> Rescue:
    """Return *first* with what *second* asks for beyond it; a second time changes nothing.

    Actions: all that either plan has, in the order of every plan. What *first* has started stays as it is; an action
    that both have is told what the rule of the higher priority says, *first*'s if they are equal.

    Whether the node comes back: only if every plan returns it. A rescue leaves the node as its policy says, and a plan
    without unCordon, be it a cordon alone, leaves it to a person. Had that rescue ended a moment earlier, its cordon
    would be there and nobody else's unCordon would lift it; the outcome must not hang on that moment.

    Faults of one family are one fault, told several times (48, 63, 94, 154): of these only the worst one's plan has a
    say in that.

    Where one of them may not reboot again (`Plan.limit`), the other one doesn't either.

    `due` is now, because the plan may have dropped a waittime. `last_seen` is the newer one, because a held rescue is
    given up by the age of it. `count` and `first_seen` stay *first*'s own: each rescue counts its own fault.

    Raises ConflictError when *first* has ended or gone too far to take another one over: ask `admit` again.
    """
    if second.name in first.folded and not first.status.ended:
        return first
    if not takes_over(first):
        raise ConflictError(f"rescue {first.name} cannot take over {second.name} any more")
    plan = _merged(first, second)
    merged = replace(
        first,
        plan=plan,
        steps=_aligned(first, plan),
        due=now,
        last_seen=max(first.last_seen, second.last_seen),
        folded=(*first.folded, second.name),
    )
    return merged if plan == first.plan else merged.noted(_entry(first, second, plan, now))


def _merged(first: Rescue, second: Rescue) -> Plan:
    mine, theirs = first.plan, second.plan
    states = _states(first)
    outranked = theirs.priority > mine.priority
    chosen = {action.name: action for action in theirs.actions}
    for action in mine.actions:
        begun = states[action.name].started is not None
        if begun or not outranked or action.name not in chosen:
            chosen[action.name] = action
    limit = mine.limit or theirs.limit
    if limit is not None:
        chosen.pop(ActionName.REBOOT, None)
    if limit is not None or not all(_returns(plan) for plan in _heard(first, second)):
        chosen.pop(ActionName.UNCORDON, None)
    actions = in_order(chosen.values())
    if actions == mine.actions:
        return mine
    return replace(theirs if outranked else mine, actions=actions, limit=limit)


def _returns(plan: Plan) -> bool:
    # offline excludes unCordon, so that a plan that takes the node out for good does not return it either.
    return any(action.name is ActionName.UNCORDON for action in plan.actions)


def _heard(first: Rescue, second: Rescue) -> tuple[Plan, ...]:
    """The plans that have a say in whether the node comes back."""
    if first.begun or not same_family(first.cause, second.cause):
        return first.plan, second.plan
    return (max((first, second), key=_weight).plan,)


def same_family(one: NodeFault, other: NodeFault) -> bool:
    """Whether two faults of a node are one that the driver tells in several ways: the same GPU, at the same time."""
    return one.fault.pci == other.fault.pci is not None and abs(one.time - other.time) <= FAMILY


def _weight(rescue: Rescue) -> tuple[int, int]:
    return severity(rescue.cause).rank, rescue.plan.priority


def _states(rescue: Rescue) -> dict[ActionName, StepState]:
    return {action.name: step for action, step in zip(rescue.plan.actions, rescue.steps, strict=True)}


def _aligned(rescue: Rescue, plan: Plan) -> tuple[StepState, ...]:
    states = _states(rescue)
    return tuple(states.get(action.name, StepState()) for action in plan.actions)


def _entry(first: Rescue, second: Rescue, plan: Plan, now: datetime) -> Entry:
    fault = second.cause.fault
    say = names if names(plan.actions) != names(first.plan.actions) else described
    message = (
        f"{first.node}: {fault.kind} {fault.code} (rescue {second.name}) is taken over; "
        f"the plan is now {say(plan.actions)} instead of {say(first.plan.actions)}"
    )
    details: dict[str, str | int | bool] = {
        "folded": second.name,
        "policy": second.plan.policy,
        "rule": second.plan.rule,
    }
    return Entry(now, EventAction.RESCUE_ESCALATED, message, plan=plan, details=details)
