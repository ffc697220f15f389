"""Whether a fault is of a boot that is over: only what was known of its own boot can say so."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipeline.decide.boots import earlier_boot, is_of_boot, left_by_failed_reboot, may_be_one_boot
from pipeline.model.fault import NodeFault
from pipeline.model.rescue import FailReason, Status, StepState
from tests.fakes.asking import node
from tests.fakes.faults import NOON, fault, line, node_fault, rescue

MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("of_line", "of_fault", "boot_id", "booted_at", "older"),
    [
        pytest.param("a", "b", "a", None, False, id="the boot of the line decides"),
        pytest.param("a", "b", "b", None, True, id="also against the one that the node had"),
        pytest.param("AB12cd", None, "ab-12-cd", None, False, id="the journal writes it without dashes"),
        pytest.param("a", "a", "a", NOON + MICROSECOND, False, id="a line of this boot, before the boot was noticed"),
        pytest.param(None, "a", "a", None, False, id="the boot that the node had then is the one it has"),
        pytest.param(None, "a", "b", None, True, id="the node has another boot since"),
        pytest.param(None, "ab-12", "AB12", None, False, id="the same one in another spelling"),
        pytest.param(None, "a", "a", NOON, False, id="in the moment of the boot"),
        pytest.param(None, "a", "a", NOON + MICROSECOND, True, id="before the boot that the node had when it was read"),
        pytest.param(None, None, "b", None, False, id="a fault whose boot nobody knows"),
        pytest.param(None, None, "b", NOON + MICROSECOND, False, id="even before the boot was noticed"),
        pytest.param("a", "a", "", None, False, id="no boot of the node is known"),
        pytest.param("a", "a", None, None, False, id="the node was never seen"),
        pytest.param(None, "a", "", NOON + MICROSECOND, False, id="a boot id that is away is no other boot"),
    ],
)
def test_a_fault_of_an_earlier_boot(
    of_line: str | None, of_fault: str | None, boot_id: str | None, booted_at: datetime | None, older: bool
) -> None:
    found = node_fault(boot_id=of_fault, fault=fault(line=line(boot_id=of_line)))
    assert (earlier_boot(found, boot_id, booted_at) is not None) is older


@pytest.mark.parametrize(
    ("booted_at", "left"),
    [
        pytest.param(NOON, True, id="in the moment in which the rescue gave up"),
        pytest.param(NOON + MICROSECOND, False, id="since then"),
        pytest.param(None, True, id="nobody knows when"),
    ],
)
def test_a_machine_that_came_back_broken_is_left_as_it_is_until_it_boots_again(
    booted_at: datetime | None, left: bool
) -> None:
    reboot = StepState(Status.FAILED, NOON, NOON, memo={"boot_id": "a", "rebooted_at": NOON.isoformat()})
    ended = replace(rescue(), status=Status.FAILED, reason=FailReason.REBOOT_TIMEOUT, ended=NOON).with_step(2, reboot)
    assert left_by_failed_reboot(node(boot_id="b", booted_at=booted_at), ended) is left


def read_in(boot: str | None, of_line: str | None = None) -> NodeFault:
    """A fault of noon, read while the node was in that boot."""
    return node_fault(boot_id=boot, fault=fault(line=line(boot_id=of_line)))


@pytest.mark.parametrize(
    ("faults", "one"),
    [
        pytest.param([], True, id="none"),
        pytest.param([read_in("a"), read_in("a")], True, id="of the same boot"),
        pytest.param([read_in("ab-12"), read_in("AB12")], True, id="in another spelling"),
        pytest.param([read_in("a"), read_in("b")], False, id="of two boots"),
        pytest.param([read_in("a"), read_in(None), read_in("")], True, id="of boots that are not known"),
        pytest.param([read_in("a"), read_in(None), read_in("b")], False, id="of two boots beside one not known"),
        pytest.param([read_in("a", "b"), read_in("b")], True, id="the boot of the line counts"),
        pytest.param([read_in("a"), read_in("a", "b")], False, id="before the one that the node was in"),
    ],
)
def test_faults_that_may_be_of_one_boot(faults: list[NodeFault], one: bool) -> None:
    assert may_be_one_boot(faults) is one


@pytest.mark.parametrize(
    ("found", "booted_at", "known"),
    [
        pytest.param(read_in("a"), NOON, True, id="read in it, in the moment in which it was first seen"),
        pytest.param(read_in("A"), NOON - MICROSECOND, True, id="in another spelling, after it was first seen"),
        pytest.param(read_in("a"), NOON + MICROSECOND, False, id="read in it, before it was first seen"),
        pytest.param(read_in("a"), None, False, id="read in it, nobody knows since when it is"),
        pytest.param(read_in("b"), NOON, False, id="read in another one"),
        pytest.param(read_in(None), NOON, False, id="read while the node was not Ready"),
        pytest.param(read_in(None, "A"), None, True, id="the line says so"),
        pytest.param(read_in("a", "b"), NOON, False, id="the line says otherwise"),
    ],
)
def test_a_fault_is_known_to_be_of_a_boot(found: NodeFault, booted_at: datetime | None, known: bool) -> None:
    assert is_of_boot(found, "a", booted_at) is known


def test_no_fault_is_known_to_be_of_a_boot_that_is_not_known() -> None:
    assert not is_of_boot(read_in(None), "", NOON)
