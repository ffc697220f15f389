"""Which incident a fault belongs to: repeats, companions, falls off the bus, ends, restarts, and a bounded memory."""

import re
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.gate import gate
from pipeline.decide.guards import GuardSettings
from pipeline.decide.incidents import Companion, Incident, Incidents, New, Placement, Repeat, incident_name
from pipeline.model.fault import CodeMeaning, Lookup, NodeFault, NvLink5, RecoveryAction, Severity
from pipeline.model.plan import Skip, SkipReason
from pipeline.model.rescue import CancelReason, Rescue, Status, StepState
from tests.fakes.faults import NOON, fault, line, node_fault, plan, rescue

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
WINDOW = 10 * MINUTE
STALE = Skip(SkipReason.STALE, "old")
SETTINGS = GuardSettings()


_PLACES = count()


def fresh(found: NodeFault) -> NodeFault:
    """The same fault by another line: one that was found at another place."""
    position = f"kernel.log:{next(_PLACES)}"
    return replace(found, fault=replace(found.fault, line=replace(found.fault.line, position=position)))


def seen(code: int = 79, at: timedelta = timedelta(0), node: str = "gpu-1", **given: Any) -> NodeFault:
    """A fault at noon and *at*; what is given is the line's, but for the labels of a node fault."""
    own = {key: given.pop(key) for key in ("boot_id", "lookup", "meaning") if key in given}
    one = fault(code, line=line(time=NOON + at, node=node), **given)
    return fresh(node_fault(code, node, NOON + at, fault=one, **own))


def place(incidents: Incidents, found: NodeFault, skip: Skip | None = None, now: datetime = NOON) -> Placement:
    return incidents.place(found, skip, now)


def kinds(*faults: NodeFault, skips: tuple[Skip | None, ...] = ()) -> list[str]:
    """How each of the faults is placed, one after the other; what the gate says of it is up to the gate."""
    incidents = Incidents(SETTINGS)
    faults = tuple(map(fresh, faults))
    given_skips = skips or tuple(gate(found, SETTINGS, found.time, None) for found in faults)
    return [type(place(incidents, found, skip)).__name__ for found, skip in zip(faults, given_skips, strict=True)]


NETIR = NvLink5("NETIR", True, False, False, 1, None, None)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(seen(), "Repeat", id="the same again"),
        pytest.param(seen(at=WINDOW), "Repeat", id="as late as the window"),
        pytest.param(seen(at=WINDOW + MICROSECOND), "New", id="later than the window"),
        pytest.param(seen(at=-WINDOW), "Repeat", id="as early as the window, delivered later"),
        pytest.param(seen(at=-WINDOW - MICROSECOND), "New", id="earlier than the window"),
        pytest.param(seen(48), "New", id="another code"),
        pytest.param(seen(kind="sxid"), "New", id="another kind"),
        pytest.param(seen(node="gpu-2"), "New", id="another node"),
        pytest.param(seen(pci="0000:86:00"), "New", id="another GPU"),
        pytest.param(seen(nvlink5=NETIR), "New", id="a sub-code, which a policy may name"),
        pytest.param(seen(recovery_action=RecoveryAction("a", "b", 2)), "New", id="a verdict, which a policy may name"),
        pytest.param(seen(severity=Severity.INFO), "New", id="another severity, which a policy may name"),
        pytest.param(
            seen(meaning=CodeMeaning("xid", 79, severity=Severity.REBOOT, rescue=False)),
            "New",
            id="it needs no rescue now",
        ),
        pytest.param(seen(pid=7, name="python", message="other"), "Repeat", id="another process"),
    ],
)
def test_a_second_fault_is(second: NodeFault, expected: str) -> None:
    assert kinds(seen(), second, skips=(None, None)) == ["New", expected]


def test_the_device_stands_for_a_missing_address() -> None:
    faults = [seen(12028, kind="sxid", pci=None, device=device) for device in ("nvswitch0", "nvswitch1", "nvswitch0")]
    assert kinds(*faults) == ["New", "New", "Repeat"]


def test_the_window_slides_on_with_each_repeat() -> None:
    assert kinds(*(seen(at=WINDOW * n) for n in range(5))) == ["New", "Repeat", "Repeat", "Repeat", "Repeat"]


def test_the_window_slides_back_with_each_late_delivery() -> None:
    assert kinds(*(seen(at=-WINDOW * n) for n in range(3)), skips=(None,) * 3) == ["New", "Repeat", "Repeat"]


def test_a_stale_line_or_a_drill_never_stands_for_a_real_one() -> None:
    drill = Skip(SkipReason.DRILL, "injected")
    skips = (STALE, drill, None, STALE, drill, None)
    assert kinds(*[seen()] * 6, skips=skips) == ["New", "New", "New", "Repeat", "Repeat", "Repeat"]


def test_an_incident_remembers_the_lead_the_count_and_the_times() -> None:
    incidents = Incidents(SETTINGS)
    lead = seen()
    incident = place(incidents, lead).incident
    for at in (3 * SECOND, -2 * SECOND, SECOND):
        place(incidents, seen(at=at), now=NOON + SECOND)
    assert (incident.lead, incident.count, incident.companions) == (lead, 4, 0)
    assert (incident.first_seen, incident.last_seen) == (NOON - 2 * SECOND, NOON + 3 * SECOND)
    assert (incident.name, incident.touched) == (incident_name(lead), NOON + SECOND)


@pytest.mark.parametrize(
    ("lead", "again", "expected"),
    [
        pytest.param(seen(), seen(lookup=Lookup.NOT_READY), "Repeat", id="a cache that is away for a moment"),
        pytest.param(
            seen(lookup=Lookup.NOT_READY),
            seen(),
            "New",
            id="labels that are known now: decided without them, decide anew",
        ),
        pytest.param(
            seen(lookup=Lookup.UNKNOWN), seen(lookup=Lookup.UNKNOWN), "Repeat", id="a node that stays unknown"
        ),
        pytest.param(seen(boot_id="a"), seen(boot_id="a"), "Repeat", id="the same boot"),
        pytest.param(seen(boot_id="a"), seen(boot_id="b"), "New", id="another boot"),
        pytest.param(seen(boot_id="a"), seen(), "Repeat", id="a boot that is not known now"),
        pytest.param(seen(), seen(boot_id="b"), "Repeat", id="a boot that was not known then"),
    ],
)
def test_what_is_known_of_the_node_counts(lead: NodeFault, again: NodeFault, expected: str) -> None:
    assert kinds(lead, again, skips=(None, None)) == ["New", expected]


SXID = seen(20034, kind="sxid", severity_word="Fatal")
DATA = seen(20034, at=MICROSECOND, kind="sxid", companion=True)
FELL = seen(79)
BARE = seen(79, at=MICROSECOND, inferred=True)


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        pytest.param([SXID, DATA, DATA], ["New", "Companion", "Companion"], id="an SXid's Severity and Data lines"),
        pytest.param([DATA, SXID, DATA], ["New", "New", "Companion"], id="the first of them before the SXid"),
        pytest.param([DATA, DATA], ["New", "Repeat"], id="nothing but companions"),
        pytest.param(
            [SXID, seen(20034, at=WINDOW, kind="sxid", companion=True)], ["New", "Companion"], id="at the window's end"
        ),
        pytest.param(
            [SXID, seen(20034, at=WINDOW + SECOND, kind="sxid", companion=True)], ["New", "New"], id="after the window"
        ),
        pytest.param(
            [SXID, seen(20034, kind="sxid", companion=True, pci="0000:07:00")],
            ["New", "New"],
            id="another switch's Data",
        ),
        pytest.param([seen(149), seen(45, caused_by_xid=149)], ["New", "Companion"], id="a 45 and its cause"),
        pytest.param([seen(149), seen(45, caused_by_xid=48)], ["New", "New"], id="a 45 of another cause"),
        pytest.param([seen(149), seen(45, caused_by_xid=149, pci="0000:86:00")], ["New", "New"], id="on another GPU"),
        pytest.param([seen(149), seen(45)], ["New", "New"], id="a 45 without cause"),
        pytest.param([seen(45, caused_by_xid=149)] * 2, ["New", "Repeat"], id="a 45 whose cause nobody saw"),
        pytest.param([FELL, BARE], ["New", "Companion"], id="79 and the line without number"),
        pytest.param([BARE, FELL], ["New", "Companion"], id="the line without number first"),
        pytest.param([FELL, BARE, BARE], ["New", "Companion", "Companion"], id="two lines without number"),
        pytest.param([BARE, FELL, FELL], ["New", "Companion", "Repeat"], id="one line without number is answered once"),
        pytest.param([BARE, BARE], ["New", "Repeat"], id="lines without number alone"),
        pytest.param([FELL, FELL, BARE], ["New", "Repeat", "Companion"], id="79 twice"),
        pytest.param([FELL, seen(at=5 * SECOND, inferred=True)], ["New", "Companion"], id="five seconds apart"),
        pytest.param(
            [FELL, seen(at=5 * SECOND + MICROSECOND, inferred=True)], ["New", "Repeat"], id="more than that apart"
        ),
        pytest.param([BARE, seen(at=6 * SECOND)], ["New", "Repeat"], id="a 79 too late to be the answer"),
        pytest.param(
            [FELL, seen(at=MINUTE, inferred=True), seen(at=MINUTE + SECOND, inferred=True)],
            ["New", "Repeat", "Repeat"],
            id="a 79 long ago is not told again",
        ),
        pytest.param(
            [FELL, seen(at=4 * SECOND, inferred=True), seen(at=8 * SECOND, inferred=True)],
            ["New", "Companion", "Repeat"],
            id="a line without number is no 79 for the next one",
        ),
        pytest.param(
            [BARE, seen(45, caused_by_xid=79), FELL],
            ["New", "Companion", "Companion"],
            id="a consequence answers nothing",
        ),
        pytest.param([seen(149), seen(46, caused_by_xid=149)], ["New", "New"], id="only a 45 is a consequence"),
        pytest.param([FELL, seen(inferred=True, pci=None)], ["New", "Companion"], id="a line that names no GPU"),
        pytest.param([seen(inferred=True, pci=None), FELL], ["New", "Companion"], id="a line that names no GPU first"),
        pytest.param([FELL, seen(inferred=True, pci="0000:86:00")], ["New", "New"], id="another GPU fell too"),
        pytest.param([FELL, seen(inferred=True, node="gpu-2")], ["New", "New"], id="another node's GPU fell too"),
        pytest.param([seen(62), seen(62, inferred=True)], ["New", "Repeat"], id="only falls are told in two forms"),
    ],
)
def test_lines_that_belong_together(faults: list[NodeFault], expected: list[str]) -> None:
    assert kinds(*faults) == expected


def test_a_companion_is_not_an_occurrence() -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, SXID).incident
    assert place(incidents, DATA, gate(DATA, SETTINGS, NOON, None), NOON + SECOND) == Companion(incident)
    assert (incident.count, incident.companions, incident.last_seen) == (1, 1, NOON)
    assert incident.touched == NOON + SECOND


def test_a_companion_goes_with_the_latest_incident() -> None:
    incidents = Incidents(SETTINGS)
    place(incidents, SXID)
    later = place(incidents, replace(SXID, time=NOON + WINDOW * 1.5)).incident
    between = replace(DATA, time=NOON + WINDOW * 0.75)
    assert place(incidents, between, gate(between, SETTINGS, NOON, None)) == Companion(later)


def test_a_line_that_the_gate_stopped_takes_no_real_one_as_its_companion() -> None:
    assert kinds(FELL, BARE, skips=(STALE, None)) == ["New", "New"]
    assert kinds(FELL, BARE, skips=(STALE, STALE)) == ["New", "Companion"]
    assert kinds(FELL, BARE, skips=(None, STALE)) == ["New", "Companion"]


def test_the_count_is_due_at_powers_of_two() -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen()).incident
    due = []
    for _ in range(40):
        if incident.due():
            due.append(incident.count)
            incident.reported_at(incident.count)
        place(incidents, seen())
    assert due == [2, 4, 8, 16, 32]


@pytest.mark.parametrize(
    ("reported", "next_due"), [(0, 1), (1, 2), (2, 4), (3, 4), (4, 8), (5, 8), (7, 8), (8, 16), (100, 128)]
)
def test_the_next_count_that_is_due(reported: int, next_due: int) -> None:
    incident = Incident.opened_by(seen(), None, NOON)
    incident.reported = reported
    incident.count = next_due - 1
    assert not incident.due()
    incident.count = next_due
    assert incident.due()


def test_a_report_never_goes_back() -> None:
    incident = Incident.opened_by(seen(), None, NOON)
    incident.reported_at(8)
    incident.reported_at(4)
    assert incident.reported == 8


def test_a_sweep_returns_what_has_grown_and_is_quiet() -> None:
    incidents = Incidents(SETTINGS)
    grown = place(incidents, seen()).incident
    place(incidents, seen())
    place(incidents, seen(48))
    active = place(incidents, seen(62), now=NOON + SECOND).incident
    place(incidents, seen(62), now=NOON + SECOND)
    assert incidents.sweep(NOON + WINDOW - MICROSECOND) == []
    assert incidents.sweep(NOON + WINDOW) == [grown]
    grown.reported_at(2)
    assert incidents.sweep(NOON + WINDOW) == []
    assert incidents.sweep(NOON + WINDOW + SECOND) == [active]


def test_a_flush_returns_all_that_has_grown() -> None:
    incidents = Incidents(SETTINGS)
    grown = place(incidents, seen()).incident
    place(incidents, seen())
    place(incidents, seen(48))
    assert incidents.flush() == [grown]
    grown.reported_at(2)
    assert incidents.flush() == []


def test_the_incident_that_was_not_touched_for_longest_leaves_first() -> None:
    incidents = Incidents(SETTINGS, limit=2)
    place(incidents, seen(48))
    place(incidents, seen(62))
    place(incidents, seen(48))
    place(incidents, seen(64))
    assert len(incidents) == 2
    assert isinstance(place(incidents, seen(48)), Repeat)
    assert isinstance(place(incidents, seen(62)), New)


def test_what_leaves_is_reported_first() -> None:
    incidents = Incidents(SETTINGS, limit=1)
    grown = place(incidents, seen()).incident
    place(incidents, seen())
    place(incidents, seen(48))
    assert incidents.sweep(NOON) == [grown]
    assert incidents.sweep(NOON) == []
    place(incidents, seen(48))
    place(incidents, seen(62))
    assert [incident.lead.fault.code for incident in incidents.flush()] == [48]
    assert incidents.flush() == []


def test_an_incident_that_led_to_a_rescue_leaves_last() -> None:
    """Or each further line of a storm that the rescue is about would open one more."""
    incidents = Incidents(SETTINGS, limit=3)
    rescued = place(incidents, seen(48)).incident
    place(incidents, seen(62))
    place(incidents, seen(13)).incident.decided(Skip(SkipReason.NO_RESCUE_NEEDED, "harmless"))
    rescued.decided("gpu-1-xid-48-abc")
    place(incidents, seen(64))
    assert isinstance(place(incidents, seen(48)), Repeat)
    for code in range(100, 110):
        place(incidents, seen(code))
    assert isinstance(place(incidents, seen(48)), Repeat)
    assert len(incidents) == 3


def test_where_all_led_to_rescues_the_one_that_was_not_touched_for_longest_leaves() -> None:
    incidents = Incidents(SETTINGS, limit=2)
    for code in (48, 62):
        place(incidents, seen(code)).incident.decided(f"rescue-{code}")
    place(incidents, seen(48))
    place(incidents, seen(64)).incident.decided("rescue-64")
    assert isinstance(place(incidents, seen(48)), Repeat)
    assert isinstance(place(incidents, seen(64)), Repeat)
    assert isinstance(place(incidents, seen(62)), New)


def test_what_was_just_opened_is_not_what_leaves() -> None:
    incidents = Incidents(SETTINGS, limit=1)
    place(incidents, seen(48)).incident.decided("rescue-48")
    opened = place(incidents, seen(62)).incident
    assert place(incidents, seen(62)) == Repeat(opened)


def test_an_incident_takes_about_as_much_memory_as_its_line() -> None:
    incidents = Incidents(SETTINGS)
    text = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
    tracemalloc.start()
    for number in range(2_000):
        own = line(f"{text} {number}", node=f"gpu-{number}", position=f"kernel.log:{number}")
        place(incidents, node_fault(node=f"gpu-{number}", fault=fault(line=own)))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(incidents) == 2_000
    assert size / 2_000 < 3_000


def test_the_incidents_of_a_large_cluster_are_all_remembered() -> None:
    incidents = Incidents(SETTINGS)
    for number in range(20_000):
        place(incidents, node_fault(node=f"gpu-{number}"))
    assert len(incidents) == 20_000


def test_earlier_incidents_of_a_key_leave_when_no_line_as_old_can_come() -> None:
    incidents = Incidents(SETTINGS)
    for n in range(100):
        at = 3 * WINDOW * n
        assert isinstance(place(incidents, seen(at=at), now=NOON + at), New)
        assert len(incidents) == 1


def test_an_earlier_incident_leaves_at_the_end_of_the_window() -> None:
    incidents = Incidents(SETTINGS)
    place(incidents, seen(), now=NOON)
    place(incidents, seen(at=2 * WINDOW), now=NOON + WINDOW - MICROSECOND)
    assert len(incidents) == 2
    place(incidents, seen(at=4 * WINDOW), now=NOON + WINDOW)
    assert len(incidents) == 2


def test_incidents_of_another_key_on_the_device_stay() -> None:
    incidents = Incidents(SETTINGS)
    place(incidents, seen(149, nvlink5=NETIR))
    place(incidents, seen(149, at=2 * WINDOW), now=NOON + 2 * WINDOW)
    assert isinstance(place(incidents, seen(149, at=MINUTE, nvlink5=NETIR), now=NOON + 2 * WINDOW), Repeat)


def test_an_incident_takes_the_place_of_its_namesake() -> None:
    """The same moment, once without and once with the node's labels: one rescue, so one incident."""
    incidents = Incidents(SETTINGS)
    place(incidents, seen(lookup=Lookup.NOT_READY))
    known = place(incidents, seen()).incident
    assert len(incidents) == 1
    assert place(incidents, seen(lookup=Lookup.NOT_READY)) == Repeat(known)
    place(incidents, seen(at=2 * WINDOW), now=NOON + 2 * WINDOW)
    assert len(incidents) == 1


def test_lines_of_two_times_in_turns_are_two_incidents() -> None:
    """Two partitions of one stream, read at two places: each line must not open one more incident."""
    incidents = Incidents(SETTINGS)
    placed = [place(incidents, seen(at=timedelta(hours=hour)), STALE) for hour in (0, 4) * 5]
    assert [type(one).__name__ for one in placed] == ["New", "New"] + ["Repeat"] * 8
    assert {one.incident.count for one in placed} == {5}


# What becomes of an incident when its rescue does.


def ended(incident: Incident, status: Status, reason: str | None = None, at: timedelta = timedelta(0)) -> Rescue:
    one = rescue(incident.name, cause=incident.lead)
    return replace(one, status=status, reason=reason, ended=NOON + at)


def rebooted(one: Rescue, at: timedelta, status: Status = Status.SUCCEEDED) -> Rescue:
    when = NOON + at
    return one.with_step(2, StepState(status, when, when, memo={"rebooted_at": when.isoformat()}))


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
        pytest.param(Status.CANCELLED, CancelReason.NODE_OFFLINE, 2 * MINUTE, "New", id="one of a node that was out"),
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
    other = place(incidents, seen(62)).incident
    incidents.close(replace(rebooted(ended(leader, Status.SUCCEEDED), MINUTE), folded=(folded.name,)))
    assert isinstance(place(incidents, seen(48, at=2 * MINUTE)), New)
    assert place(incidents, seen(62, at=2 * MINUTE)) == Repeat(other)


def test_for_a_rescue_that_was_taken_over_the_other_one_speaks() -> None:
    incidents = Incidents(SETTINGS)
    leader = place(incidents, seen(79, boot_id="a")).incident
    folded = place(incidents, seen(48, boot_id="a")).incident
    under_way = rebooted(rescue(leader.name, cause=leader.lead), MINUTE, Status.RUNNING)
    incidents.close(replace(under_way, folded=(folded.name,)))
    incidents.close(ended(folded, Status.CANCELLED, CancelReason.FOLDED))
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


def test_an_incident_that_could_not_be_opened_is_forgotten() -> None:
    incidents = Incidents(SETTINGS)
    lead = seen()
    failed = place(incidents, lead).incident
    place(incidents, seen())
    incidents.discard(failed)
    assert incidents.flush() == []
    again = place(incidents, lead)
    assert again == New(again.incident)
    assert (again.incident.count, len(incidents)) == (1, 1)
    incidents.discard(failed)
    assert place(incidents, seen()) == Repeat(again.incident)


def test_an_incident_that_had_to_leave_and_could_not_be_opened_is_not_reported() -> None:
    incidents = Incidents(SETTINGS, limit=1)
    failed = place(incidents, seen()).incident
    place(incidents, seen())
    place(incidents, seen(48))
    incidents.discard(failed)
    assert incidents.sweep(NOON) == []


# The same line may be delivered more than once.


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
    place(incidents, seen(79)).incident.decided("gpu-1-xid-79-abc")
    undecided = place(incidents, seen(48)).incident
    place(incidents, seen(13))
    incidents.forget_skipped()
    assert isinstance(place(incidents, seen(13)), New)
    assert isinstance(place(incidents, seen(79)), Repeat)
    assert place(incidents, seen(48)) == Repeat(undecided)
    assert [incident.count for incident in incidents.sweep(NOON)] == [2]


def test_a_restart_goes_on_where_it_was() -> None:
    cause = seen()
    kept = replace(
        rescue(incident_name(cause), cause=cause), count=9, last_seen=NOON + MINUTE, first_seen=NOON - MINUTE
    )
    incidents = Incidents(SETTINGS)
    incidents.restore([kept], NOON + 2 * MINUTE)
    incident = place(incidents, seen(at=MINUTE + WINDOW), now=NOON + 3 * MINUTE).incident
    assert (incident.name, incident.decision, incident.count, incident.reported) == (kept.name, kept.name, 10, 9)
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
    assert isinstance(place(incidents, seen(48, at=2 * MINUTE)), New)


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


def test_the_name_of_an_incident_says_what_it_is_about() -> None:
    assert re.fullmatch(r"gpu-1-xid-79-[0-9a-f]{8}", incident_name(seen()))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(seen(), True, id="the same line"),
        pytest.param(seen(lookup=Lookup.UNKNOWN, boot_id="b"), True, id="whatever is known of the node"),
        pytest.param(seen(inferred=True), True, id="the other form of a fall"),
        pytest.param(seen(pid=7, message="other"), True, id="the same fault in the same moment"),
        pytest.param(seen(48), False, id="another code"),
        pytest.param(seen(at=MICROSECOND), False, id="another moment"),
        pytest.param(seen(node="gpu-2"), False, id="another node"),
        pytest.param(seen(node="GPU-1"), False, id="a node that is written the same way in a name"),
        pytest.param(seen(kind="sxid"), False, id="another kind"),
        pytest.param(seen(pci="0000:86:00"), False, id="another GPU"),
        pytest.param(seen(pci=None, device="nvswitch0"), False, id="a device"),
        pytest.param(seen(companion=True), False, id="a companion of the same second"),
        pytest.param(seen(severity_word="Fatal"), False, id="another severity of the same second"),
        pytest.param(seen(caused_by_xid=48), False, id="a consequence of the same second"),
        pytest.param(seen(nvlink5=NETIR), False, id="a sub-code of the same second"),
        pytest.param(seen(recovery_action=RecoveryAction("a", "b", 2)), False, id="a verdict of the same second"),
    ],
)
def test_the_name_is_the_same(other: NodeFault, same: bool) -> None:
    assert (incident_name(other) == incident_name(seen())) is same


def test_a_drill_and_a_real_fault_of_one_second_have_two_names() -> None:
    assert incident_name(seen(nvlink5=NETIR)) != incident_name(seen(nvlink5=replace(NETIR, injected=True)))


def test_the_position_stands_for_a_missing_time() -> None:
    def at(position: str, received: timedelta) -> NodeFault:
        return node_fault(fault=fault(line=line(time=None, position=position)), time=NOON + received)

    assert incident_name(at("a:1", timedelta(0))) == incident_name(at("a:1", SECOND))
    assert incident_name(at("a:1", timedelta(0))) != incident_name(at("a:2", timedelta(0)))


@given(st.text(max_size=90), st.text(min_size=1, max_size=40), st.integers(0, 99_999))
def test_every_name_is_a_dns_label(node: str, kind: str, code: int) -> None:
    name = incident_name(seen(code, node=node, kind=kind))
    assert len(name) <= 63
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)


def test_a_long_node_name_is_cut_to_the_longest_label() -> None:
    assert len(incident_name(seen(node="n" * 80))) == 63


# Counts are exact whatever comes in between, and memory has an end.

SORTS = st.sampled_from(
    [
        seen(48),
        seen(48, pci="0000:86:00"),
        seen(79, node="gpu-2"),
        seen(13),
        seen(149, nvlink5=NETIR),
        seen(149, nvlink5=replace(NETIR, injected=True)),
        seen(45, caused_by_xid=48),
        SXID,
        DATA,
    ]
)
MOMENTS = st.integers(-300, 300)


def what(found: NodeFault, reason: SkipReason | None) -> tuple[object, ...]:
    fault_ = found.fault
    return found.node, fault_.kind, fault_.code, fault_.pci, reason


@given(st.lists(st.tuples(SORTS, MOMENTS), max_size=80))
def test_every_fault_is_counted_once_in_whatever_order(events: list[tuple[NodeFault, int]]) -> None:
    incidents = Incidents(SETTINGS)
    expected: Counter[tuple[object, ...]] = Counter()
    opened: Counter[tuple[object, ...]] = Counter()
    by_key: dict[tuple[object, ...], Incident] = {}
    companions = 0
    for found, at in events:
        moved = fresh(replace(found, time=NOON + at * SECOND))
        skip = gate(moved, SETTINGS, NOON, None)
        key = what(moved, skip.reason if skip else None)
        placed = place(incidents, moved, skip)
        if isinstance(placed, Companion):
            companions += 1
            continue
        expected[key] += 1
        opened[key] += isinstance(placed, New)
        by_key.setdefault(key, placed.incident)
    assert set(opened.values()) <= {1}
    assert {key: incident.count for key, incident in by_key.items()} == expected
    assert sum(incident.companions for incident in by_key.values()) == companions
    assert sum(expected.values()) + companions == len(events)


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_falls_are_counted_once_whichever_line_comes_first(orders: list[bool]) -> None:
    incidents = Incidents(SETTINGS)
    for number, bare_first in enumerate(orders):
        at = 20 * SECOND * number
        pair = [seen(at=at), seen(at=at + MICROSECOND, inferred=True)]
        for found in reversed(pair) if bare_first else pair:
            incident = place(incidents, found).incident
    assert (incident.count, incident.companions) == (len(orders), len(orders))


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 100), st.booleans(), st.booleans()), max_size=80),
)
def test_memory_is_bounded_and_every_count_is_reported(limit: int, events: list[tuple[int, int, bool, bool]]) -> None:
    incidents = Incidents(SETTINGS, limit)
    reported, occurrences = 0, 0

    def report(grown: list[Incident]) -> int:
        more = sum(incident.count - incident.reported for incident in grown)
        for incident in grown:
            incident.reported_at(incident.count)
        return more

    for code, minutes, stale, sweep in events:
        at = MINUTE * minutes
        placed = place(incidents, seen(code, at=at), STALE if stale else None, NOON + at)
        occurrences += 1
        reported += isinstance(placed, New)
        assert len(incidents) <= limit
        if sweep:
            reported += report(incidents.sweep(NOON + at))
    assert reported + report(incidents.flush()) == occurrences
    assert incidents.flush() == []


def test_a_storm_is_one_incident() -> None:
    incidents = Incidents(SETTINGS)
    reports = 0
    for _ in range(50_000):
        incident = place(incidents, fresh(FELL)).incident
        if incident.due():
            reports += 1
            incident.reported_at(incident.count)
    assert (incident.count, reports, len(incidents)) == (50_000, 15, 1)


def test_a_rescue_without_a_reboot_is_restored_as_well() -> None:
    incidents = Incidents(SETTINGS)
    cordon_only = rescue(incident_name(seen()), cause=seen(), plan=plan(*plan().actions[:1]))
    incidents.restore([cordon_only], NOON)
    assert isinstance(place(incidents, seen()), Repeat)
