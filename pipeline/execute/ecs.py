"""The parts of a rescue record, in Elastic Common Schema names and our own under `gpu_rescue`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from pipeline.decide.blast import blast
from pipeline.decide.errorcodes import severity
from pipeline.decide.wording import describe
from pipeline.model.fault import Fault, NodeFault
from pipeline.model.guard import GuardState
from pipeline.model.plan import Considered, Plan, Skip
from pipeline.model.rescue import EventAction, Member, Rescue

ECS_VERSION = "8.17"
SCHEMA_VERSION = 1

Json = dict[str, Any]

_TYPES: Mapping[EventAction, list[str]] = {
    EventAction.FAULT_DETECTED: ["error"],
    EventAction.FAULT_REPEATED: ["error"],
    EventAction.FAULT_JOINED: ["error"],
    EventAction.FAULT_SKIPPED: ["denied"],
    EventAction.RESCUE_PLANNED: ["start"],
    EventAction.RESCUE_HELD: ["info"],
    EventAction.RESCUE_ESCALATED: ["change"],
    EventAction.RESCUE_SUCCEEDED: ["end"],
    EventAction.RESCUE_FAILED: ["end", "error"],
    EventAction.RESCUE_CANCELLED: ["end"],
    EventAction.STEP_STARTED: ["start"],
    EventAction.STEP_INTENDED: ["info"],
    EventAction.STEP_ENDED: ["end", "change"],
    EventAction.STEP_FAILED: ["end", "error"],
}
_OUTCOMES: Mapping[EventAction, str] = {
    EventAction.RESCUE_SUCCEEDED: "success",
    EventAction.STEP_ENDED: "success",
    EventAction.RESCUE_FAILED: "failure",
    EventAction.STEP_FAILED: "failure",
}
# Fields that hold no others: `asdict` looks into each, ten times as long.
_CONSIDERED, _GUARD = Considered.__slots__, GuardState.__slots__
_of_rule, _of_guard = attrgetter(*_CONSIDERED), attrgetter(*_GUARD)
FAULTS = (EventAction.FAULT_DETECTED, EventAction.FAULT_REPEATED, EventAction.FAULT_JOINED)


def stamp(moment: datetime) -> str:
    """ISO 8601, UTC, to the microsecond, with Z: every stamp has the same length, so that text sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event(
    record_id: str,
    action: EventAction,
    number: int,
    reason: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Json:
    """The `event` object; *number* is its place among the records of the same incident."""
    return present(
        id=record_id,
        kind="alert" if action in FAULTS else "event",
        category=["host"],
        type=_TYPES[action],
        action=str(action),
        outcome=_OUTCOMES.get(action, "unknown"),
        reason=reason,
        start=stamp(start) if start else None,
        end=stamp(end) if end else None,
        duration=(end - start) // timedelta(microseconds=1) * 1000 if start and end else None,
        sequence=number,
        dataset="gpu_rescue.records",
        module="gpu_rescue",
    )


def document(time: datetime, node: str, message: str, event_part: Json, own: Json) -> Json:
    """The whole document of one record."""
    return present(
        **{"@timestamp": stamp(time)},
        ecs={"version": ECS_VERSION},
        event=event_part,
        message=message,
        host={"name": node} if node else None,
        orchestrator={"type": "kubernetes", "resource": {"type": "node", "name": node}} if node else None,
        gpu_rescue={"schema_version": SCHEMA_VERSION, **own},
    )


def fault_part(member: Member) -> Json:
    """`gpu_rescue.fault`: what was seen, what it means and how often."""
    found, fault, reach = member.fault, member.fault.fault, blast(member.fault)
    nested = {
        name: asdict(part) for name in ("recovery_action", "nvlink5") if (part := getattr(fault, name)) is not None
    }
    return present(
        kind=fault.kind,
        code=fault.code,
        name=found.meaning.name,
        meaning=found.meaning.meaning,
        action=found.meaning.action,
        severity=str(found.meaning.severity),
        catalogued=found.meaning.catalogued,
        blast_radius=str(reach.radius),
        blast_radius_why=reach.why,
        process=fault.name,
        drill=str(fault.drill) if fault.drill is not None else None,
        **{name: getattr(fault, name) for name in _PLAIN_FIELDS},
        inferred=fault.inferred,
        companion=fault.companion,
        kernel_time=fault.line.kernel_time,
        gpu_uuid=found.gpu_uuid,
        board_serial=found.board_serial,
        **_counted(member),
        **{name: present(**part) for name, part in nested.items()},
    )


def _counted(member: Member) -> Json:
    """How often a fault was seen, and when."""
    return {
        "count": member.count,
        "first_seen": stamp(member.first_seen),
        "last_seen": stamp(member.last_seen),
    }


_PLAIN_FIELDS = (
    "pci",
    "pid",
    "message",
    "device",
    "gpu_instance",
    "compute_instance",
    "caused_by_xid",
    "severity_word",
    "link",
    "rule",
)


def member_part(member: Member) -> Json:
    """One of `gpu_rescue.incident.members`: which fault it is, and how often it was seen."""
    fault = member.fault.fault
    return present(
        name=member.name,
        kind=fault.kind,
        code=fault.code,
        severity=str(severity(member.fault)),
        pci=fault.pci,
        device=fault.device,
        **_counted(member),
    )


def node_part(found: NodeFault) -> Json:
    """`gpu_rescue.node`: the node as the cache knew it."""
    return present(
        name=found.node or None,
        lookup=str(found.lookup),
        enriched=found.enriched,
        labels=dict(found.labels) or None,
        boot_id=found.boot_id,
    )


def decision_part(decision: Plan | Skip) -> Json:
    """`gpu_rescue.decision`: what was decided, every rule that was considered, and every guard that was asked."""
    considered = [dict(zip(_CONSIDERED, _of_rule(rule), strict=True)) for rule in decision.considered] or None
    guards = guards_part(decision.guards)
    if isinstance(decision, Skip):
        return present(outcome="skip", reason=str(decision.reason), considered=considered, guards=guards)
    return present(
        outcome="plan",
        policy=decision.policy,
        rule=decision.rule,
        priority=decision.priority,
        actions=[describe(action) for action in decision.actions],
        limit=decision.limit,
        considered=considered,
        guards=guards,
    )


def admission_part(outcome: str, reason: str | None, guards: Iterable[GuardState]) -> Json:
    """`gpu_rescue.decision` of a rescue before a step: `go`, `hold` or `cancel`, and every guard that was asked."""
    return present(outcome=outcome, reason=reason, guards=guards_part(guards))


def guards_part(guards: Iterable[GuardState]) -> list[Json] | None:
    """What guards were asked and answered; None when none was."""
    return [dict(zip(_GUARD, map(str, _of_guard(state)), strict=True)) for state in guards] or None


def rescue_part(rescue: Rescue) -> Json:
    """`gpu_rescue.rescue`: which rescue it was, of when, and whether it was a dry run."""
    return {"name": rescue.name, "created": stamp(rescue.created), "dry_run": rescue.dry_run}


def log_part(fault: Fault) -> Json:
    """`log`: the line as it was delivered."""
    return {"original": fault.line.original or fault.line.text}


def present(**fields: Any) -> Json:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
