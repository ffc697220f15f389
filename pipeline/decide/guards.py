"""What no policy may overstep: `gate` before a fault is decided, `admit` before each disruptive step of a rescue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import Field

from pipeline.decide.boots import earlier_boot
from pipeline.decide.escalation import takes_over
from pipeline.decide.rules import UnknownCodes
from pipeline.documents import Strict
from pipeline.durations import Duration, format_duration
from pipeline.model.fault import Lookup, NodeFault
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY
from pipeline.model.plan import Considered, Skip, SkipReason
from pipeline.model.rescue import CancelReason, HoldReason, Rescue

_MOMENT = timedelta(0)


class GuardSettings(Strict):
    """The guards of the whole cluster."""

    max_age: Duration = Field(
        timedelta(minutes=10),
        gt=_MOMENT,
        description="A fault older than this, or as far ahead of the clock, is recorded and never acted on. 10min "
        "covers a shipper's usual delay; a consumer that comes back after hours must reboot nothing.",
    )
    max_nodes: int = Field(
        5,
        ge=0,
        description="Nodes that may be out of service by our hand at a time; one rescue more waits. 0 holds them all. "
        "A fault of the fabric or the driver shows on many nodes at once, and rebooting them all would not mend it.",
    )
    window: Duration = Field(
        timedelta(hours=1),
        gt=_MOMENT,
        description="A cordon of ours older than this counts no longer for max_nodes: what is out so long waits for "
        "a person, and must not hold up the others.",
    )
    require_kernel: bool = Field(
        False,
        description="Whether to act only on lines whose envelope says that they came from the kernel; off, because "
        "many shippers do not tell, and their lines would all be skipped.",
    )
    unknown_codes: UnknownCodes = Field(
        UnknownCodes.RECORD,
        description="A code that no catalogue knows and no rule names: `record` it, or let rules without errorCode act "
        "(`policies`). Drivers print new codes before anybody knows what they ask for.",
    )
    incident_window: Duration = Field(
        timedelta(minutes=10),
        gt=_MOMENT,
        description="The same fault of the same device within this time of the last one is the same incident.",
    )


@dataclass(frozen=True, slots=True)
class Go:
    """The step may start."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: ask again later."""

    reason: HoldReason
    message: str


@dataclass(frozen=True, slots=True)
class Fold:
    """The rescue `into` is under way on the same node and can take this one over."""

    into: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Not any more: the fault counts no longer."""

    reason: CancelReason
    message: str


Admission = Go | Hold | Fold | Cancel


def gate(fault: NodeFault, settings: GuardSettings, now: datetime, last_rescue: Rescue | None) -> Skip | None:
    """Say why the fault may lead to no rescue whatever the policies say; None when they may decide.

    *last_rescue* is the node's newest one that has rebooted it. What the line is comes before when it was, so that the
    reason is the one that will not change when it is read again.
    """
    reasons = (_of_line(fault, settings), _of_node(fault), _of_time(fault, settings, now, last_rescue))
    return next((skip for skip in reasons if skip is not None), None)


def skipped(fault: NodeFault, reason: SkipReason, why: str, considered: tuple[Considered, ...] = ()) -> Skip:
    """Return the skip of a fault; its detail is a whole sentence."""
    node = fault.node or "unnamed node"
    return Skip(reason, f"{node}: {fault.fault.kind} {fault.fault.code} is not acted on: {why}", considered)


def _of_line(fault: NodeFault, settings: GuardSettings) -> Skip | None:
    line = fault.fault
    if settings.require_kernel and line.line.from_kernel is not True:
        told = "does not tell whether it came" if line.line.from_kernel is None else "says that it did not come"
        return skipped(fault, SkipReason.NOT_FROM_KERNEL, f"its envelope {told} from the kernel (require_kernel)")
    if line.nvlink5 is not None and line.nvlink5.injected:
        return skipped(fault, SkipReason.DRILL, "the driver marks it as injected, which makes it a drill")
    if line.companion:
        return skipped(fault, SkipReason.COMPANION, "the line only goes with another one of the same code")
    if (line.kind, line.code) == ("xid", 45) and line.caused_by_xid is not None:
        return skipped(fault, SkipReason.CONSEQUENCE, f"it is a consequence of xid {line.caused_by_xid}")
    if line.recovery_action is not None and line.recovery_action.to_code == 0:
        return skipped(fault, SkipReason.RECOVERED, "the driver says that no recovery action is needed any more")
    return None


def _of_node(fault: NodeFault) -> Skip | None:
    if fault.lookup is Lookup.UNNAMED:
        return skipped(fault, SkipReason.NODE_UNNAMED, "the line names no node")
    if fault.lookup is Lookup.AMBIGUOUS:
        return skipped(fault, SkipReason.NODE_AMBIGUOUS, "more than one node answers to that name")
    return None


def _of_time(fault: NodeFault, settings: GuardSettings, now: datetime, last_rescue: Rescue | None) -> Skip | None:
    age = now - fault.time
    if -age > settings.max_age:
        why = f"it is {format_duration(-age)} ahead of the clock: a clock or a time zone is wrong"
        return skipped(fault, SkipReason.IN_THE_FUTURE, why)
    if age > settings.max_age:
        return skipped(fault, SkipReason.STALE, _too_old(age, settings))
    if (why_not := earlier_boot(fault, fault.boot_id, fault.booted_at)) is not None:
        return skipped(fault, SkipReason.OLDER_THAN_BOOT, why_not)
    if last_rescue is not None and (rebooted := last_rescue.rebooted_at) is not None and fault.time <= rebooted:
        why = f"it is not later than {rebooted.isoformat()}, when rescue {last_rescue.name} rebooted the node"
        return skipped(fault, SkipReason.OLDER_THAN_RESCUE, why)
    return None


def _too_old(age: timedelta, settings: GuardSettings) -> str:
    return f"it is {format_duration(age)} old, more than {format_duration(settings.max_age)} (max_age)"


def admit(
    rescue: Rescue, open_rescues: Sequence[Rescue], nodes: Mapping[str, Node], now: datetime, settings: GuardSettings
) -> Admission:
    """Say whether the rescue may start its next disruptive step now.

    What must hold for the whole cluster is decided here alone. Whoever asks saves the start of the step before the next
    rescue asks, because a rescue counts from its first started step on. One that has begun goes on even when its node
    has left the cache: the step asks the server, and ends the rescue if the node is gone.
    """
    node = nodes.get(rescue.node)
    if node is None and not rescue.begun:
        return _without_node(rescue, now, settings)
    if (why := _outdated(rescue, node)) is not None:
        return Cancel(CancelReason.OLDER_THAN_BOOT, f"{rescue.node}: the fault is older than the node's boot: {why}")
    if (into := next((other.name for other in open_rescues if rescue.name in other.folded), None)) is not None:
        # A crash fell between the taking over and this one's end: what it asked for is being done.
        return Fold(into)
    leader = _leader(rescue, open_rescues, node)
    if leader.name != rescue.name:
        return _behind(rescue, leader)
    return Go() if rescue.begun else _breaker(rescue, open_rescues, nodes, now, settings)


def _without_node(rescue: Rescue, now: datetime, settings: GuardSettings) -> Hold | Cancel:
    age = now - rescue.last_seen
    if age > settings.max_age:
        told = f"the cluster has no node of this name, and the fault counts no longer: {_too_old(age, settings)}"
        return Cancel(CancelReason.STALE, f"{rescue.node}: {told}")
    return Hold(HoldReason.NODE_UNKNOWN, f"{rescue.node}: the cluster has no node of this name")


def _outdated(rescue: Rescue, node: Node | None) -> str | None:
    return None if rescue.begun or node is None else earlier_boot(rescue.cause, node.boot_id, node.booted_at)


def _leader(rescue: Rescue, open_rescues: Iterable[Rescue], node: Node | None) -> Rescue:
    """The one rescue that may act on the node: the one that has begun, else the oldest that still counts.

    One that would be cancelled leads nobody, or a good rescue would fold into it and be lost with it.
    """
    others = (
        other
        for other in open_rescues
        if other.node == rescue.node and not other.status.ended and _outdated(other, node) is None
    )
    return min([rescue, *others], key=lambda other: (not other.begun, other.created, other.name))


def _behind(rescue: Rescue, leader: Rescue) -> Fold | Hold:
    if takes_over(leader) and not rescue.begun:
        return Fold(leader.name)
    return Hold(
        HoldReason.NODE_BUSY, f"{rescue.node}: rescue {leader.name} is under way, too far to take this one over"
    )


def _breaker(
    rescue: Rescue, open_rescues: Iterable[Rescue], nodes: Mapping[str, Node], now: datetime, settings: GuardSettings
) -> Go | Hold:
    cordoned = {name for name, node in nodes.items() if _ours(node, now, settings)}
    worked_on = {other.node for other in open_rescues if other.begun and not other.status.ended}
    out = sorted((cordoned | worked_on) - {rescue.node})
    if len(out) < settings.max_nodes:
        return Go()
    shown = ", ".join(out[:10]) + (f" and {len(out) - 10} more" if len(out) > 10 else "")
    told = f"{len(out)} nodes are out of service by our hand ({shown}), at most {settings.max_nodes} may be (max_nodes)"
    return Hold(HoldReason.MAX_NODES, f"{rescue.node}: {told}")


def _ours(node: Node, now: datetime, settings: GuardSettings) -> bool:
    if not node.unschedulable or CORDONED_BY not in node.annotations:
        return False
    try:
        at = datetime.fromisoformat(node.annotations[CORDONED_AT])
    except (KeyError, ValueError):
        # A mark that somebody has garbled counts: holding one rescue too many is the smaller harm.
        return True
    return now - (at if at.tzinfo else at.replace(tzinfo=UTC)) <= settings.window
