"""Lines that go with another one: an SXid's Severity and Data, a 45 and its cause, the two forms of a fall."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.gate import gate
from pipeline.decide.incidents import Companion, Incidents
from pipeline.model.fault import Drill, NodeFault
from tests.fakes.faults import NOON
from tests.fakes.incidents import (
    BARE,
    DATA,
    FELL,
    MICROSECOND,
    MINUTE,
    SECOND,
    SETTINGS,
    STALE,
    SXID,
    WINDOW,
    kinds,
    place,
    seen,
)


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
        pytest.param([seen(149), seen(45)], ["New", "Joins"], id="a 45 without cause"),
        pytest.param([seen(149, drill=Drill.REAL), seen(45, caused_by_xid=149)], ["New", "New"], id="a drill's cause"),
        pytest.param([seen(79, drill=Drill.REAL), BARE], ["New", "New"], id="a drill's fall"),
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
        pytest.param([seen(149), seen(46, caused_by_xid=149)], ["New", "Joins"], id="only a 45 is a consequence"),
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


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_falls_are_counted_once_whichever_line_comes_first(orders: list[bool]) -> None:
    incidents = Incidents(SETTINGS)
    for number, bare_first in enumerate(orders):
        at = 20 * SECOND * number
        pair = [seen(at=at), seen(at=at + MICROSECOND, inferred=True)]
        for found in reversed(pair) if bare_first else pair:
            incident = place(incidents, found).incident
    assert (incident.count, incident.companions) == (len(orders), len(orders))
