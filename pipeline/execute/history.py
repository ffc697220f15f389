"""What was known of an incident when an entry of the journal was made, and how a record tells it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.decide.family import lead_of
from pipeline.execute.ecs import FAULTS, Json, member_part, stamp
from pipeline.model.rescue import Entry, Member, Rescue


@dataclass(frozen=True, slots=True)
class Known:
    """An incident: its members as they were counted then, the one that led, and the one that a record is about."""

    name: str
    members: tuple[Member, ...]
    lead: Member
    about: Member


def history(rescue: Rescue) -> Iterator[Known]:
    """Yield what was known at each entry, in order.

    Only the journal tells it, and of the members what never changes, so that a record that is made again is the same.
    """
    opened = _at_first(rescue.members[0])
    members, lead = {opened.name: opened}, opened.name
    for entry in rescue.journal:
        about = lead
        if entry.action in FAULTS:
            about = str(entry.details.get("member", opened.name))
            members[about] = _as_told(rescue.member(about) or opened, entry)
            lead = about if entry.details.get("leads") else lead
        yield Known(rescue.name, tuple(members.values()), members[lead], members[about])


def of_family(name: str, members: Iterable[Member], about: str) -> Known:
    """Return what is known of an incident that has no rescue; *about* is the name of one of its members."""
    known = {member.name: member for member in members}
    return Known(name, tuple(known.values()), lead_of(known.values()), known[about])


def incident_part(known: Known) -> Json:
    """`gpu_rescue.incident`: what belongs together, which fault leads it, and how often all of them were seen."""
    lead = known.lead.fault.fault
    return {
        "name": known.name,
        "member": known.about.name,
        "lead": f"{lead.kind} {lead.code}",
        "members": [member_part(member) for member in known.members],
        "count": sum(member.count for member in known.members),
        "first_seen": stamp(min(member.first_seen for member in known.members)),
        "last_seen": stamp(max(member.last_seen for member in known.members)),
    }


def _as_told(member: Member, entry: Entry) -> Member:
    told = entry.details
    if "count" not in told:
        return _at_first(member)
    first, last = (datetime.fromisoformat(str(told[name])) for name in ("first_seen", "last_seen"))
    return replace(member, count=int(told["count"]), first_seen=first, last_seen=last)


def _at_first(member: Member) -> Member:
    return replace(member, count=1, first_seen=member.fault.time, last_seen=member.fault.time)
