"""Which incident a fault belongs to: the same again or another one, counted exactly."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.gate import gate
from pipeline.decide.incidents import Companion, Incident, Incidents, Joins, New, Repeat, incident_name
from pipeline.model.fault import CodeMeaning, Lookup, NodeFault, RecoveryAction, Severity
from pipeline.model.plan import Skip, SkipReason
from pipeline.model.rescue import Member as Kept
from tests.fakes.faults import NOON
from tests.fakes.incidents import (
    DATA,
    FELL,
    HARMLESS,
    MICROSECOND,
    NETIR,
    SECOND,
    SETTINGS,
    STALE,
    SXID,
    WINDOW,
    fresh,
    kinds,
    place,
    seen,
)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(seen(), "Repeat", id="the same again"),
        pytest.param(seen(at=WINDOW), "Repeat", id="as late as the window"),
        pytest.param(seen(at=WINDOW + MICROSECOND), "New", id="later than the window"),
        pytest.param(seen(at=-WINDOW), "Repeat", id="as early as the window, delivered later"),
        pytest.param(seen(at=-WINDOW - MICROSECOND), "New", id="earlier than the window"),
        pytest.param(seen(48), "Joins", id="another code"),
        pytest.param(seen(kind="sxid"), "Joins", id="another kind"),
        pytest.param(seen(node="gpu-2"), "New", id="another node"),
        pytest.param(seen(pci="0000:86:00"), "New", id="another GPU"),
        pytest.param(seen(nvlink5=NETIR), "Joins", id="a sub-code, which a policy may name"),
        pytest.param(seen(recovery_action=RecoveryAction("a", "b", 2)), "Joins", id="a verdict, which may be named"),
        pytest.param(seen(severity=Severity.INFO), "Joins", id="another severity, which a policy may name"),
        pytest.param(
            seen(meaning=CodeMeaning("xid", 79, severity=Severity.REBOOT, rescue=False)),
            "Joins",
            id="it needs no rescue now",
        ),
        pytest.param(seen(pid=7, name="python", message="other"), "Repeat", id="another process"),
    ],
)
def test_a_second_fault_is(second: NodeFault, expected: str) -> None:
    assert kinds(seen(), second, skips=(None, None)) == ["New", expected]


def test_the_device_stands_for_a_missing_address() -> None:
    faults = [seen(12028, kind="sxid", pci=None, device=device) for device in ("nvswitch0", "nvswitch1", "nvswitch0")]
    assert kinds(*faults) == ["New", "Joins", "Repeat"]


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
            "Joins",
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


def test_lines_of_two_times_in_turns_are_two_incidents() -> None:
    """Two partitions of one stream, read at two places: each line must not open one more incident."""
    incidents = Incidents(SETTINGS)
    placed = [place(incidents, seen(at=timedelta(hours=hour)), STALE) for hour in (0, 4) * 5]
    assert [type(one).__name__ for one in placed] == ["New", "New"] + ["Repeat"] * 8
    assert {one.incident.count for one in placed} == {5}


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
        opened[key] += isinstance(placed, New | Joins)
        by_key.setdefault(key, placed.incident)
    assert set(opened.values()) <= {1}
    assert {key: incident.count for key, incident in by_key.items()} == expected
    assert sum(incident.companions for incident in by_key.values()) == companions
    assert sum(expected.values()) + companions == len(events)


def test_a_storm_is_one_incident() -> None:
    incidents = Incidents(SETTINGS)
    reports = 0
    for _ in range(50_000):
        incident = place(incidents, fresh(FELL)).incident
        if incident.due():
            reports += 1
            incident.reported_at(incident.count)
    assert (incident.count, reports, len(incidents)) == (50_000, 15, 1)


def test_a_rescue_keeps_of_an_incident_what_was_seen_and_decided() -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen()).incident
    place(incidents, seen(at=SECOND))
    incident.decided(HARMLESS)
    lead = incident.lead
    assert incident.as_member() == Kept(incident.name, lead, 2, lead.time, lead.time + SECOND, HARMLESS)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        pytest.param(None, STALE, id="was let through, and is too old by now"),
        pytest.param(None, None, id="was let through, and is"),
        pytest.param(STALE, STALE, id="was too old, and is"),
    ],
)
def test_a_line_that_opened_an_incident_and_is_delivered_again_is_no_other_one(
    then: Skip | None, now: Skip | None
) -> None:
    incidents, found = Incidents(SETTINGS), seen()
    opened = place(incidents, found, then)
    assert isinstance(opened, New)
    again = place(incidents, found, now)
    assert isinstance(again, Repeat)
    assert again.incident is opened.incident
