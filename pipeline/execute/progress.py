"""How a rescue changes when something happens to it: pure functions, each writes the journal entry that tells of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.decide.family import seen, with_member
from pipeline.decide.identity import device_of
from pipeline.decide.wording import names
from pipeline.execute.actions.port import UNCORDONED
from pipeline.model.fault import NodeFault
from pipeline.model.guard import GuardState
from pipeline.model.plan import ActionName, Plan, Reboot, Uncordon
from pipeline.model.rescue import (
    RECOVERED_AT,
    CancelReason,
    Entry,
    EventAction,
    FailReason,
    HoldReason,
    Member,
    Rescue,
    Status,
    StepState,
)

Details = Mapping[str, str | int | bool]
Guards = tuple[GuardState, ...]

_FOUND = frozenset({"left_cordoned", UNCORDONED})
"""Details of a step that found another hand on the node; the last one says how the node is left."""


def planned(
    name: str,
    cause: NodeFault,
    plan: Plan,
    now: datetime,
    settle: timedelta = timedelta(0),
    earlier: Sequence[Member] = (),
) -> Rescue:
    """A new rescue. Its cordon is due at once, whatever else it begins with when its fault's family has had time to follow.

    *earlier* are faults of the same incident that have led to nothing by themselves.
    """
    fault = cause.fault
    seen_as = f"{'drill: ' if fault.drill is not None else ''}{fault.kind} {fault.code}"
    detected = Entry(now, EventAction.FAULT_DETECTED, f"{seen_as} on {cause.node}: {fault.message}")
    why = f"{cause.node}: {names(plan.actions)}, by rule {plan.rule} of policy {plan.policy}"
    why += f": {plan.limit}" if plan.limit else ""
    why += "; it is rehearsed on a copy of the cluster" if plan.dry_run else ""
    rescue = Rescue(
        name=name,
        node=cause.node,
        cause=cause,
        plan=plan,
        created=now,
        due=now if plan.actions[0].name is ActionName.CORDON else now + settle,
        first_seen=cause.time,
        last_seen=cause.time,
        steps=tuple(StepState() for _ in plan.actions),
        journal=(detected, Entry(now, EventAction.RESCUE_PLANNED, why, plan=plan)),
        members=(Member(name, cause, 1, cause.time, cause.time, plan),),
        dry_run=plan.dry_run,
    )
    for member in earlier:
        rescue = with_member(rescue, member, now)
    return rescue


def repeated(rescue: Rescue, name: str, count: int, first_seen: datetime, last_seen: datetime) -> Rescue:
    """A member of its incident was seen again: *count* times by now."""
    known = rescue.member(name)
    if known is None or count <= known.count:
        return rescue
    first, last = min(first_seen, known.first_seen), max(last_seen, known.last_seen)
    now_known = replace(known, count=count, first_seen=first, last_seen=last)
    fault = known.fault.fault
    message = f"{fault.kind} {fault.code} on {rescue.node}: seen {count} times"
    after = replace(
        rescue,
        members=tuple(now_known if member is known else member for member in rescue.members),
        count=rescue.count - known.count + count,
        first_seen=min(first, rescue.first_seen),
        last_seen=max(last, rescue.last_seen),
    )
    return after.noted(Entry(last, EventAction.FAULT_REPEATED, message, details=seen(now_known)))


def prolonged(rescue: Rescue, name: str, first_seen: datetime, last_seen: datetime) -> Rescue:
    """A member of its incident goes on being seen. How often is not told yet: a storm is recorded at growing intervals.

    Returns the rescue as it is if it knows of it.
    """
    known = rescue.member(name)
    if known is None or (known.first_seen <= first_seen and last_seen <= known.last_seen):
        return rescue
    longer = replace(known, first_seen=min(first_seen, known.first_seen), last_seen=max(last_seen, known.last_seen))
    return replace(
        rescue,
        members=tuple(longer if member is known else member for member in rescue.members),
        first_seen=min(longer.first_seen, rescue.first_seen),
        last_seen=max(longer.last_seen, rescue.last_seen),
    )


def earliest(rescue: Rescue, index: int, settle: timedelta) -> datetime | None:
    """When a step may start at the earliest: a reboot's waittime runs from the end of the step before it.

    All but the cordon waits until the faults that come with its own have had time to follow.
    """
    action = rescue.plan.actions[index]
    if action.name is ActionName.CORDON or rescue.steps[index].started is not None:
        return None
    if not isinstance(action, Reboot):
        return rescue.created + settle
    before = rescue.steps[index - 1].ended if index else None
    return (before or rescue.created) + action.waittime


def started(rescue: Rescue, index: int, now: datetime, guards: Guards = ()) -> Rescue:
    """A step begins; nothing is done yet. *guards* are those that have let it through."""
    step = replace(rescue.steps[index], status=Status.RUNNING, started=now)
    entry = _entry(rescue, index, now, EventAction.STEP_STARTED, f"{rescue.node}: {_action(rescue, index)} starts")
    entry = replace(entry, guards=guards)
    return replace(rescue.with_step(index, step), status=Status.RUNNING, reason=None, due=now).noted(entry)


def intended(rescue: Rescue, index: int, now: datetime, memo: Mapping[str, str], message: str) -> Rescue:
    """A step is about to do what can't be taken back."""
    step = replace(rescue.steps[index], memo=memo, attempts=0)
    entry = _entry(rescue, index, now, EventAction.STEP_INTENDED, message)
    return replace(rescue.with_step(index, step), due=now).noted(entry)


def waiting(rescue: Rescue, index: int, until: datetime, memo: Mapping[str, str] | None) -> Rescue:
    """A step goes on later."""
    step = rescue.steps[index]
    step = replace(step, attempts=0, memo=step.memo if memo is None else memo)
    return replace(rescue.with_step(index, step), due=until)


def retrying(rescue: Rescue, index: int, until: datetime) -> Rescue:
    """A step met an error that may pass."""
    step = rescue.steps[index]
    return replace(rescue.with_step(index, replace(step, attempts=step.attempts + 1)), due=until)


def done(rescue: Rescue, index: int, now: datetime, message: str, details: Details) -> Rescue:
    """A step reached its purpose; with the last one the rescue has succeeded."""
    step = replace(rescue.steps[index], status=Status.SUCCEEDED, ended=now)
    entry = _entry(rescue, index, now, EventAction.STEP_ENDED, message, details=details)
    after = replace(rescue.with_step(index, step), due=now).noted(entry)
    if after.current is not None:
        return after
    return succeeded(after, now) if after.withdrawn is None else cancelled(after, now, after.withdrawn, message)


def succeeded(rescue: Rescue, now: datetime) -> Rescue:
    """Every step of the plan is done; that a node was left cordoned all the same, or not by us, is told again."""
    message = f"{rescue.node}: {names(rescue.plan.actions)} done in {_took(rescue, now)}"
    found = [entry.message for entry in rescue.journal if not _FOUND.isdisjoint(entry.details)]
    entry = Entry(now, EventAction.RESCUE_SUCCEEDED, "; ".join([message, *found[-1:]]))
    return replace(rescue, status=Status.SUCCEEDED, reason=None, ended=now).noted(entry)


def failed(
    rescue: Rescue, index: int, now: datetime, reason: FailReason, message: str, details: Details | None = None
) -> Rescue:
    """A step cannot reach its purpose, and the rescue fails with it."""
    step = replace(rescue.steps[index], status=Status.FAILED, ended=now)
    entry = _entry(rescue, index, now, EventAction.STEP_FAILED, message, reason, details)
    end = Entry(
        now, EventAction.RESCUE_FAILED, f"{rescue.node}: {_action(rescue, index)} failed: {message}", None, reason
    )
    return replace(rescue.with_step(index, step), status=Status.FAILED, reason=reason, ended=now).noted(entry, end)


def held(
    rescue: Rescue,
    now: datetime,
    reason: HoldReason,
    message: str,
    guards: Guards = (),
    details: Details | None = None,
) -> Rescue:
    """The rescue waits, for another reason than before; *guards* are all that were asked."""
    waits = replace(rescue, status=Status.HELD, reason=reason)
    return waits.noted(
        Entry(now, EventAction.RESCUE_HELD, message, reason=reason, guards=guards, details=details or {})
    )


def cancelled(
    rescue: Rescue,
    now: datetime,
    reason: CancelReason,
    message: str,
    guards: Guards = (),
    details: Details | None = None,
) -> Rescue:
    """The rescue is given up; *guards* are all that were asked, if it was they that gave it up."""
    entry = Entry(now, EventAction.RESCUE_CANCELLED, message, reason=reason, guards=guards, details=details or {})
    return replace(rescue, status=Status.CANCELLED, reason=reason, ended=now).noted(entry)


def recovered(rescue: Rescue, recovery: NodeFault, now: datetime) -> Rescue:
    """The driver has taken back all that the rescue is about."""
    at, line = recovery.time.isoformat(), recovery.fault
    message = (
        f"{rescue.node}: nothing is done any more, because the driver has taken its verdict on {device_of(recovery)} "
        f"back: {line.kind} {line.code} at {at}: {line.message}"
    )
    return withdrawn(rescue, now, CancelReason.RECOVERED, message, {RECOVERED_AT: at})


def withdrawn(
    rescue: Rescue, now: datetime, reason: CancelReason, message: str, details: Details | None = None
) -> Rescue:
    """The rescue is given up; what it has begun is undone first: all that is left of its plan is to uncordon."""
    if not rescue.begun:
        return cancelled(rescue, now, reason, message, details=details)
    kept = [(action, step) for action, step in zip(rescue.plan.actions, rescue.steps, strict=True) if step.started]
    done = [(action, step) for action, step in kept if action.name is not ActionName.UNCORDON]
    steps = [step if step.status.ended else replace(step, status=Status.CANCELLED, ended=now) for _, step in done]
    plan = replace(rescue.plan, actions=(*(action for action, _ in done), Uncordon()))
    entry = Entry(now, EventAction.RESCUE_WITHDRAWN, message, reason=reason, plan=plan, details=details or {})
    after = replace(rescue, plan=plan, steps=(*steps, StepState()), withdrawn=reason, due=now)
    return after.noted(entry)


def abandoned(rescue: Rescue, index: int, now: datetime, reason: CancelReason, message: str) -> Rescue:
    """A step found that the rescue is no longer wanted."""
    step = replace(rescue.steps[index], status=Status.CANCELLED, ended=now)
    return cancelled(rescue.with_step(index, step), now, reason, message)


def _entry(
    rescue: Rescue,
    index: int,
    now: datetime,
    action: EventAction,
    message: str,
    reason: FailReason | None = None,
    details: Details | None = None,
) -> Entry:
    return Entry(now, action, message, rescue.plan.actions[index].name, reason, details=details or {})


def _action(rescue: Rescue, index: int) -> str:
    return str(rescue.plan.actions[index].name)


def _took(rescue: Rescue, now: datetime) -> str:
    return str(timedelta(seconds=round((now - rescue.created).total_seconds())))
