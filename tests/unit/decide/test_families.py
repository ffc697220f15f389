"""The memory of families: what each knows, how many there are, and that every fault is in one and counted once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.families import OPEN_PER_NODE, Families
from pipeline.decide.family import LARGEST, kin
from pipeline.decide.incident import Family
from pipeline.decide.incidents import Incident, Incidents, Joins, New, Repeat
from pipeline.model.fault import Drill, Lookup
from tests.fakes.incidents import (
    HARMLESS,
    MINUTE,
    NETIR,
    SECOND,
    SETTINGS,
    STALE,
    WINDOW,
    place,
    seen,
)

OTHER = "0000:86:00"
SWITCH = "0000:05:00"


def test_a_family_knows_its_incidents_and_what_became_of_them() -> None:
    incidents = Incidents(SETTINGS)
    first, second, third, fourth = (place(incidents, seen(code)).incident for code in (63, 48, 94, 95))
    family = first.family
    assert family is not None
    assert (family.name, family.opened, family.incidents) == (
        first.name,
        first.lead.time,
        [first, second, third, fourth],
    )
    assert (family.rescues, family.undone) == ([], [])
    first.decided(HARMLESS)
    second.decided(None, "one")
    third.decided(HARMLESS, "one")
    fourth.decided(None, "two")
    assert (family.rescues, family.undone) == (["one", "two"], [first])


def test_the_newest_family_takes_a_fault_in() -> None:
    incidents = Incidents(SETTINGS)
    place(incidents, seen(48))
    newer = place(incidents, seen(94, at=3 * SECOND)).incident
    assert place(incidents, seen(63, at=1.5 * SECOND)).incident.family is newer.family


def test_a_family_ends_with_its_last_incident() -> None:
    families = Families()
    first, second = (Incident.opened_by(seen(code), None, seen().time) for code in (48, 94))
    families.put(first, None)
    families.put(second, first.family)
    assert len(families) == 1
    families.drop(first)
    assert families.taking(seen(95), WINDOW) is second.family is not None
    families.drop(second)
    assert (len(families), families.taking(seen(95), WINDOW)) == (0, None)


def test_the_other_families_of_a_node_stay() -> None:
    families = Families()
    first, second = (Incident.opened_by(seen(48, pci=pci), None, seen().time) for pci in ("0000:3b:00", OTHER))
    for incident in (first, second):
        families.put(incident, None)
    families.drop(first)
    assert families.taking(seen(94, pci=OTHER), WINDOW) is second.family is not None


def test_an_incident_that_takes_its_namesakes_place_keeps_the_family() -> None:
    """The same moment, once without and once with the node's labels: the family must not be lost on the way."""
    incidents = Incidents(SETTINGS)
    place(incidents, seen(lookup=Lookup.NOT_READY))
    known = place(incidents, seen()).incident
    assert place(incidents, seen(48)).incident.family is known.family
    assert known.family is not None
    assert len(known.family.incidents) == 2


def test_incidents_of_no_family_are_dropped_without_harm() -> None:
    families = Families()
    families.drop(Incident.opened_by(seen(), STALE.reason, seen().time))
    assert len(families) == 0


def test_a_family_takes_so_many_in_and_no_more() -> None:
    incidents = Incidents(SETTINGS)
    placed = [place(incidents, seen(code)) for code in range(1000, 1000 + LARGEST + 2)]
    assert [isinstance(one, New) for one in placed] == [True] + [False] * 63 + [True, False]
    assert isinstance(place(incidents, seen(45, at=MINUTE)), Joins)


def test_of_a_node_only_the_newest_families_take_faults_in() -> None:
    incidents = Incidents(SETTINGS)
    for number in range(OPEN_PER_NODE + 1):
        assert isinstance(place(incidents, seen(48, pci=f"0000:{number:02x}:00")), New)
    assert OPEN_PER_NODE == 32
    assert isinstance(place(incidents, seen(94, pci="0000:01:00")), Joins)
    assert isinstance(place(incidents, seen(94, pci="0000:00:00")), New)
    assert isinstance(place(incidents, seen(48, pci="0000:00:00")), Repeat)


def test_a_family_that_takes_nothing_in_any_more_can_be_forgotten() -> None:
    families = Families()
    old = Incident.opened_by(seen(), None, seen().time)
    families.put(old, None)
    for number in range(OPEN_PER_NODE):
        families.put(Incident.opened_by(seen(pci=f"0000:{number:02x}:00"), None, seen().time), None)
    assert len(families) == OPEN_PER_NODE
    families.drop(old)
    assert len(families) == OPEN_PER_NODE


def test_a_policy_change_forgets_the_members_that_lead_to_nothing_by_themselves() -> None:
    incidents = Incidents(SETTINGS)
    leader, member = (place(incidents, seen(code)).incident for code in (79, 63))
    leader.decided(None, "rescue")
    member.decided(HARMLESS, "rescue")
    incidents.forget_skipped()
    assert place(incidents, seen(79)) == Repeat(leader)
    again = place(incidents, seen(63))
    assert isinstance(again, Joins)
    assert again.incident is not member
    assert again.incident.family is leader.family


def test_45s_over_many_nodes_are_one_incident_each() -> None:
    incidents = Incidents(SETTINGS)
    nodes = [f"gpu-{number}" for number in range(20)]
    for node in nodes:
        place(incidents, seen(79, node=node))
    placed = [place(incidents, seen(45, node=node, at=number * SECOND)) for number in range(100) for node in nodes]
    assert sum(isinstance(one, Joins) for one in placed) == 20
    assert {one.incident.count for one in placed} == {100}
    assert len(incidents) == 40


SORTS = st.sampled_from(
    [
        *({"code": code, "pci": pci} for code in (48, 63, 94, 154) for pci in ("0000:3b:00", OTHER)),
        {"code": 149, "pci": OTHER, "nvlink5": NETIR},
        {"code": 145, "pci": SWITCH, "nvlink5": NETIR},
        {"code": 74},
        {"code": 45},
        {"code": 45, "pci": OTHER},
        {"code": 12028, "kind": "sxid", "pci": SWITCH},
        {"code": 48, "node": "gpu-2"},
        {"code": 48, "drill": Drill.DRY},
    ]
)


@given(st.lists(st.tuples(SORTS, st.integers(-20, 20), st.booleans()), max_size=60))
def test_every_fault_is_in_one_family_and_counted_once(events: list[tuple[dict[str, Any], int, bool]]) -> None:
    incidents, known = Incidents(SETTINGS), list[Incident]()
    occurrences = 0
    for sort, at, again in events:
        found = seen(at=at * SECOND, **sort)
        placed = place(incidents, found)
        occurrences += 1
        if again and not isinstance(placed, Repeat):
            before = placed.incident.count
            assert place(incidents, found) == Repeat(placed.incident)
            assert placed.incident.count == before
        if placed.incident not in known:
            known.append(placed.incident)
    assert sum(one.count for one in known) == occurrences
    families = {one.family for one in known if one.family is not None}
    members = [one for family in families for one in family.incidents]
    assert len(members) == len(set(members)) == len(known)
    for family in families:
        assert_one_failure(family)


def assert_one_failure(family: Family) -> None:
    first = family.incidents[0]
    assert (family.name, family.opened) == (first.name, first.lead.time)
    for one in family.incidents:
        assert (one.key.node, one.key.drill) == (first.key.node, first.key.drill)
        assert one.key.code == 45 or abs(one.lead.time - family.opened) <= 2 * SECOND
        assert one is first or any(kin(other.lead, one.lead) for other in family.incidents if other is not one)


def test_the_last_incident_of_a_node_may_be_of_a_family_that_takes_nothing_in_any_more() -> None:
    families = Families()
    opened = [
        Incident.opened_by(seen(48, at=3 * SECOND * number), None, seen().time) for number in range(OPEN_PER_NODE + 1)
    ]
    for incident in opened:
        families.put(incident, None)
    for incident in reversed(opened):
        families.drop(incident)
    assert len(families) == 0
    assert families.taking(seen(94), WINDOW) is None
