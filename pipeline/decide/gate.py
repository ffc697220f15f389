"""The gate: what is asked of a fault before any policy is."""

from datetime import datetime

from pipeline.decide.boots import earlier_boot
from pipeline.decide.guards import OUT_FOR_GOOD, GuardSettings, too_old
from pipeline.durations import format_duration
from pipeline.model.fault import Lookup, NodeFault
from pipeline.model.ownership import OFFLINE
from pipeline.model.plan import Considered, Skip, SkipReason
from pipeline.model.rescue import Rescue


def gate(fault: NodeFault, settings: GuardSettings, now: datetime, last_rescue: Rescue | None) -> Skip | None:
    """Say why the fault may lead to no rescue whatever the policies say; None when they may decide.

    *last_rescue* is the node's newest one that has rebooted it, with the new boot proven. What the line is comes before
    when it was, so that the reason is the one that will not change when it is read again.
    """
    reasons = (_of_line(fault, settings), _of_node(fault), _of_time(fault, settings, now, last_rescue))
    return next((skip for skip in reasons if skip is not None), None)


def skipped(fault: NodeFault, reason: SkipReason, why: str, considered: tuple[Considered, ...] = ()) -> Skip:
    """Return the skip of a fault; its detail is a whole sentence."""
    node = fault.node or "unnamed node"
    return Skip(reason, f"{node}: {fault.fault.kind} {fault.fault.code} is not acted on: {why}", considered)


def _of_line(fault: NodeFault, settings: GuardSettings) -> Skip | None:
    line = fault.fault
    # A rule of an operator's own may be about any program.
    if line.line.from_kernel is False and line.kind in ("xid", "sxid"):
        return skipped(fault, SkipReason.NOT_FROM_KERNEL, "its envelope says that another program wrote it")
    if settings.require_kernel and line.line.from_kernel is None:
        why = "its envelope does not tell whether it came from the kernel (require_kernel)"
        return skipped(fault, SkipReason.NOT_FROM_KERNEL, why)
    if line.nvlink5 is not None and line.nvlink5.injected:
        return skipped(fault, SkipReason.DRILL, "the driver marks it as injected, which makes it a drill")
    return _of_other_line(fault)


def _of_other_line(fault: NodeFault) -> Skip | None:
    """Say why a line that belongs to another one leads to nothing of its own."""
    line = fault.fault
    if line.companion:
        return skipped(fault, SkipReason.COMPANION, "the line only goes with another one of the same code")
    if (line.kind, line.code) == ("xid", 45) and line.caused_by_xid is not None:
        return skipped(fault, SkipReason.CONSEQUENCE, f"it is a consequence of xid {line.caused_by_xid}")
    if line.recovery_action is not None and line.recovery_action.to_code == 0:
        return skipped(fault, SkipReason.RECOVERED, "the driver says that no recovery action is needed any more")
    return None


def _of_node(fault: NodeFault) -> Skip | None:
    if fault.lookup is Lookup.UNNAMED:
        return skipped(fault, SkipReason.NODE_UNNAMED, "the line names no node; decode.node, or a source's node, can")
    if fault.lookup is Lookup.AMBIGUOUS:
        return skipped(fault, SkipReason.NODE_AMBIGUOUS, "more than one node answers to that name")
    if OFFLINE in fault.labels:
        return skipped(fault, SkipReason.NODE_OFFLINE, OUT_FOR_GOOD)
    return None


def _of_time(fault: NodeFault, settings: GuardSettings, now: datetime, last_rescue: Rescue | None) -> Skip | None:
    age = now - fault.time
    if -age > settings.max_age:
        why = f"it is {format_duration(-age)} ahead of the clock: a clock or a time zone is wrong"
        return skipped(fault, SkipReason.IN_THE_FUTURE, why)
    if age > settings.max_age:
        return skipped(fault, SkipReason.STALE, too_old(age, settings))
    if (why_not := earlier_boot(fault, fault.boot_id, fault.booted_at)) is not None:
        return skipped(fault, SkipReason.OLDER_THAN_BOOT, why_not)
    if last_rescue is not None and (rebooted := last_rescue.rebooted_at) is not None and fault.time <= rebooted:
        when = f"when the node was first seen in the boot that rescue {last_rescue.name} had led to"
        why = f"it is not later than {rebooted.isoformat()}, {when}"
        return skipped(fault, SkipReason.OLDER_THAN_RESCUE, why)
    return None
