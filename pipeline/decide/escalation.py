"""What becomes of the plan of a rescue that takes over another one on the same node."""

from dataclasses import replace
from datetime import datetime

from pipeline.decide.planner import in_order
from pipeline.decide.wording import described, names
from pipeline.errors import ConflictError
from pipeline.model.plan import ActionName, Plan
from pipeline.model.rescue import Entry, EventAction, Rescue, StepState


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

    Whether the node comes back: offline, in either, and it does not. Otherwise the plans that reboot have the say, and
    it comes back only if each of them returns it: a rule that reboots and leaves the node cordoned wants a person to
    look. A plan that does not reboot says nothing about what follows a reboot: it cordoned because of a fault that the
    reboot of the other one is to clear, and were it to keep the node out, each of the lesser faults that come with a
    great one would (48 brings 63 and 94, and the global policy cordons for them).

    Raises ConflictError when *first* has ended or gone too far to take another one over: ask `admit` again.
    """
    if second.name in first.folded:
        return first
    if not takes_over(first):
        raise ConflictError(f"rescue {first.name} cannot take over {second.name} any more")
    plan = _merged(first, second)
    merged = replace(
        first,
        plan=plan,
        steps=_aligned(first, plan),
        count=first.count + second.count,
        first_seen=min(first.first_seen, second.first_seen),
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
    if not _returns(mine, theirs):
        chosen.pop(ActionName.UNCORDON, None)
    actions = in_order(chosen.values())
    if actions == mine.actions:
        return mine
    stronger = theirs if outranked else mine
    return Plan(actions, stronger.policy, stronger.rule, stronger.priority, stronger.considered)


def _returns(*plans: Plan) -> bool:
    names = [{action.name for action in plan.actions} for plan in plans]
    rebooting = [plan for plan in names if ActionName.REBOOT in plan]
    offline = any(ActionName.OFFLINE in plan for plan in names)
    return not offline and all(ActionName.UNCORDON in plan for plan in rebooting)


def _states(rescue: Rescue) -> dict[ActionName, StepState]:
    return {action.name: step for action, step in zip(rescue.plan.actions, rescue.steps, strict=True)}


def _aligned(rescue: Rescue, plan: Plan) -> tuple[StepState, ...]:
    states = _states(rescue)
    return tuple(states.get(action.name, StepState()) for action in plan.actions)


def _entry(first: Rescue, second: Rescue, plan: Plan, now: datetime) -> Entry:
    fault = second.cause.fault
    say = names if names(plan.actions) != names(first.plan.actions) else described
    message = (
        f"{first.node}: {fault.kind} {fault.code} (rescue {second.name}) asks for more; "
        f"the plan is now {say(plan.actions)} instead of {say(first.plan.actions)}"
    )
    details: dict[str, str | int | bool] = {
        "folded": second.name,
        "policy": second.plan.policy,
        "rule": second.plan.rule,
    }
    return Entry(now, EventAction.RESCUE_ESCALATED, message, details=details)
