"""Records are a projection of the journal: the same rescue gives the same records with the same ids, whenever asked."""

from datetime import datetime
from hashlib import blake2s

from pipeline.execute.ecs import (
    FAULTS,
    Json,
    decision_part,
    document,
    event,
    fault_part,
    log_part,
    node_part,
    present,
    rescue_part,
)
from pipeline.model.fault import NodeFault
from pipeline.model.plan import Skip
from pipeline.model.rescue import Entry, EventAction, Rescue
from sinks.base import Record


def records(rescue: Rescue, dry_run: bool) -> list[Record]:
    """Return one record per journal entry, in order.

    The id is the rescue's name, the entry's number and a digest of what happened: the same entry has the same id
    whenever it is written, and another run over the same log that does something else at its place has another one.
    """
    return [_of_entry(rescue, number, entry, dry_run) for number, entry in enumerate(rescue.journal)]


def _of_entry(rescue: Rescue, number: int, entry: Entry, dry_run: bool) -> Record:
    record_id = f"{rescue.name}/{number}" + (f"/{_digest(entry, dry_run)}" if number else "")
    started = _started(rescue, number, entry)
    own = {
        "fault": fault_part(rescue.cause, *_seen(rescue, number)),
        "node": node_part(rescue.cause),
        "rescue": rescue_part(rescue, dry_run),
        **present(
            decision=decision_part(entry.plan) if entry.plan else None,
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
        body = {**body, "log": log_part(rescue.cause.fault)}
    return Record(record_id, entry.time, body)


def _digest(entry: Entry, dry_run: bool) -> str:
    told = (entry.time.isoformat(), entry.action, entry.step, entry.reason, entry.message, dry_run)
    return blake2s(repr(told).encode(), digest_size=4).hexdigest()


def _seen(rescue: Rescue, number: int) -> tuple[int, datetime, datetime]:
    """Count, first and last time as they were known when the entry was made: rewritten, the record must be the same."""
    first = last = rescue.cause.time
    counts = [entry for entry in rescue.journal[: number + 1] if entry.action is EventAction.FAULT_REPEATED]
    if not counts:
        return 1, first, last
    return int(counts[-1].details["count"]), first, counts[-1].time


def _started(rescue: Rescue, number: int, entry: Entry) -> datetime | None:
    """When that which ends with this entry began."""
    if entry.action in (EventAction.RESCUE_SUCCEEDED, EventAction.RESCUE_FAILED, EventAction.RESCUE_CANCELLED):
        return rescue.created
    if entry.action not in (EventAction.STEP_ENDED, EventAction.STEP_FAILED):
        return None
    starts = [e.time for e in rescue.journal[:number] if e.action is EventAction.STEP_STARTED and e.step == entry.step]
    return starts[-1] if starts else None


def _step(entry: Entry) -> Json | None:
    if entry.step is None:
        return None
    details = {key: str(value) for key, value in entry.details.items()}
    return present(action=entry.step, reason=entry.reason, details=details or None)


def skip_records(name: str, found: NodeFault, skip: Skip, now: datetime) -> list[Record]:
    """Return the two records of a fault that leads to no rescue: that it was seen, and why nothing follows."""
    fault = found.fault
    seen = f"{fault.kind} {fault.code} on {found.node or 'an unnamed node'}: {fault.message}"
    return [
        _of_skipped(f"{name}/0", 0, found, now, EventAction.FAULT_DETECTED, seen, None),
        # The reason is in the id: decided anew, by other policies, the same line may lead to a plan or to another skip.
        _of_skipped(f"{name}/{skip.reason}", 1, found, now, EventAction.FAULT_SKIPPED, skip.detail, skip),
    ]


def repeat_record(name: str, found: NodeFault, count: int, first_seen: datetime, last_seen: datetime) -> Record:
    """Return the record that says how often a skipped fault was seen by now; its id holds the count."""
    record_id = f"{name}/repeated/{count}"
    message = f"{found.fault.kind} {found.fault.code} on {found.node or 'an unnamed node'}: seen {count} times"
    own = {"fault": fault_part(found, count, first_seen, last_seen), "node": node_part(found)}
    part = event(record_id, EventAction.FAULT_REPEATED, count, None, first_seen, last_seen)
    body = document(last_seen, found.node, message, part, own)
    return Record(record_id, last_seen, {**body, "log": log_part(found.fault)})


def _of_skipped(
    record_id: str, number: int, found: NodeFault, now: datetime, action: EventAction, message: str, skip: Skip | None
) -> Record:
    own = {
        "fault": fault_part(found, 1, found.time, found.time),
        "node": node_part(found),
        **present(decision=decision_part(skip) if skip else None),
    }
    reason = str(skip.reason) if skip else None
    body = document(now, found.node, message, event(record_id, action, number, reason), own)
    return Record(record_id, now, {**body, "log": log_part(found.fault)})
