"""What becomes of the plan of a rescue when more comes up on its node: a fault of its incident, or another rescue."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pipeline.decide.boots import may_be_one_boot
from pipeline.decide.family import LARGEST, gives_back, returned, same_family, speaks_for, with_member
from pipeline.decide.planner import in_order
from pipeline.decide.wording import described, names
from pipeline.errors import ConflictError
from pipeline.model.plan import ActionName, Plan
from pipeline.model.rescue import Entry, EventAction, Member, Rescue, StepState


def takes_over(leader: Rescue, other: Rescue) -> bool:
    """Whether it can still take the other one over: it is open, and no step has started that ends what it can do.

    After the reboot has started it is too late, because a fault may be of before or after it; offline is the end too,
    and so is that it was withdrawn.
    A cordon or a drain that has started is none: more can follow, under the same name, so that unCordon finds its own
    cordon. A fault that is known to be of another boot is not cured by what ends this one: a node that somebody has
    rebooted meanwhile is not rebooted again.
    """
    if not may_be_one_boot((*leader.faults, *other.faults)):
        return False
    last = (ActionName.REBOOT, ActionName.UNCORDON, ActionName.OFFLINE)
    steps = zip(leader.plan.actions, leader.steps, strict=True)
    return not (leader.status.ended or leader.withdrawn) and not any(
        step.started for action, step in steps if action.name in last
    )


def takes_in(rescue: Rescue, member: Member) -> bool:
    """Whether a fault of its incident can become one more member, with its plan, where it has one, merged.

    A plan is too late when more than the cordon has started: `escalate` hears it then as that of another fault. One
    that is to be rehearsed only and one that is not don't mix, nor do faults of two boots.
    """
    if (
        rescue.status.ended
        or rescue.withdrawn
        or len(rescue.members) >= LARGEST
        or rescue.member(member.name) is not None
    ):
        return False
    if not may_be_one_boot((*rescue.faults, member.fault)):
        return False
    plan = member.decision
    return not isinstance(plan, Plan) or (not rescue.committed and plan.dry_run == rescue.plan.dry_run)


def join(rescue: Rescue, member: Member, now: datetime) -> Rescue:
    """Return the rescue with one more fault in its incident; as it is where it can't take it in, or has already.

    What is merged, and how, is as `escalate` says of one family. `due` stays: the time to settle runs from the first.
    """
    if not takes_in(rescue, member):
        return rescue
    after = with_member(rescue, member, now)
    if not isinstance(member.decision, Plan):
        return after
    plan = _merged(rescue, member.decision, after.members)
    after = replace(after, plan=plan, steps=_aligned(rescue, plan))
    fault = member.fault.fault
    what = f"{fault.kind} {fault.code} belongs to the incident"
    return after if plan == rescue.plan else after.noted(_entry(rescue, what, member.name, member.decision, plan, now))


def escalate(first: Rescue, second: Rescue, now: datetime) -> Rescue:
    """Return *first* with what *second* asks for beyond it; a second time changes nothing.

    Actions: all that either plan has, in the order of every plan. What *first* has started stays as it is; an action
    that both have is told what the rule of the higher priority says, *first*'s if they are equal.

    Whether the node comes back: only if every plan returns it. A rescue leaves the node as its policy says, and a plan
    without unCordon, be it a cordon alone, leaves it to a person. Had that rescue ended a moment earlier, its cordon
    would be there and nobody else's unCordon would lift it; the outcome must not hang on that moment.

    Faults of one family are one fault, told several times (48, 63, 94, 154): of these only the worst one's plan has a
    say in that. Such rescues come from two replicas that saw one half each of an incident, and *first* gets the members
    of *second*, unless more than its cordon has started. Otherwise `count` and `first_seen` stay *first*'s own.

    Where one of them may not reboot again (`Plan.limit`), the other one doesn't either.

    `due` is now, because the plan may have dropped a waittime. `last_seen` is the newer one, because a held rescue is
    given up by the age of it. `folded` names *second* and what that one took over.

    Raises ConflictError when *first* cannot take *second* over, or not any more: ask `admit` again.
    """
    if second.name in first.folded and not first.status.ended:
        return first
    if not takes_over(first, second):
        raise ConflictError(f"rescue {first.name} cannot take over {second.name} any more")
    one_family = not first.committed and same_family(first, second) and _agree(first, second)
    merged = first
    for member in second.members if one_family else ():
        merged = merged if merged.member(member.name) is not None else with_member(merged, member, now)
    plan = _merged(first, second.plan, () if _outsiders(second) or not one_family else merged.members)
    taken = (name for name in (second.name, *second.folded) if name != first.name)
    merged = replace(
        merged,
        plan=plan,
        steps=_aligned(first, plan),
        due=now,
        last_seen=max(first.last_seen, second.last_seen),
        folded=tuple(dict.fromkeys((*first.folded, *taken))),
    )
    fault = second.cause.fault
    what = f"{fault.kind} {fault.code} (rescue {second.name}) is taken over"
    return merged if plan == first.plan else merged.noted(_entry(first, what, second.name, second.plan, plan, now))


def _agree(first: Rescue, second: Rescue) -> bool:
    """Whether *first* has heard all that it knows of *second*'s faults: none of them was taken in without its plan."""
    return all(first.member(member.name) is None or speaks_for(first, member) for member in second.members)


def _merged(first: Rescue, theirs: Plan, family: Sequence[Member]) -> Plan:
    """The plan of both; *family* are the members if they are of one family, which have one say together."""
    mine = first.plan
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
    back = returned(family) if family and not _outsiders(first) else gives_back(mine) and gives_back(theirs)
    if limit is not None or ActionName.OFFLINE in chosen or not back:
        chosen.pop(ActionName.UNCORDON, None)
    actions = in_order(chosen.values())
    if (actions, limit) == (mine.actions, mine.limit):
        return mine
    return replace(theirs if outranked else mine, actions=actions, limit=limit)


def _outsiders(rescue: Rescue) -> set[str]:
    """The rescues that it took over not as members with a plan: what they have said no member's plan takes back."""
    return set(rescue.folded) - {member.name for member in rescue.members if isinstance(member.decision, Plan)}


def _states(rescue: Rescue) -> dict[ActionName, StepState]:
    return {action.name: step for action, step in zip(rescue.plan.actions, rescue.steps, strict=True)}


def _aligned(rescue: Rescue, plan: Plan) -> tuple[StepState, ...]:
    states = _states(rescue)
    return tuple(states.get(action.name, StepState()) for action in plan.actions)


def _entry(first: Rescue, what: str, name: str, theirs: Plan, plan: Plan, now: datetime) -> Entry:
    say = names if names(plan.actions) != names(first.plan.actions) else described
    message = f"{first.node}: {what}; the plan is now {say(plan.actions)} instead of {say(first.plan.actions)}"
    message += f": {plan.limit}" if plan.limit != first.plan.limit else ""
    details: dict[str, str | int | bool] = {"folded": name, "policy": theirs.policy, "rule": theirs.rule}
    return Entry(now, EventAction.RESCUE_ESCALATED, message, plan=plan, details=details)
