"""Records are a projection of the journal: the same rescue gives the same records with the same ids, whenever asked."""

from datetime import datetime
from hashlib import blake2s

from pipeline.execute.ecs import (
    FAULTS,
    Json,
    admission_part,
    decision_part,
    document,
    event,
    fault_part,
    log_part,
    node_part,
    present,
    rescue_part,
)
from pipeline.execute.history import Known, history, incident_part
from pipeline.model.fault import NodeFault
from pipeline.model.plan import Skip
from pipeline.model.rescue import Entry, EventAction, Member, Rescue
from sinks.base import Record

_ADMISSIONS = {
    EventAction.STEP_STARTED: "go",
    EventAction.RESCUE_HELD: "hold",
    EventAction.RESCUE_CANCELLED: "cancel",
}


def records(rescue: Rescue) -> list[Record]:
    """Return one record per journal entry, in order.

    The id is the rescue's name, the entry's number and a digest of what happened: the same entry has the same id
    whenever it is written, and another run over the same log that does something else at its place has another one.
    """
    known = zip(rescue.journal, history(rescue), strict=True)
    return [_of_entry(rescue, number, entry, then) for number, (entry, then) in enumerate(known)]


def _of_entry(rescue: Rescue, number: int, entry: Entry, then: Known) -> Record:
    record_id = f"{rescue.name}/{number}" + (f"/{_digest(entry, rescue.dry_run)}" if number else "")
    started = _started(rescue, number, entry)
    own = {
        "fault": fault_part(then.about),
        "node": node_part(then.about.fault),
        "rescue": rescue_part(rescue),
        **present(
            incident=incident_part(then) if entry.step is None else None,
            decision=_decision(entry, then),
            step=_step(entry),
        ),
    }
    body = document(
        entry.time,
        rescue.node,
        entry.message,
        event(record_id, entry.action, number, entry.reason, started, entry.time if started else None),
        own,
    )
    if entry.action in FAULTS:
        body = {**body, "log": log_part(then.about.fault.fault)}
    return Record(record_id, entry.time, body)


def _digest(entry: Entry, dry_run: bool) -> str:
    told = (entry.time.isoformat(), entry.action, entry.step, entry.reason, entry.message, dry_run)
    return blake2s(repr(told).encode(), digest_size=4).hexdigest()


def _started(rescue: Rescue, number: int, entry: Entry) -> datetime | None:
    """When that which ends with this entry began."""
    if entry.action in (EventAction.RESCUE_SUCCEEDED, EventAction.RESCUE_FAILED, EventAction.RESCUE_CANCELLED):
        return rescue.created
    if entry.action not in (EventAction.STEP_ENDED, EventAction.STEP_FAILED):
        return None
    starts = [e.time for e in rescue.journal[:number] if e.action is EventAction.STEP_STARTED and e.step == entry.step]
    return starts[-1] if starts else None


def _decision(entry: Entry, then: Known) -> Json | None:
    """What was planned, or answered before a step; of a fault that joined, what it leads to by itself."""
    decision = then.about.decision if entry.action is EventAction.FAULT_JOINED else entry.plan
    if decision is not None:
        return decision_part(decision)
    if entry.guards and entry.action in _ADMISSIONS:
        return admission_part(_ADMISSIONS[entry.action], entry.reason, entry.guards)
    return None


def _step(entry: Entry) -> Json | None:
    if entry.step is None:
        return None
    details = {key: str(value) for key, value in entry.details.items()}
    return present(action=entry.step, reason=entry.reason, details=details or None)


def skip_records(name: str, found: NodeFault, skip: Skip, now: datetime, known: Known | None = None) -> list[Record]:
    """Return the two records of a fault that leads to no rescue: that it was seen, and why nothing follows.

    *known* is the incident that it belongs to, where others do too.
    """
    fault = found.fault
    seen = f"{fault.kind} {fault.code} on {found.node or 'an unnamed node'}: {fault.message}"
    # The reason is in the id: decided anew, by other policies, the same line may lead to a plan or to another skip.
    told = (
        (f"{name}/0", EventAction.FAULT_DETECTED, seen, None),
        (f"{name}/{skip.reason}", EventAction.FAULT_SKIPPED, skip.detail, skip),
    )
    member = Member(name, found, 1, found.time, found.time, skip)
    return [
        _without_rescue(
            member,
            now,
            message,
            event(record_id, action, number, str(why.reason) if why else None),
            present(incident=incident_part(known) if known else None, decision=decision_part(why) if why else None),
        )
        for number, (record_id, action, message, why) in enumerate(told)
    ]


def repeat_record(member: Member, known: Known | None = None) -> Record:
    """Return the record that says how often a fault without rescue was seen by now; its id holds the count."""
    found, record_id = member.fault, f"{member.name}/repeated/{member.count}"
    fault = found.fault
    message = f"{fault.kind} {fault.code} on {found.node or 'an unnamed node'}: seen {member.count} times"
    part = event(
        record_id, EventAction.FAULT_REPEATED, member.count, None, start=member.first_seen, end=member.last_seen
    )
    own = present(incident=incident_part(known) if known else None)
    return _without_rescue(member, member.last_seen, message, part, own)


def _without_rescue(member: Member, time: datetime, message: str, event_part: Json, own: Json) -> Record:
    found = member.fault
    parts = {"fault": fault_part(member), "node": node_part(found), **own}
    body = document(time, found.node, message, event_part, parts)
    return Record(event_part["id"], time, {**body, "log": log_part(found.fault)})
