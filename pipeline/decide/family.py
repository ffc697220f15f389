"""Which faults one failure tells of, by several codes and at both ends of a link; which of them leads, and decides."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.decide.boots import may_be_one_boot
from pipeline.decide.errorcodes import severity
from pipeline.decide.identity import device_of
from pipeline.model.fault import NodeFault
from pipeline.model.plan import ActionName, Plan, Skip
from pipeline.model.rescue import Entry, EventAction, Member, Rescue

FAMILY = timedelta(seconds=2)
"""How far apart the faults of one family are at the most; drivers print them within a second."""

LARGEST = 64
"""The most members that an incident has; what would be one more opens an incident of its own."""

_NVLINK = (74, *range(144, 151))


def kin(one: NodeFault, other: NodeFault) -> bool:
    """Whether one failure can have led to both faults of a node: on the same device, or at two ends of an NVLink.

    What a drill tells of has not happened, so that only another line of a drill can be kin to it.
    """
    if one.fault.drill is not other.fault.drill:
        return False
    device = device_of(one)
    return (device is not None and device == device_of(other)) or (_of_nvlink(one) and _of_nvlink(other))


def same_family(one: Rescue, other: Rescue) -> bool:
    """Whether two rescues of a node are for one failure: faults of both are kin and within FAMILY of each other."""
    pairs = ((mine, its) for mine in one.faults for its in other.faults)
    return any(kin(mine, its) and abs(mine.time - its.time) <= FAMILY for mine, its in pairs)


def is_aftermath(fault: NodeFault) -> bool:
    """Whether the driver prints it while it clears up after another fault, Xid 45, be it minutes later."""
    return (fault.fault.kind, fault.fault.code) == ("xid", 45)


def lead_of(members: Iterable[Member]) -> Member:
    """Return the worst: by severity, then by the priority of its plan; a 45 only among 45s, the first of equals."""
    return max(members, key=_rank)


def returned(members: Iterable[Member]) -> bool:
    """Whether the plans of an incident's members give the node back: those of its worst fault decide, all of them.

    What the global policy would do about one of them has no say beside a rule that speaks of another: a driver that
    tells of one failure by a code more (a 154 after the 62) must not cost the node its unCordon.
    """
    told = [(severity(member.fault).rank, plan) for member in members if isinstance(plan := member.decision, Plan)]
    plans = [(rank, plan) for rank, plan in told if not plan.fallback] or told
    heaviest = max(((rank, plan.priority) for rank, plan in plans), default=None)
    return all(gives_back(plan) for rank, plan in plans if (rank, plan.priority) == heaviest)


def gives_back(plan: Plan) -> bool:
    """Whether the node is in service at the end; offline excludes unCordon."""
    return any(action.name is ActionName.UNCORDON for action in plan.actions)


def with_member(rescue: Rescue, member: Member, now: datetime) -> Rescue:
    """Return the rescue with one more fault in its incident; as it is, if it has LARGEST of them.

    The worst is its cause. A fault that was read while its node was not Ready is of the boot of the others; one that is
    known to be of another boot is of another incident, and changes nothing.
    """
    if len(rescue.members) >= LARGEST or not may_be_one_boot((*rescue.faults, member.fault)):
        return rescue
    known = replace(member, fault=_of_boot(member.fault, rescue.cause))
    lead = lead_of(rescue.members)
    leads = lead_of((lead, known)) is known
    after = replace(
        rescue,
        cause=known.fault if leads else rescue.cause,
        members=(*rescue.members, known),
        count=rescue.count + known.count,
        first_seen=min(rescue.first_seen, known.first_seen),
        last_seen=max(rescue.last_seen, known.last_seen),
    )
    return after.noted(_joined(lead, known, leads, now))


def speaks_for(rescue: Rescue, member: Member) -> bool:
    """Whether the rescue knows the fault, and has its plan if it has one: nothing else need follow from it."""
    known, plan = rescue.member(member.name), member.decision
    if known is None or not isinstance(plan, Plan):
        return known is not None
    return isinstance(known.decision, Plan) and known.decision.dry_run is plan.dry_run


def _of_nvlink(fault: NodeFault) -> bool:
    """Whether it tells of a link, or of the switch at its other end, which is all that SXids tell of."""
    line = fault.fault
    return line.kind == "sxid" or (line.kind == "xid" and line.code in _NVLINK)


def _rank(member: Member) -> tuple[bool, int, bool, int]:
    plan = member.decision if isinstance(member.decision, Plan) else None
    own = severity(member.fault).rank
    return not is_aftermath(member.fault), own, plan is not None, plan.priority if plan is not None else 0


def _of_boot(fault: NodeFault, cause: NodeFault) -> NodeFault:
    return fault if fault.boot_id else replace(fault, boot_id=cause.boot_id, booted_at=cause.booted_at)


def _joined(lead: Member, member: Member, leads: bool, now: datetime) -> Entry:
    """The entry says all that was known of the member then, so that its record can be made again at any time."""
    fault, other = member.fault.fault, lead.fault.fault
    how = f"belongs to {other.kind} {other.code}" + (" and leads the incident now" if leads else "")
    return Entry(
        now,
        EventAction.FAULT_JOINED,
        f"{fault.kind} {fault.code} on {member.fault.node} {how}: {fault.message}",
        reason=member.decision.reason if isinstance(member.decision, Skip) else None,
        details={**seen(member), "leads": leads},
    )


def seen(member: Member) -> dict[str, str | int | bool]:
    """The details of an entry about one member: which one, how often it was seen by then, and when."""
    return {
        "member": member.name,
        "count": member.count,
        "first_seen": member.first_seen.isoformat(),
        "last_seen": member.last_seen.isoformat(),
    }
