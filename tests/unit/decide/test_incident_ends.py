"""What becomes of an incident when its rescue does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.escalation import join
from pipeline.decide.incidents import Companion, Incidents, Joins, New, Repeat
from pipeline.execute import progress
from pipeline.model.plan import Skip, SkipReason
from pipeline.model.rescue import CancelReason, Status, StepState
from tests.fakes.faults import NOON, rescue
from tests.fakes.incidents import (
    FELL,
    HARMLESS,
    MICROSECOND,
    MINUTE,
    SECOND,
    SETTINGS,
    ended,
    place,
    rebooted,
    seen,
)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(MINUTE, "Repeat", id="in the moment in which the new boot was seen"),
        pytest.param(MINUTE + MICROSECOND, "New", id="after it"),
    ],
)
def test_an_incident_is_over_at_the_reboot_that_cured_it(at: timedelta, expected: str) -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen()).incident
    incidents.close(rebooted(ended(incident, Status.SUCCEEDED, at=2 * MINUTE), MINUTE))
    assert type(place(incidents, seen(at=at))).__name__ == expected


@pytest.mark.parametrize(
    ("status", "reason", "at", "expected"),
    [
        pytest.param(Status.SUCCEEDED, None, 2 * MINUTE, "Repeat", id="a rescue that only cordoned"),
        pytest.param(Status.FAILED, "drain-timeout", 2 * MINUTE, "Repeat", id="a rescue that failed"),
        pytest.param(Status.CANCELLED, CancelReason.FOLDED, 2 * MINUTE, "Repeat", id="one that was taken over"),
        pytest.param(Status.CANCELLED, "by a person", 2 * MINUTE, "Repeat", id="one that a person cancelled"),
        pytest.param(Status.CANCELLED, CancelReason.STALE, MINUTE, "Repeat", id="a stale one, in that moment"),
        pytest.param(Status.CANCELLED, CancelReason.STALE, MINUTE + MICROSECOND, "New", id="a stale one, after it"),
        pytest.param(Status.CANCELLED, CancelReason.OLDER_THAN_BOOT, 2 * MINUTE, "New", id="one of an earlier boot"),
        pytest.param(Status.CANCELLED, CancelReason.OLDER_THAN_RESCUE, 2 * MINUTE, "New", id="one of before a reboot"),
        pytest.param(Status.CANCELLED, CancelReason.NODE_OFFLINE, 2 * MINUTE, "New", id="one of a node that was out"),
        pytest.param(Status.CANCELLED, CancelReason.OPTED_OUT, 2 * MINUTE, "New", id="one of an opted-out node"),
        pytest.param(Status.CANCELLED, CancelReason.UNCORDONED, 2 * MINUTE, "Repeat", id="a person took the node back"),
        pytest.param(Status.RUNNING, None, 2 * MINUTE, "Repeat", id="one that is under way"),
        pytest.param(Status.HELD, CancelReason.STALE, 2 * MINUTE, "Repeat", id="one that has not ended"),
    ],
)
def test_a_fault_after_the_end_of_a_rescue(status: Status, reason: str | None, at: timedelta, expected: str) -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen()).incident
    incidents.close(ended(incident, status, reason, MINUTE))
    assert type(place(incidents, seen(at=at))).__name__ == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(MINUTE - MICROSECOND, "Repeat", id="before the driver took it back"),
        pytest.param(MINUTE, "New", id="in that moment"),
        pytest.param(2 * MINUTE, "New", id="after it, and before the line was read"),
    ],
)
def test_an_incident_is_over_when_the_driver_has_taken_it_back(at: timedelta, expected: str) -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen(154)).incident
    given_up = progress.recovered(ended(incident, Status.PENDING), seen(154, at=MINUTE), NOON + 3 * MINUTE)
    incidents.close(given_up)
    assert type(place(incidents, seen(154, at=at))).__name__ == expected


def test_a_line_that_opened_an_incident_and_is_delivered_again_is_not_of_the_next_one() -> None:
    incidents, line = Incidents(SETTINGS), seen(154)
    first = place(incidents, line).incident
    incidents.close(progress.recovered(ended(first, Status.PENDING), seen(154, at=SECOND), NOON + SECOND))
    second = place(incidents, seen(154, at=2 * SECOND)).incident
    assert place(incidents, line) == Repeat(first)
    assert (first.count, second.count) == (1, 1)


def test_a_storm_after_a_cordon_stays_one_incident_for_hours() -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen()).incident
    incidents.close(ended(incident, Status.SUCCEEDED))
    placed = [place(incidents, seen(at=MINUTE * n), now=NOON + MINUTE * n) for n in range(600)]
    assert placed == [Repeat(incident)] * 600


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(Status.PENDING, "New", id="not by this incident's rescue"),
        pytest.param(Status.RUNNING, "Repeat", id="by its rescue, which waits for the proof"),
        pytest.param(Status.FAILED, "Repeat", id="by its rescue, for which the proof never came"),
    ],
)
def test_a_fault_of_another_boot_when_the_node_was_rebooted(status: Status, expected: str) -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen(boot_id="a")).incident
    one = rescue(incident.name, cause=incident.lead)
    incidents.close(one if status is Status.PENDING else rebooted(one, MINUTE, status))
    assert type(place(incidents, seen(boot_id="b", at=2 * MINUTE))).__name__ == expected


def test_a_fault_of_another_boot_when_the_rescue_has_not_come_to_its_reboot() -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen(boot_id="a")).incident
    cordoned = rescue(incident.name, cause=incident.lead).with_step(0, StepState(Status.SUCCEEDED, NOON, NOON))
    incidents.close(cordoned)
    assert isinstance(place(incidents, seen(boot_id="b", at=MINUTE)), New)


def test_the_incidents_of_rescues_that_were_taken_over_end_with_the_one_that_did() -> None:
    incidents = Incidents(SETTINGS)
    leader = place(incidents, seen(79)).incident
    folded = place(incidents, seen(48)).incident
    member = place(incidents, seen(63)).incident
    other = place(incidents, seen(62)).incident
    half = join(ended(folded, Status.PENDING), replace(member.as_member(), decision=HARMLESS), NOON)
    half = replace(half, status=Status.CANCELLED, reason=CancelReason.FOLDED)
    cured = replace(rebooted(ended(leader, Status.SUCCEEDED), MINUTE), folded=(folded.name, "gone"))
    incidents.close(cured, half)
    assert isinstance(place(incidents, seen(48, at=2 * MINUTE)), New)
    assert isinstance(place(incidents, seen(63, at=2 * MINUTE + SECOND)), Joins)
    assert place(incidents, seen(62, at=2 * MINUTE)) == Repeat(other)


def test_for_a_rescue_that_was_taken_over_the_other_one_speaks() -> None:
    incidents = Incidents(SETTINGS)
    leader = place(incidents, seen(79, boot_id="a")).incident
    folded = place(incidents, seen(48, boot_id="a")).incident
    under_way = rebooted(rescue(leader.name, cause=leader.lead), MINUTE, Status.RUNNING)
    incidents.close(replace(under_way, folded=(folded.name,)), ended(folded, Status.CANCELLED, CancelReason.FOLDED))
    assert place(incidents, seen(48, boot_id="b", at=2 * MINUTE)) == Repeat(folded)


def test_a_companion_after_the_end_belongs_to_nobody() -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen(149)).incident
    incidents.close(rebooted(ended(incident, Status.SUCCEEDED), MINUTE))
    consequence = Skip(SkipReason.CONSEQUENCE, "of 149")
    assert isinstance(place(incidents, seen(45, at=MINUTE, caused_by_xid=149), consequence), Companion)
    assert isinstance(place(incidents, seen(45, at=2 * MINUTE, caused_by_xid=149), consequence), New)


def test_a_second_fall_after_the_reboot_is_another_one() -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, FELL).incident
    incidents.close(rebooted(ended(incident, Status.SUCCEEDED), SECOND))
    assert isinstance(place(incidents, seen(at=2 * SECOND, inferred=True)), New)


def test_a_rescue_that_nobody_remembers_closes_nothing() -> None:
    incidents = Incidents(SETTINGS)
    place(incidents, seen())
    incidents.close(rebooted(rescue("unknown"), MINUTE))
    assert isinstance(place(incidents, seen(at=2 * MINUTE)), Repeat)
