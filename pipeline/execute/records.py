"""Records are a projection of the journal: the same rescue gives the same records with the same ids, whenever asked.

An id means one document: whatever is told differently, of the same line too, has another id.
"""

import json
from datetime import datetime
from hashlib import blake2s

import orjson

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
    whenever it is written, and another run over the same log that does something else at its place, or the same at
    another time, has another one.
    """
    known = zip(rescue.journal, history(rescue), strict=True)
    return [_of_entry(rescue, number, entry, then) for number, (entry, then) in enumerate(known)]


def _of_entry(rescue: Rescue, number: int, entry: Entry, then: Known) -> Record:
    told = (entry.time.isoformat(), entry.action, entry.step, entry.reason, entry.message, rescue.dry_run)
    record_id = f"{rescue.name}/{number}/{_digest(repr(told).encode())}"
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


def _digest(told: bytes) -> str:
    return blake2s(told, digest_size=4).hexdigest()


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


def skip_records(name: str, found: NodeFault, skip: Skip, known: Known | None = None) -> list[Record]:
    """Return the two records of a fault that leads to no rescue: that it was seen, and why nothing follows.

    They are of the time of the fault, not of when it was decided, so that a line that is delivered again and decided
    the same is the same. *known* is the incident that it belongs to, where others do too.
    """
    fault = found.fault
    seen = f"{fault.kind} {fault.code} on {found.node or 'an unnamed node'}: {fault.message}"
    parts = _parts(Member(name, found, 1, found.time, found.time, skip), known)
    why = {**parts, "decision": decision_part(skip)}
    detected = event("", EventAction.FAULT_DETECTED, 0)
    skipped = event("", EventAction.FAULT_SKIPPED, 1, str(skip.reason))
    return [
        _without_rescue(f"{name}/detected", found, found.time, seen, detected, parts),
        _without_rescue(f"{name}/{skip.reason}", found, found.time, skip.detail, skipped, why),
    ]


def repeat_record(member: Member, known: Known | None = None) -> Record:
    """Return the record that says how often a fault without rescue was seen by now; its id holds the count."""
    found, count = member.fault, member.count
    fault = found.fault
    message = f"{fault.kind} {fault.code} on {found.node or 'an unnamed node'}: seen {count} times"
    part = event("", EventAction.FAULT_REPEATED, count, start=member.first_seen, end=member.last_seen)
    what = f"{member.name}/repeated/{count}"
    return _without_rescue(what, found, member.last_seen, message, part, _parts(member, known))


def _parts(member: Member, known: Known | None) -> Json:
    parts = {"fault": fault_part(member), "node": node_part(member.fault)}
    return {**parts, "incident": incident_part(known)} if known else parts


def _without_rescue(what: str, found: NodeFault, time: datetime, message: str, event_part: Json, own: Json) -> Record:
    """No journal keeps what was told, so that the id has a digest of all of it."""
    body = {**document(time, found.node, message, event_part, own), "log": log_part(found.fault)}
    record_id = f"{what}/{_digest(_canonical(body))}"
    return Record(record_id, time, {**body, "event": {**event_part, "id": record_id}})


def _canonical(body: Json) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Numbers beyond 64 bits, say.
        return json.dumps(body, sort_keys=True).encode()
