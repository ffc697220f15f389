"""The memory of incidents has an end, and what leaves it is reported."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.incidents import Incident, Incidents, Joins, New, Repeat
from pipeline.model.fault import Lookup
from pipeline.model.plan import Skip, SkipReason
from tests.fakes.faults import NOON, fault, line, node_fault
from tests.fakes.incidents import (
    HARMLESS,
    MICROSECOND,
    MINUTE,
    NETIR,
    SECOND,
    SETTINGS,
    STALE,
    WINDOW,
    place,
    seen,
)


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


def test_what_has_grown_beside_a_fault_is_of_its_code_and_device_and_has_a_rescue() -> None:
    incidents = Incidents(SETTINGS)
    grown = place(incidents, seen(154)).incident
    once = place(incidents, seen(154, pci="0000:5e:00")).incident
    other = place(incidents, seen(48)).incident
    for incident in (grown, once, other):
        incident.decided(None, "r")
    place(incidents, seen(154), STALE)
    for code, skip in ((154, None), (48, None), (154, STALE)):
        place(incidents, seen(code), skip)
    assert incidents.grown_beside(seen(154)) == [grown]
    assert incidents.grown_beside(seen(154, pci="0000:5e:00")) == []
    assert incidents.grown_beside(seen(62)) == []


def test_the_incident_that_was_not_touched_for_longest_leaves_first() -> None:
    incidents = Incidents(SETTINGS, limit=2)
    place(incidents, seen(48))
    place(incidents, seen(62))
    place(incidents, seen(48))
    place(incidents, seen(64))
    assert len(incidents) == 2
    assert isinstance(place(incidents, seen(48)), Repeat)
    assert isinstance(place(incidents, seen(62)), Joins)


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
    rescued.decided(None, "gpu-1-xid-48-abc")
    place(incidents, seen(64))
    assert isinstance(place(incidents, seen(48)), Repeat)
    for code in range(100, 110):
        place(incidents, seen(code))
    assert isinstance(place(incidents, seen(48)), Repeat)
    assert len(incidents) == 3


def test_where_all_led_to_rescues_the_one_that_was_not_touched_for_longest_leaves() -> None:
    incidents = Incidents(SETTINGS, limit=2)
    for code in (48, 62):
        place(incidents, seen(code)).incident.decided(None, f"rescue-{code}")
    place(incidents, seen(48))
    place(incidents, seen(64)).incident.decided(None, "rescue-64")
    assert isinstance(place(incidents, seen(48)), Repeat)
    assert isinstance(place(incidents, seen(64)), Repeat)
    assert isinstance(place(incidents, seen(62)), Joins)


def test_what_was_just_opened_is_not_what_leaves() -> None:
    incidents = Incidents(SETTINGS, limit=1)
    place(incidents, seen(48)).incident.decided(None, "rescue-48")
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


def test_what_is_forgotten_takes_no_other_of_its_code_and_device_with_it() -> None:
    incidents = Incidents(SETTINGS)
    place(incidents, seen(149, nvlink5=NETIR)).incident.decided(HARMLESS)
    place(incidents, seen(149)).incident.decided(None, "rescue")
    incidents.forget_skipped()
    assert len(incidents) == 1
    assert isinstance(place(incidents, seen(149)), Repeat)


def test_an_incident_takes_the_place_of_its_namesake() -> None:
    """The same moment, once without and once with the node's labels: one rescue, so one incident."""
    incidents = Incidents(SETTINGS)
    place(incidents, seen(lookup=Lookup.NOT_READY))
    known = place(incidents, seen()).incident
    assert len(incidents) == 1
    assert place(incidents, seen(lookup=Lookup.NOT_READY)) == Repeat(known)
    place(incidents, seen(at=2 * WINDOW), now=NOON + 2 * WINDOW)
    assert len(incidents) == 1


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
        reported += isinstance(placed, New | Joins)
        assert len(incidents) <= limit
        if sweep:
            reported += report(incidents.sweep(NOON + at))
    assert reported + report(incidents.flush()) == occurrences
    assert incidents.flush() == []
