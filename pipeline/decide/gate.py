"""The gate: what is asked of a fault before any policy is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.decide.boots import earlier_boot
from pipeline.decide.family import is_aftermath
from pipeline.decide.guards import OUT_FOR_GOOD, GuardSettings, too_old
from pipeline.decide.optout import OPTED_OUT
from pipeline.durations import format_duration
from pipeline.model.fault import Drill, Lookup, NodeFault
from pipeline.model.guard import Guard, GuardState, Verdict
from pipeline.model.ownership import OFFLINE
from pipeline.model.plan import Considered, Skip, SkipReason
from pipeline.model.rescue import Rescue


@dataclass(frozen=True, slots=True)
class _Asking:
    fault: NodeFault
    settings: GuardSettings
    now: datetime
    last_rescue: Rescue | None


@dataclass(frozen=True, slots=True)
class _Against:
    reason: SkipReason
    told: str


_Answer = str | _Against
"""Why the guard lets the fault through, or what it has against it."""


def gate(fault: NodeFault, settings: GuardSettings, now: datetime, last_rescue: Rescue | None) -> Skip | None:
    """Say why the fault may lead to no rescue whatever the policies say; None when they may decide.

    *last_rescue* is the node's newest one that has rebooted it, with the new boot proven. What the line is comes before
    when it was, so that the reason is the one that will not change when it is read again.
    """
    asking = _Asking(fault, settings, now, last_rescue)
    for _, question in GUARDS:
        answer = question(asking)
        if isinstance(answer, _Against):
            return skipped(fault, answer.reason, answer.told)
    return None


def gate_states(
    fault: NodeFault, settings: GuardSettings, now: datetime, last_rescue: Rescue | None
) -> tuple[GuardState, ...]:
    """Return what every guard of the gate answers; the first one against the fault decides."""
    asking = _Asking(fault, settings, now, last_rescue)
    return tuple(_state(guard, question(asking)) for guard, question in GUARDS)


def skipped(fault: NodeFault, reason: SkipReason, why: str, considered: tuple[Considered, ...] = ()) -> Skip:
    """Return the skip of a fault; its detail is a whole sentence."""
    node = fault.node or "unnamed node"
    return Skip(reason, f"{node}: {fault.fault.kind} {fault.fault.code} is not acted on: {why}", considered)


def _state(guard: Guard, answer: _Answer) -> GuardState:
    if isinstance(answer, _Against):
        return GuardState(guard, Verdict.SKIPS, answer.told)
    return GuardState(guard, Verdict.PASSED, answer)


def _origin(asking: _Asking) -> _Answer:
    line = asking.fault.fault
    # A rule of an operator's own may be about any program.
    if line.line.from_kernel is False and line.kind in ("xid", "sxid"):
        return _Against(SkipReason.NOT_FROM_KERNEL, "its envelope says that another program or a container wrote it")
    if asking.settings.require_kernel and line.line.from_kernel is None:
        why = "its envelope does not tell whether it came from the kernel (require_kernel)"
        return _Against(SkipReason.NOT_FROM_KERNEL, why)
    if line.line.from_kernel is None:
        return "nothing says that it did not come from the kernel"
    if line.line.from_kernel:
        return "it came from the kernel"
    return "it is of a program that a rule of the operator's own is about"


def _drill(asking: _Asking) -> _Answer:
    line = asking.fault.fault
    if line.nvlink5 is not None and line.nvlink5.injected:
        return _Against(SkipReason.DRILL, "the driver marks it as injected, which makes it a drill")
    if line.drill is Drill.DRY:
        return "it is a drill, to be rehearsed and not done"
    if line.drill is Drill.REAL:
        return "it is a drill that was asked for with real effects"
    return "it is no drill"


def _line(asking: _Asking) -> _Answer:
    """A line that belongs to another one leads to nothing of its own."""
    line = asking.fault.fault
    if line.companion:
        return _Against(SkipReason.COMPANION, "the line only goes with another one of the same code")
    if is_aftermath(asking.fault) and line.caused_by_xid is not None:
        return _Against(SkipReason.CONSEQUENCE, f"it is a consequence of xid {line.caused_by_xid}")
    if line.recovery_action is not None and line.recovery_action.recovered:
        return _Against(SkipReason.RECOVERED, "the driver says that no recovery action is needed any more")
    return "it tells of a fault of its own"


def _node(asking: _Asking) -> _Answer:
    lookup = asking.fault.lookup
    if lookup is Lookup.UNNAMED:
        return _Against(SkipReason.NODE_UNNAMED, "the line names no node; decode.node, or a source's node, can")
    if lookup is Lookup.AMBIGUOUS:
        return _Against(SkipReason.NODE_AMBIGUOUS, "more than one node answers to that name")
    if OFFLINE in asking.fault.labels:
        return _Against(SkipReason.NODE_OFFLINE, OUT_FOR_GOOD)
    if lookup is Lookup.FOUND:
        return "the cluster has the node, and it was not taken out for good"
    return f"the line names a node, which the cluster may get to know yet (node {lookup})"


def _opt_out(asking: _Asking) -> _Answer:
    if asking.fault.opted_out:
        return _Against(SkipReason.OPTED_OUT, OPTED_OUT)
    return "nobody has opted the node out"


def _age(asking: _Asking) -> _Answer:
    age, most = asking.now - asking.fault.time, asking.settings.max_age
    if -age > most:
        why = f"it is {format_duration(-age)} ahead of the clock: a clock or a time zone is wrong"
        return _Against(SkipReason.IN_THE_FUTURE, why)
    if age > most:
        return _Against(SkipReason.STALE, too_old(age, asking.settings))
    told = f"{format_duration(-age)} ahead of the clock" if age < -age else f"{format_duration(age)} old"
    return f"it is {told}, at most {format_duration(most)} (max_age)"


def _boot(asking: _Asking) -> _Answer:
    fault = asking.fault
    if (older := earlier_boot(fault, fault.boot_id, fault.booted_at)) is not None:
        return _Against(SkipReason.OLDER_THAN_BOOT, older)
    return "nothing says that the node has rebooted since"


def _last_rescue(asking: _Asking) -> _Answer:
    last = asking.last_rescue
    rebooted = None if last is None else last.rebooted_at
    if last is None or rebooted is None:
        return "no rescue that is known has rebooted the node"
    when = f"when the node was first seen in the boot that rescue {last.name} had led to"
    if asking.fault.time <= rebooted:
        return _Against(SkipReason.OLDER_THAN_RESCUE, f"it is not later than {rebooted.isoformat()}, {when}")
    return f"it is later than {rebooted.isoformat()}, {when}"


GUARDS: tuple[tuple[Guard, Callable[[_Asking], _Answer]], ...] = (
    (Guard.ORIGIN, _origin),
    (Guard.DRILL, _drill),
    (Guard.LINE, _line),
    (Guard.NODE, _node),
    (Guard.OPT_OUT, _opt_out),
    (Guard.AGE, _age),
    (Guard.BOOT, _boot),
    (Guard.LAST_RESCUE, _last_rescue),
)
"""In the order in which they are asked; the first that has something against the fault decides."""
