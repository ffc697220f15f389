"""How large a rescue may become: etcd takes no object over 1.5 MiB."""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.model.plan import Decision, Plan
from pipeline.model.rescue import Entry, EventAction, Member, Rescue, Status

LARGEST = 1_000_000
"""Bytes of a status from which on a rescue is saved lighter; spec and status are one object."""

LARGEST_NEW = 400_000
"""The same of the spec."""


def lighter(rescue: Rescue) -> Iterator[Rescue]:
    """Yield forms of the rescue that take ever less room; every entry keeps its number and every step its state.

    What goes is evidence that was only kept for records: first that of entries whose records are safe, then all of it,
    and at last what was said of holds that are over. No decision reads any of it.
    """
    yield _without_evidence(rescue, rescue.recorded)
    yield _without_evidence(rescue, len(rescue.journal))
    yield _without_words(_without_evidence(rescue, len(rescue.journal)))


def _without_evidence(rescue: Rescue, told: int) -> Rescue:
    """The rescue without the rules and guards that its first *told* entries, and the members they tell of, name."""
    entries = [_bare(entry) for entry in rescue.journal[:told]]
    members = {str(entry.details.get("member")) for entry in entries if entry.action is EventAction.FAULT_JOINED}
    return replace(
        rescue,
        journal=(*entries, *rescue.journal[told:]),
        members=tuple(_bare_member(one) if one.name in members else one for one in rescue.members),
    )


def _without_words(rescue: Rescue) -> Rescue:
    last = len(rescue.journal) - 1 if rescue.status is Status.HELD else len(rescue.journal)
    return replace(
        rescue,
        journal=tuple(
            replace(entry, message="", details={}) if _is_hold(entry) and number < last else entry
            for number, entry in enumerate(rescue.journal)
        ),
    )


def _is_hold(entry: Entry) -> bool:
    return entry.action is EventAction.RESCUE_HELD


def _bare(entry: Entry) -> Entry:
    return replace(entry, guards=(), plan=_bare_plan(entry.plan) if entry.plan is not None else None)


def _bare_plan(plan: Plan) -> Plan:
    return replace(plan, considered=(), guards=())


def _bare_member(member: Member) -> Member:
    decision: Decision | None = member.decision
    return member if decision is None else replace(member, decision=replace(decision, considered=(), guards=()))
