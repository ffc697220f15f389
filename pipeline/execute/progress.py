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
    BOOT_ID,
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

_LAST = (ActionName.UNCORDON, ActionName.OFFLINE)

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
    """A new rescue. A cordon is due at once, any other first step when the fault's family has had time to follow.

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


def earliest(rescue: Rescue, index: int | None, settle: timedelta) -> datetime:
    """When a step may start at the earliest or, where *index* is None, the rescue may end.

    All but the cordon waits until the faults that come with its own have had time to follow. So does the end: were a
    rescue over that only cordons, nobody's unCordon would lift its cordon, whatever plan its family brings. A reboot's
    waittime runs from the end of the step before it. What was withdrawn is undone at once.
    """
    action = None if index is None else rescue.plan.actions[index]
    if rescue.withdrawn is not None or (action is not None and action.name is ActionName.CORDON):
        return rescue.created
    settled = rescue.created + settle
    if index is None or not isinstance(action, Reboot):
        return settled
    before = rescue.steps[index - 1].ended if index else None
    return max(settled, (before or rescue.created) + action.waittime)


def postponed(rescue: Rescue, until: datetime) -> Rescue:
    """What comes next may not begin before *until*."""
    return replace(rescue, due=until)


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


def done(
    rescue: Rescue, index: int, now: datetime, message: str, details: Details, settle: timedelta = timedelta(0)
) -> Rescue:
    """A step reached its purpose; with the last one the rescue has succeeded, when it has had time to settle."""
    step = replace(rescue.steps[index], status=Status.SUCCEEDED, ended=now)
    entry = _entry(rescue, index, now, EventAction.STEP_ENDED, message, details=details)
    after = rescue.with_step(index, step).noted(entry)
    after = replace(after, due=max(now, earliest(after, after.current, settle)))
    if after.current is not None or after.due > now:
        return after
    return succeeded(after, now) if after.withdrawn is None else _undone(after, now, after.withdrawn, message)


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
    """The rescue is given up; what it has begun is undone first: all that is left of its plan is to uncordon.

    The step that it is at is broken off. Not so a reboot that may have been asked for: before anybody knows what comes
    of it, the node is not given back. Returns the rescue as it is where it has ended or was withdrawn, and where it is
    about to give the node back, or to take it out for good, by itself: that is brought to its end.
    """
    steps = zip(rescue.plan.actions, rescue.steps, strict=True)
    begun = [(action, step) for action, step in steps if step.started is not None]
    if rescue.status.ended or rescue.withdrawn is not None or any(action.name in _LAST for action, _ in begun):
        return rescue
    if not begun:
        return cancelled(rescue, now, reason, message, details=details)
    plan = replace(rescue.plan, actions=(*(action for action, _ in begun), Uncordon()))
    entry = Entry(now, EventAction.RESCUE_WITHDRAWN, message, reason=reason, plan=plan, details=details or {})
    after = replace(rescue, plan=plan, steps=(*(_broken_off(step, now) for _, step in begun), StepState()))
    return replace(after, status=Status.RUNNING, reason=None, withdrawn=reason, due=now).noted(entry)


def _broken_off(step: StepState, now: datetime) -> StepState:
    asked_for = BOOT_ID in step.memo
    return step if step.status.ended or asked_for else replace(step, status=Status.CANCELLED, ended=now)


def _undone(rescue: Rescue, now: datetime, reason: CancelReason, message: str) -> Rescue:
    """It was withdrawn, and there is nothing more to undo: why, and how the node is left, is told together."""
    why = next(entry.message for entry in rescue.journal if entry.action is EventAction.RESCUE_WITHDRAWN)
    return cancelled(rescue, now, reason, f"{why}; {message}")


def abandoned(rescue: Rescue, index: int, now: datetime, reason: CancelReason, message: str) -> Rescue:
    """A step found that the rescue is no longer wanted; one that was withdrawn goes on to undo what it has done."""
    after = rescue.with_step(index, replace(rescue.steps[index], status=Status.CANCELLED, ended=now))
    if reason is not rescue.withdrawn:
        return cancelled(after, now, reason, message)
    return replace(after, due=now) if after.current is not None else _undone(after, now, reason, message)


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
