"""What no policy may overstep: `gate` before a fault is decided, `admit` before each disruptive step of a rescue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field

from pipeline.decide.boots import earlier_boot, left_by_failed_reboot
from pipeline.decide.breaker import out_of_service
from pipeline.decide.escalation import takes_over
from pipeline.decide.rules import UnknownCodes
from pipeline.documents import Strict
from pipeline.durations import Duration, format_duration
from pipeline.model.fault import Lookup, NodeFault
from pipeline.model.node import Node
from pipeline.model.ownership import OFFLINE
from pipeline.model.plan import ActionName, Considered, Skip, SkipReason
from pipeline.model.rescue import CancelReason, HoldReason, Rescue

_MOMENT = timedelta(0)
_OUT_FOR_GOOD = "the node was taken out for good, and only a person brings it back"


class GuardSettings(Strict):
    """The guards of the whole cluster."""

    max_age: Duration = Field(
        timedelta(minutes=10),
        gt=_MOMENT,
        description="A fault older than this, or as far ahead of the clock, is recorded and never acted on. 10min "
        "covers a shipper's usual delay; a consumer that comes back after hours must reboot nothing.",
    )
    max_hold: Duration = Field(
        timedelta(hours=2),
        gt=_MOMENT,
        description="A rescue that has not begun is given up when its fault was last seen longer ago than this. 2h let "
        "the breaker close or a person look; after that a held rescue would act on what is no longer so.",
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
    max_reboots: int = Field(
        3,
        ge=1,
        description="Proven reboots for the same fault of the same GPU within reboot_window after which the node goes "
        "offline instead. What three reboots have not cured is broken, and each costs the jobs that came back.",
    )
    reboot_window: Duration = Field(
        timedelta(hours=24),
        gt=_MOMENT,
        description="The time in which max_reboots counts. A day, so that a fault that comes back each night is seen.",
    )
    require_kernel: bool = Field(
        False,
        description="Whether to act only on lines whose envelope says that they came from the kernel; off, because "
        "many shippers do not tell, and their lines would all be skipped. What another program wrote, by its envelope, "
        "is never acted on.",
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
        return skipped(fault, SkipReason.NODE_OFFLINE, _OUT_FOR_GOOD)
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
        when = f"when the node was first seen in the boot that rescue {last_rescue.name} had led to"
        why = f"it is not later than {rebooted.isoformat()}, {when}"
        return skipped(fault, SkipReason.OLDER_THAN_RESCUE, why)
    return None


def _too_old(age: timedelta, settings: GuardSettings) -> str:
    return f"it is {format_duration(age)} old, more than {format_duration(settings.max_age)} (max_age)"


def admit(
    rescue: Rescue, rescues: Sequence[Rescue], nodes: Mapping[str, Node], now: datetime, settings: GuardSettings
) -> Admission:
    """Say whether the rescue may start its next step now; unCordon always may: it only gives back.

    *rescues* are all that are open, those of the same node that have ended, and those of any node that have ended
    within the last CACHE_LAG. What must hold for the whole cluster is decided here alone. Whoever asks saves the start
    of the step before the next rescue asks, because a rescue counts from its first started step on. One that has begun
    goes on even when its node has left the cache: the step asks the server, and ends the rescue if the node is gone.
    """
    if rescue.current is not None and rescue.plan.actions[rescue.current].name is ActionName.UNCORDON:
        return Go()
    node = nodes.get(rescue.node)
    against = (
        _taken_over(rescue, rescues)
        or _given_up(rescue, node, now, settings)
        or _without_node(rescue, node)
        or _behind(rescue, _leader(rescue, rescues, node, now, settings))
    )
    if against is None and not rescue.begun:
        against = _for_a_person(rescue, rescues, node) or _breaker(rescue, rescues, nodes, now, settings)
    return against or Go()


def _taken_over(rescue: Rescue, rescues: Iterable[Rescue]) -> Fold | Cancel | None:
    """A crash has fallen between the taking over and the end of this one: what it asked for is being done, or was."""
    into = next((other for other in rescues if rescue.name in other.folded), None)
    if into is None:
        return None
    if into.status.ended:
        return Cancel(CancelReason.FOLDED, f"{rescue.node}: rescue {into.name} had taken it over, and has ended")
    return Fold(into.name)


def _given_up(rescue: Rescue, node: Node | None, now: datetime, settings: GuardSettings) -> Cancel | None:
    """Why a rescue that has not begun counts no longer; one that has is brought to its end."""
    if rescue.begun:
        return None
    age = now - rescue.last_seen
    if node is None:
        why = f"the cluster has no node of this name, and the fault counts no longer: {_too_old(age, settings)}"
        return Cancel(CancelReason.STALE, f"{rescue.node}: {why}") if age > settings.max_age else None
    if OFFLINE in node.labels:
        return Cancel(CancelReason.NODE_OFFLINE, f"{rescue.node}: {_OUT_FOR_GOOD}")
    if (older := _of_earlier_boot(rescue, node)) is not None:
        return Cancel(CancelReason.OLDER_THAN_BOOT, f"{rescue.node}: the fault is older than the node's boot: {older}")
    why = f"it was last seen {format_duration(age)} ago, more than {format_duration(settings.max_hold)} (max_hold)"
    stale = Cancel(CancelReason.STALE, f"{rescue.node}: the fault counts no longer: {why}")
    return stale if age > settings.max_hold else None


def _of_earlier_boot(rescue: Rescue, node: Node) -> str | None:
    if not node.ready and not rescue.cause.boot_id:
        # It was not Ready when the fault was read and is not now: its boot id may still be that of the boot before.
        return None
    return earlier_boot(rescue.cause, node.boot_id, node.booted_at)


def _without_node(rescue: Rescue, node: Node | None) -> Hold | None:
    if node is not None or rescue.begun:
        return None
    return Hold(HoldReason.NODE_UNKNOWN, f"{rescue.node}: the cluster has no node of this name")


def _leader(
    rescue: Rescue, rescues: Iterable[Rescue], node: Node | None, now: datetime, settings: GuardSettings
) -> Rescue:
    """The one rescue that may act on the node: the one that has begun, else the oldest that still counts.

    One that would be cancelled leads nobody, or a good rescue would fold into it and be lost with it.
    """
    others = (
        other
        for other in rescues
        if other.node == rescue.node and not other.status.ended and _given_up(other, node, now, settings) is None
    )
    return min([rescue, *others], key=lambda other: (not other.begun, other.created, other.name))


def _behind(rescue: Rescue, leader: Rescue) -> Fold | Hold | None:
    if leader.name == rescue.name:
        return None
    if takes_over(leader) and not rescue.begun:
        return Fold(leader.name)
    return Hold(
        HoldReason.NODE_BUSY, f"{rescue.node}: rescue {leader.name} is under way, too far to take this one over"
    )


def _for_a_person(rescue: Rescue, rescues: Iterable[Rescue], node: Node | None) -> Hold | None:
    """A reboot that has failed is not tried again by the next fault; whoever has looked makes the node schedulable.

    Only the last rescue that has begun speaks: one that began after a failed one shows that a person had let it.
    """
    begun = (one for one in rescues if one.node == rescue.node and one.name != rescue.name and one.begun)
    last = max(begun, key=lambda one: one.ended or one.created, default=None)
    if node is None or not node.unschedulable or last is None or not left_by_failed_reboot(node, last):
        return None
    told = f"rescue {last.name} has failed ({last.reason}) and the node is as it left it"
    return Hold(
        HoldReason.NODE_FAILED,
        f"{rescue.node}: {told}: it waits until a person has looked and made the node schedulable",
    )


def _breaker(
    rescue: Rescue, rescues: Iterable[Rescue], nodes: Mapping[str, Node], now: datetime, settings: GuardSettings
) -> Hold | None:
    out = sorted(out_of_service(rescues, nodes, now, settings.window) - {rescue.node})
    if len(out) < settings.max_nodes:
        return None
    shown = ", ".join(out[:10]) + (f" and {len(out) - 10} more" if len(out) > 10 else "")
    told = f"{len(out)} nodes are out of service by our hand ({shown}), at most {settings.max_nodes} may be (max_nodes)"
    return Hold(HoldReason.MAX_NODES, f"{rescue.node}: {told}")
