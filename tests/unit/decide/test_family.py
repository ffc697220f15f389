"""Which faults one failure has led to: families, the two ends of a link, and 45s after anything."""

from datetime import timedelta

import pytest

from pipeline.decide.incidents import Incidents, Joins, New, Repeat
from pipeline.model.fault import Drill, NodeFault, Severity
from pipeline.model.rescue import CancelReason, Status
from tests.fakes.incidents import (
    MICROSECOND,
    MINUTE,
    SECOND,
    SETTINGS,
    STALE,
    WINDOW,
    ended,
    kinds,
    place,
    seen,
)

MOMENT = timedelta(milliseconds=200)
OTHER = "0000:86:00"
SWITCH = "0000:05:00"


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        pytest.param(
            [seen(code, at=MOMENT * n) for n, code in enumerate((48, 63, 64, 94, 95, 154))],
            ["New"] + ["Joins"] * 5,
            id="a double-bit error and all that follows from it",
        ),
        pytest.param([seen(48), seen(94, at=2 * SECOND)], ["New", "Joins"], id="two seconds after the first"),
        pytest.param([seen(48), seen(94, at=2 * SECOND + MICROSECOND)], ["New", "New"], id="more than that after it"),
        pytest.param([seen(48), seen(94, at=-2 * SECOND)], ["New", "Joins"], id="delivered in another order"),
        pytest.param([seen(48), seen(94, at=-2 * SECOND - MICROSECOND)], ["New", "New"], id="long before it"),
        pytest.param(
            [seen(48), seen(94, at=SECOND), seen(95, at=3 * SECOND)],
            ["New", "Joins", "New"],
            id="the first one's time counts",
        ),
        pytest.param([seen(48), seen(94, pci=OTHER)], ["New", "New"], id="another GPU"),
        pytest.param([seen(48), seen(94, node="gpu-2")], ["New", "New"], id="another node"),
        pytest.param([seen(48, pci=None), seen(94, pci=None)], ["New", "New"], id="no GPU is named"),
        pytest.param(
            [seen(1, kind="disk", pci=None, device="sda"), seen(2, kind="disk", pci=None, device="sda")],
            ["New", "Joins"],
            id="a device by its name",
        ),
        pytest.param([seen(74), seen(74, pci=OTHER)], ["New", "Joins"], id="a link that fails at both ends"),
        pytest.param([seen(145), seen(149, pci=OTHER)], ["New", "Joins"], id="NVLink5 at both ends"),
        pytest.param([seen(144), seen(150, pci=OTHER)], ["New", "Joins"], id="the first and the last of its codes"),
        pytest.param([seen(143), seen(144, pci=OTHER)], ["New", "New"], id="the code before these"),
        pytest.param([seen(150), seen(151, pci=OTHER)], ["New", "New"], id="the code after these"),
        pytest.param([seen(73), seen(75, pci=OTHER)], ["New", "New"], id="the neighbours of 74"),
        pytest.param([seen(74, kind="disk"), seen(74, pci=OTHER)], ["New", "New"], id="74 of another kind"),
        pytest.param(
            [seen(74), seen(12028, kind="sxid", pci=SWITCH, link=32, device="nvidia-nvswitch0")],
            ["New", "Joins"],
            id="a link whose other end is a switch",
        ),
        pytest.param([seen(79), seen(12028, kind="sxid", pci=SWITCH)], ["New", "New"], id="a fall and a switch"),
        pytest.param(
            [seen(74), seen(74, pci=OTHER), seen(48, pci=OTHER, at=SECOND)],
            ["New", "Joins", "Joins"],
            id="what goes with the other end",
        ),
        pytest.param([seen(48, boot_id="a"), seen(94, boot_id="b")], ["New", "New"], id="another boot"),
        pytest.param([seen(48, boot_id="a"), seen(94)], ["New", "Joins"], id="a boot that is not known now"),
        pytest.param([seen(48), seen(94, boot_id="a")], ["New", "Joins"], id="a boot that was not known then"),
        pytest.param([seen(48, drill=Drill.REAL), seen(94)], ["New", "New"], id="a drill and a real one"),
        pytest.param([seen(48), seen(94, drill=Drill.DRY)], ["New", "New"], id="a real one and a drill"),
        pytest.param([seen(48, drill=Drill.DRY), seen(94, drill=Drill.DRY)], ["New", "Joins"], id="drills alone"),
        pytest.param([seen(48), seen(48, drill=Drill.DRY)], ["New", "New"], id="a drill of the same code"),
    ],
)
def test_faults_that_come_together(faults: list[NodeFault], expected: list[str]) -> None:
    assert kinds(*faults, skips=(None,) * len(faults)) == expected


AFTER = pytest.mark.parametrize(
    ("faults", "expected"),
    [
        pytest.param([seen(79), seen(45, at=MINUTE)], ["New", "Joins"], id="minutes later"),
        pytest.param([seen(79), seen(45, at=WINDOW)], ["New", "Joins"], id="at the window's end"),
        pytest.param([seen(79), seen(45, at=WINDOW + MICROSECOND)], ["New", "New"], id="after the window"),
        pytest.param(
            [seen(79), seen(79, at=MINUTE), seen(45, at=MINUTE + WINDOW)],
            ["New", "Repeat", "Joins"],
            id="the window after what was seen last",
        ),
        pytest.param([seen(79), seen(45, at=-2 * SECOND)], ["New", "Joins"], id="a moment before"),
        pytest.param([seen(79), seen(45, at=-3 * SECOND)], ["New", "New"], id="seconds before"),
        pytest.param([seen(79), seen(45, at=3 * SECOND)], ["New", "Joins"], id="seconds after"),
        pytest.param([seen(79), seen(13, at=3 * SECOND)], ["New", "New"], id="only a 45 comes so late"),
        pytest.param([seen(79), seen(45, kind="sxid", at=3 * SECOND)], ["New", "New"], id="an SXid 45 is none"),
        pytest.param([seen(79), seen(45, at=MINUTE, pci=OTHER)], ["New", "New"], id="on another GPU"),
        pytest.param([seen(79, pci=None), seen(45, at=MINUTE, pci=None)], ["New", "New"], id="on none that is named"),
        pytest.param([seen(45), seen(45, at=MINUTE)], ["New", "Repeat"], id="after another 45"),
        pytest.param([seen(45), seen(45, at=MINUTE, severity=Severity.INFO)], ["New", "New"], id="after another key's"),
        pytest.param(
            [seen(79), seen(79, at=-MINUTE), seen(45, at=-MINUTE)],
            ["New", "Repeat", "Joins"],
            id="of the moment of what was delivered late",
        ),
        pytest.param([seen(79, boot_id="a"), seen(45, at=MINUTE, boot_id="b")], ["New", "New"], id="in another boot"),
        pytest.param([seen(79, drill=Drill.REAL), seen(45, at=MINUTE)], ["New", "New"], id="after a drill"),
        pytest.param([seen(45), seen(79, at=SECOND), seen(45, at=MINUTE)], ["New", "Joins", "Repeat"], id="around"),
        pytest.param(
            [seen(45), seen(79, at=MINUTE), seen(45, at=MINUTE + SECOND), seen(45, at=2 * MINUTE)],
            ["New", "New", "Joins", "Repeat"],
            id="it was there before, and goes with what came in between",
        ),
        pytest.param(
            [seen(79), seen(48, at=MINUTE), seen(45, at=2 * MINUTE), seen(45, at=30 * SECOND)],
            ["New", "New", "Joins", "Joins"],
            id="each with the newest that came before it",
        ),
    ],
)


@AFTER
def test_a_45_without_a_cause(faults: list[NodeFault], expected: list[str]) -> None:
    assert kinds(*faults, skips=(None,) * len(faults)) == expected


def test_a_45_goes_on_repeating_for_hours_after_what_it_followed() -> None:
    incidents = Incidents(SETTINGS)
    family = place(incidents, seen(79)).incident.family
    placed = [place(incidents, seen(45, at=MINUTE * minute)) for minute in range(1, 200)]
    assert [type(one).__name__ for one in placed] == ["Joins"] + ["Repeat"] * 198
    assert {one.incident.family for one in placed} == {family}
    assert placed[-1].incident.count == 199


def test_a_45_of_the_moment_of_an_earlier_one_is_that_one_again() -> None:
    """Stamps may be whole seconds. Two incidents of one name would share a place in the store."""
    incidents = Incidents(SETTINGS)
    early = place(incidents, seen(45)).incident
    place(incidents, seen(79, at=-3 * SECOND))
    later = place(incidents, seen(45, at=SECOND)).incident
    place(incidents, seen(48, at=-6 * SECOND))
    assert later is not early
    assert place(incidents, seen(45)) == Repeat(early)
    assert isinstance(place(incidents, seen(45, at=MINUTE)), Joins)


def test_what_the_gate_has_stopped_is_of_no_family() -> None:
    assert kinds(seen(48), seen(94), skips=(STALE, None)) == ["New", "New"]
    assert kinds(seen(48), seen(94), skips=(None, STALE)) == ["New", "New"]
    assert kinds(seen(48), seen(94), skips=(STALE, STALE)) == ["New", "New"]
    assert kinds(seen(79), seen(45, at=MINUTE), skips=(None, STALE)) == ["New", "New"]
    incidents = Incidents(SETTINGS)
    assert place(incidents, seen(48), STALE).incident.family is None
    assert place(incidents, seen(48)).incident.family is not None


def test_nothing_joins_what_is_over() -> None:
    incidents = Incidents(SETTINGS)
    incident = place(incidents, seen(79)).incident
    incidents.close(ended(incident, Status.CANCELLED, CancelReason.STALE, SECOND))
    assert isinstance(place(incidents, seen(48, at=SECOND + MICROSECOND)), New)
    assert isinstance(place(incidents, seen(94, at=SECOND)), Joins)
