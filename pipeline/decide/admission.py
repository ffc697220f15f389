"""Admission: what is asked before each disruptive step of a rescue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.decide.boots import earlier_boot, left_by_failed_reboot
from pipeline.decide.breaker import out_of_service
from pipeline.decide.escalation import takes_over
from pipeline.decide.guards import OUT_FOR_GOOD, GuardSettings, too_old
from pipeline.durations import format_duration
from pipeline.model.node import Node
from pipeline.model.ownership import OFFLINE
from pipeline.model.plan import ActionName
from pipeline.model.rescue import CancelReason, HoldReason, Rescue


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
        why = f"the cluster has no node of this name, and the fault counts no longer: {too_old(age, settings)}"
        return Cancel(CancelReason.STALE, f"{rescue.node}: {why}") if age > settings.max_age else None
    if OFFLINE in node.labels:
        return Cancel(CancelReason.NODE_OFFLINE, f"{rescue.node}: {OUT_FOR_GOOD}")
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
