"""The same line may be delivered more than once, before and after a restart."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.decide.escalation import escalate, join
from pipeline.decide.incidents import Incidents, Joins, New, Repeat, incident_name
from pipeline.execute.progress import repeated
from pipeline.model.fault import Drill, NodeFault
from pipeline.model.plan import Skip, SkipReason
from pipeline.model.rescue import CancelReason, Member, Status
from tests.fakes.faults import NOON, fault, line, node_fault, plan, rescue
from tests.fakes.incidents import (
    HARMLESS,
    MINUTE,
    SECOND,
    SETTINGS,
    WINDOW,
    fresh,
    place,
    rebooted,
    seen,
)


@pytest.mark.parametrize(
    ("again", "occurrences"),
    [
        pytest.param(lambda lead: lead, 1, id="the very line"),
        pytest.param(lambda lead: replace(lead, boot_id="a", labels={}), 1, id="whatever is known of its node by now"),
        pytest.param(fresh, 2, id="another line of the same moment"),
        pytest.param(
            lambda lead: replace(lead, fault=replace(lead.fault, line=replace(lead.fault.line, time=NOON + SECOND))),
            2,
            id="a later line at the same place, as in a log that was truncated",
        ),
    ],
)
@pytest.mark.parametrize("restored", [False, True])
def test_the_line_that_opened_an_incident_is_counted_once(
    again: Callable[[NodeFault], NodeFault], occurrences: int, restored: bool
) -> None:
    lead, incidents = seen(), Incidents(SETTINGS)
    if restored:
        incidents.restore([rescue(incident_name(lead), cause=lead)], NOON)
    else:
        place(incidents, lead)
    placed = place(incidents, again(lead), now=NOON + SECOND)
    assert isinstance(placed, Repeat)
    assert (placed.incident.count, placed.incident.companions) == (occurrences, 0)
    assert placed.incident.touched == NOON + SECOND


def test_a_line_without_a_time_is_known_by_its_place() -> None:
    lead = node_fault(fault=fault(line=line(time=None)))
    incidents = Incidents(SETTINGS)
    incident = place(incidents, lead).incident
    place(incidents, replace(lead, time=NOON + SECOND))
    assert (incident.count, incident.last_seen) == (1, NOON)


def test_skipped_incidents_are_forgotten_and_others_are_not() -> None:
    incidents = Incidents(SETTINGS)
    place(incidents, seen(13)).incident.decided(Skip(SkipReason.NO_RESCUE_NEEDED, "harmless"))
    place(incidents, seen(79)).incident.decided(None, "gpu-1-xid-79-abc")
    undecided = place(incidents, seen(48)).incident
    place(incidents, seen(13))
    incidents.forget_skipped()
    assert isinstance(place(incidents, seen(13)), Joins)
    assert isinstance(place(incidents, seen(79)), Repeat)
    assert place(incidents, seen(48)) == Repeat(undecided)
    assert [incident.count for incident in incidents.sweep(NOON)] == [2]


def test_a_restart_goes_on_where_it_was() -> None:
    cause = seen()
    kept = rescue(incident_name(cause), cause=cause)
    kept = repeated(kept, kept.name, 9, NOON - MINUTE, NOON + MINUTE)
    incidents = Incidents(SETTINGS)
    incidents.restore([kept], NOON + 2 * MINUTE)
    incident = place(incidents, seen(at=MINUTE + WINDOW), now=NOON + 3 * MINUTE).incident
    assert (incident.name, incident.rescue, incident.count, incident.reported) == (kept.name, kept.name, 10, 9)
    assert incident.decision == kept.plan
    assert (incident.first_seen, incident.last_seen) == (NOON - MINUTE, NOON + MINUTE + WINDOW)
    assert not incident.due()


def test_a_restart_knows_which_incidents_are_over() -> None:
    cause, other = seen(79), seen(48)
    folded = replace(
        rescue(incident_name(other), cause=other), status=Status.CANCELLED, reason=CancelReason.FOLDED, ended=NOON
    )
    cured = rebooted(replace(rescue(incident_name(cause), cause=cause), folded=(folded.name,)), MINUTE)
    incidents = Incidents(SETTINGS)
    incidents.restore([cured, folded], NOON + 2 * MINUTE)
    assert isinstance(place(incidents, seen(79, at=MINUTE)), Repeat)
    assert isinstance(place(incidents, seen(79, at=2 * MINUTE)), New)
    assert isinstance(place(incidents, seen(48, at=2 * MINUTE)), Joins)


def test_a_rescue_is_restored_under_its_own_name() -> None:
    by_hand = rescue("by-hand", cause=seen())
    incidents = Incidents(SETTINGS)
    incidents.restore([by_hand], NOON)
    incidents.close(rebooted(by_hand, MINUTE))
    assert isinstance(place(incidents, seen(at=2 * MINUTE)), New)


def test_what_is_remembered_already_is_not_restored() -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen()).incident
    place(incidents, seen())
    incidents.restore([rescue(incident.name, cause=incident.lead)], NOON)
    assert place(incidents, seen()) == Repeat(incident)
    assert incident.count == 3


def test_a_restart_keeps_the_latest_incidents_and_no_more_than_may_be() -> None:
    causes = [seen(code, at=MINUTE * code) for code in (3, 1, 2)]
    incidents = Incidents(SETTINGS, limit=2)
    incidents.restore([rescue(f"r{cause.fault.code}", cause=cause) for cause in causes], NOON)
    assert len(incidents) == 2
    assert [type(place(incidents, cause)).__name__ for cause in causes] == ["Repeat", "New", "New"]


def test_a_rescue_without_a_reboot_is_restored_as_well() -> None:
    incidents = Incidents(SETTINGS)
    cordon_only = rescue(incident_name(seen()), cause=seen(), plan=plan(*plan().actions[:1]))
    incidents.restore([cordon_only], NOON)
    assert isinstance(place(incidents, seen()), Repeat)


@pytest.mark.parametrize("half_first", [True, False])
def test_after_a_restart_a_half_that_was_taken_over_is_counted_where_it_is_now(half_first: bool) -> None:
    mine, its = (rescue(f"r-{code}", cause=seen(code)) for code in (48, 94))
    whole = repeated(escalate(mine, its, NOON), its.name, 5, NOON, NOON + (MINUTE if half_first else -MINUTE))
    half = replace(its, status=Status.CANCELLED, reason=CancelReason.FOLDED, ended=NOON, last_seen=NOON + SECOND)
    incidents = Incidents(SETTINGS)
    incidents.restore([half, whole], NOON)
    incident = place(incidents, seen(94, at=SECOND)).incident
    assert (incident.count, incident.rescue) == (6, whole.name)
    assert len(incidents) == 2


def test_after_a_restart_a_rescue_of_another_fault_that_was_taken_over_is_known_as_well() -> None:
    mine, its = rescue("r-48", cause=seen(48)), rescue("r-94", cause=seen(94, pci="0000:86:00"))
    half = replace(its, status=Status.CANCELLED, reason=CancelReason.FOLDED, ended=NOON)
    incidents = Incidents(SETTINGS)
    incidents.restore([half, escalate(mine, its, NOON)], NOON)
    assert isinstance(place(incidents, seen(94, pci="0000:86:00", at=SECOND)), Repeat)


def test_after_a_restart_a_family_goes_on() -> None:
    one = join(rescue("r-48", cause=seen(48)), Member("r-63", seen(63), 3, NOON, NOON, HARMLESS), NOON)
    incidents = Incidents(SETTINGS)
    incidents.restore([one], NOON)
    again = place(incidents, seen(63, at=SECOND)).incident
    assert (again.name, again.count, again.reported, again.rescue, again.decision) == ("r-63", 4, 3, "r-48", HARMLESS)
    joined = place(incidents, seen(94, at=2 * SECOND)).incident
    assert joined.family is not None
    assert joined.family is again.family
    assert (joined.family.name, joined.family.opened, len(joined.family.incidents)) == ("r-48", NOON, 3)
    assert isinstance(place(incidents, seen(45, at=MINUTE)), Joins)


def test_after_a_restart_drills_are_of_families_of_their_own() -> None:
    incidents = Incidents(SETTINGS)
    incidents.restore([rescue("drill", cause=seen(48, drill=Drill.REAL))], NOON)
    assert isinstance(place(incidents, seen(48, drill=Drill.REAL, at=SECOND)), Repeat)
    assert isinstance(place(incidents, seen(94, at=SECOND)), New)


def test_every_member_ends_with_the_rescue() -> None:
    one = join(rescue("r-48", cause=seen(48)), Member("r-63", seen(63), 1, NOON, NOON, HARMLESS), NOON)
    incidents = Incidents(SETTINGS)
    incidents.restore([one], NOON)
    incidents.close(rebooted(one, MINUTE))
    assert isinstance(place(incidents, seen(63, at=MINUTE)), Repeat)
    assert isinstance(place(incidents, seen(63, at=2 * MINUTE)), New)


def test_of_a_family_that_is_remembered_in_part_the_rest_is_restored() -> None:
    incidents = Incidents(SETTINGS)
    first = place(incidents, seen(48)).incident
    other = Member("gpu-1-xid-63-late", seen(63, at=SECOND), 5, NOON + SECOND, NOON + SECOND, HARMLESS)
    incidents.restore([join(rescue(first.name, cause=first.lead), other, NOON)], NOON)
    assert len(incidents) == 2
    again = place(incidents, seen(63, at=2 * SECOND))
    assert (type(again), again.incident.name, again.incident.count) == (Repeat, other.name, 6)


def test_two_rescues_for_the_same_fault_are_both_restored() -> None:
    incidents = Incidents(SETTINGS)
    causes = [seen(), seen(at=MINUTE)]
    incidents.restore([rescue(incident_name(cause), cause=cause) for cause in causes], NOON + MINUTE)
    assert len(incidents) == 2
