"""Xid 154 to 0: which lines count as a recovery, and which rescues it leaves without cause."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.decide.escalation import escalate, join
from pipeline.decide.guards import GuardSettings
from pipeline.decide.recovery import tells_of_recovery, without_cause
from pipeline.execute import progress
from pipeline.model.fault import Drill, Lookup, NodeFault, RecoveryAction
from pipeline.model.ownership import OFFLINE
from pipeline.model.plan import Plan, Skip
from pipeline.model.rescue import CancelReason, Member, Rescue
from tests.fakes.faults import NOON, fault, line, node_fault, plan, rescue
from tests.fakes.incidents import HARMLESS, MICROSECOND, MINUTE, SECOND, rebooted

MAX_AGE = timedelta(minutes=10)
GPU, OTHER = "0000:3b:00", "0000:5e:00"


def verdict(to: int, at: timedelta = timedelta(0), pci: str = GPU, **given: Any) -> NodeFault:
    """Xid 154, the driver's verdict, at noon and *at*; what is given is the line's, but for what is a node fault's."""
    own = {key: given.pop(key) for key in ("lookup", "labels", "opted_out", "boot_id", "booted_at") if key in given}
    told = {key: given.pop(key) for key in ("from_kernel",) if key in given}
    action = RecoveryAction("a", "b", to)
    found = fault(154, line=line(time=NOON + at, **told), pci=pci, recovery_action=action, **given)
    return node_fault(154, time=NOON + at, fault=found, **own)


def xid(code: int, at: timedelta = timedelta(0)) -> NodeFault:
    return node_fault(code, time=NOON + at)


def untimed(found: NodeFault) -> NodeFault:
    """The same by a line without a time of its own: it is as old as its reading."""
    return replace(found, fault=replace(found.fault, line=replace(found.fault.line, time=None)))


def counts(found: NodeFault, last: Rescue | None = None) -> bool:
    return tells_of_recovery(found, GuardSettings(), NOON, last)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(verdict(0), True, id="a verdict that asks for nothing"),
        pytest.param(verdict(1), False, id="a verdict that asks for something"),
        pytest.param(verdict(1, companion=True), False, id="the same by a line that goes with another"),
        pytest.param(xid(154), False, id="a 154 that was broken off before its verdict"),
        pytest.param(xid(79), False, id="any other fault"),
        pytest.param(verdict(0, -MAX_AGE), True, id="as old as a fault may be"),
        pytest.param(verdict(0, -MAX_AGE - MICROSECOND), False, id="a stale one"),
        pytest.param(verdict(0, MAX_AGE + MICROSECOND), False, id="one ahead of the clock"),
        pytest.param(untimed(verdict(0)), False, id="one without a time of its own"),
        pytest.param(verdict(0, name="x"), False, id="one behind a name, which a user may have chosen"),
        pytest.param(verdict(0, from_kernel=False), False, id="one that another program wrote"),
        pytest.param(verdict(0, boot_id="b", booted_at=NOON + SECOND), False, id="one of an earlier boot"),
        pytest.param(verdict(0, lookup=Lookup.AMBIGUOUS), False, id="one of two nodes"),
        pytest.param(verdict(0, opted_out=True), False, id="one of a node that is opted out"),
        pytest.param(verdict(0, labels={OFFLINE: "true"}), False, id="one of a node that is out for good"),
        pytest.param(verdict(0, drill=Drill.DRY), True, id="one of a drill"),
    ],
)
def test_what_counts_as_a_recovery(found: NodeFault, expected: bool) -> None:
    assert counts(found) is expected


@pytest.mark.parametrize(("after", "expected"), [(timedelta(0), False), (MICROSECOND, True)])
def test_what_was_said_before_the_node_was_rebooted_by_us_is_no_recovery(after: timedelta, expected: bool) -> None:
    assert counts(verdict(0), rebooted(rescue("earlier", now=NOON - MINUTE), -after)) is expected


RECOVERY = verdict(0, MINUTE)


def member(found: NodeFault, decision: Plan | Skip) -> Member:
    name = f"gpu-1-xid-{found.fault.code}-{found.time.isoformat()}"
    return Member(name, found, 1, found.time, found.time, decision)


def of(found: NodeFault, *others: Member, name: str = "r") -> Rescue:
    """A rescue for a fault, with more members."""
    one = rescue(name, now=found.time, cause=found)
    for other in others:
        one = join(one, other, NOON)
        assert other in one.members
    return one


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(of(verdict(1)), True, id="a verdict of the device"),
        pytest.param(of(verdict(1), member(verdict(2, SECOND), plan())), True, id="two of them"),
        pytest.param(of(verdict(1), member(verdict(2, SECOND, OTHER), plan())), False, id="a verdict of another, too"),
        pytest.param(of(verdict(1, pci=OTHER)), False, id="a verdict of another device"),
        pytest.param(of(verdict(1), member(xid(13), HARMLESS)), True, id="a fault that leads to nothing, too"),
        pytest.param(of(verdict(1), member(xid(48), plan())), False, id="a fault of its own right, too"),
        pytest.param(of(xid(48), member(verdict(2), plan())), False, id="a fault that the verdict came after"),
        pytest.param(of(xid(79)), False, id="another fault of the device"),
        pytest.param(of(xid(154)), False, id="a 154 that was broken off before its verdict"),
        pytest.param(of(verdict(1, drill=Drill.REAL)), False, id="a drill"),
        pytest.param(of(verdict(1, MINUTE - MICROSECOND)), True, id="a verdict of just before"),
        pytest.param(of(verdict(1, MINUTE)), False, id="a verdict of the same moment"),
        pytest.param(of(verdict(1, 2 * MINUTE)), False, id="a verdict of after it"),
        pytest.param(
            progress.prolonged(of(verdict(1)), "r", NOON, NOON + 2 * MINUTE), False, id="a verdict seen again after it"
        ),
        pytest.param(progress.started(of(verdict(1)), 0, NOON), True, id="a verdict, and it has only cordoned"),
        pytest.param(progress.started(of(verdict(1)), 1, NOON), False, id="a verdict, but it drains"),
        pytest.param(
            progress.withdrawn(progress.started(of(verdict(1)), 0, NOON), NOON, CancelReason.DELETED, ""),
            False,
            id="a verdict, but it is withdrawn",
        ),
        pytest.param(progress.cancelled(of(verdict(1)), NOON, CancelReason.STALE, ""), False, id="and has ended"),
    ],
)
def test_a_rescue_is_without_cause_after_a_recovery_where_it_is_about(one: Rescue, expected: bool) -> None:
    assert without_cause(one, RECOVERY, [one]) is expected


def test_a_drill_recovers_as_it_fails() -> None:
    one = of(verdict(1, drill=Drill.DRY))
    assert without_cause(one, verdict(0, MINUTE, drill=Drill.DRY), [one])
    assert not without_cause(one, RECOVERY, [one])


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(verdict(2, 30 * SECOND), True, id="a later verdict of the device"),
        pytest.param(verdict(2, 2 * MINUTE), False, id="a verdict of after the recovery"),
        pytest.param(verdict(2, 30 * SECOND, OTHER), False, id="a verdict of another device"),
        pytest.param(xid(62, 30 * SECOND), False, id="another fault"),
    ],
)
def test_a_rescue_has_to_cure_what_it_took_over(second: NodeFault, expected: bool) -> None:
    other = of(second, name="other")
    one = escalate(of(verdict(1)), other, NOON + 2 * MINUTE)
    assert one.folded == ("other",)
    assert without_cause(one, RECOVERY, [one, other]) is expected


def test_a_rescue_stays_where_nobody_knows_any_more_what_it_took_over() -> None:
    one = replace(of(verdict(1)), folded=("gone",))
    assert not without_cause(one, RECOVERY, [one])
