"""A fault that reboots have not cured takes the node out for good."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.decide.guards import GuardSettings
from pipeline.decide.limits import limited
from pipeline.model.fault import NodeFault
from pipeline.model.plan import ActionName, Cordon, Drain, Offline, Plan, Skip, SkipReason
from pipeline.model.rescue import Rescue, Status, StepState
from tests.fakes.faults import NOON, fault, node_fault, plan, rescue

SETTINGS = GuardSettings(max_reboots=2, reboot_window=timedelta(hours=24))
HOUR = timedelta(hours=1)


def rebooted(ago: timedelta, cause: NodeFault | None = None, status: Status = Status.SUCCEEDED) -> Rescue:
    one = rescue(f"r{ago}", cause=cause or node_fault(79))
    step = StepState(status, NOON, NOON, memo={"rebooted_at": (NOON - ago).isoformat()})
    return one.with_step(2, step)


def limit(*rescues: Rescue, of: NodeFault | None = None, given: Plan | None = None) -> Plan:
    return limited(given or plan(), of or node_fault(79), rescues, NOON, SETTINGS)


def known(**identity: Any) -> NodeFault:
    return replace(node_fault(79), **identity)


@pytest.mark.parametrize(
    ("rescues", "offline"),
    [
        pytest.param([], False, id="no reboot yet"),
        pytest.param([rebooted(HOUR)], False, id="one of two"),
        pytest.param([rebooted(HOUR), rebooted(2 * HOUR)], True, id="two of two"),
        pytest.param([rebooted(HOUR), rebooted(24 * HOUR)], True, id="the second at the edge of the window"),
        pytest.param([rebooted(HOUR), rebooted(24 * HOUR + timedelta(seconds=1))], False, id="one before the window"),
        pytest.param([rebooted(HOUR), rebooted(2 * HOUR, node_fault(48))], False, id="one for another code"),
        pytest.param([rebooted(HOUR), rebooted(2 * HOUR, status=Status.FAILED)], False, id="one without proof"),
        pytest.param([rescue("a"), rescue("b")], False, id="rescues that rebooted nothing"),
    ],
)
def test_a_reboot_counts(rescues: list[Rescue], offline: bool) -> None:
    names = [action.name for action in limit(*rescues).actions]
    assert (ActionName.OFFLINE in names) is offline
    assert (ActionName.REBOOT in names) is not offline
    assert (ActionName.UNCORDON in names) is not offline


def leading(ago: timedelta, *taken: Rescue) -> Rescue:
    """A reboot for another fault, whose rescue had taken these over."""
    return replace(rebooted(ago, node_fault(48)), folded=tuple(one.name for one in taken))


FOLDED = rescue("folded")
OTHER = rescue("other", cause=node_fault(62))
HARMLESS = replace(
    FOLDED, members=(replace(FOLDED.members[0], decision=Skip(SkipReason.NO_RESCUE_NEEDED, "nothing to do")),)
)


@pytest.mark.parametrize(
    ("rescues", "offline"),
    [
        pytest.param([rebooted(HOUR), leading(2 * HOUR, FOLDED), FOLDED], True, id="was taken over"),
        pytest.param([FOLDED, leading(2 * HOUR, FOLDED), rebooted(HOUR)], True, id="was taken over, in any order"),
        pytest.param([rebooted(HOUR), leading(2 * HOUR), FOLDED], False, id="was not taken over"),
        pytest.param([rebooted(HOUR), leading(2 * HOUR, FOLDED)], False, id="was taken over and is not kept"),
        pytest.param([rebooted(HOUR), leading(2 * HOUR, OTHER), OTHER], False, id="was for another code"),
        pytest.param([rebooted(HOUR), leading(2 * HOUR, HARMLESS), HARMLESS], False, id="had no plan"),
        pytest.param([rebooted(HOUR), leading(25 * HOUR, FOLDED), FOLDED], False, id="was taken over too long ago"),
        pytest.param(
            [leading(HOUR, FOLDED, OTHER), FOLDED, OTHER, rescue("z")], False, id="and others: one reboot counts once"
        ),
    ],
)
def test_a_reboot_counts_for_a_fault_whose_rescue(rescues: list[Rescue], offline: bool) -> None:
    assert (ActionName.OFFLINE in [action.name for action in limit(*rescues).actions]) is offline


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        pytest.param(known(board_serial="1"), known(board_serial="1"), True, id="the same board"),
        pytest.param(known(board_serial="1"), known(board_serial="2"), False, id="another board in the same slot"),
        pytest.param(
            known(board_serial="1", gpu_uuid="a"), known(board_serial="1", gpu_uuid="b"), True, id="the board decides"
        ),
        pytest.param(known(gpu_uuid="a"), known(gpu_uuid="b"), False, id="another UUID"),
        pytest.param(known(gpu_uuid="a"), known(), True, id="a UUID that is known once: the slot decides"),
        pytest.param(known(), known(fault=fault(79, pci="0000:5e:00")), True, id="another GPU of the node"),
        pytest.param(
            known(board_serial="1"),
            known(fault=fault(79, pci="0000:5e:00"), board_serial="2"),
            True,
            id="another board",
        ),
        pytest.param(known(), known(fault=fault(78, pci="0000:3b:00")), False, id="another code of the same GPU"),
    ],
)
def test_a_reboot_counts_for_the_same_fault_of_the_node_unless_the_gpu_was_exchanged(
    before: NodeFault, now: NodeFault, same: bool
) -> None:
    names = [action.name for action in limit(rebooted(HOUR, before), rebooted(2 * HOUR, before), of=now).actions]
    assert (ActionName.OFFLINE in names) is same


def test_the_plan_says_why_it_is_not_the_rules() -> None:
    found = limit(rebooted(HOUR), rebooted(2 * HOUR))
    assert found.actions == (Cordon(), Drain(), Offline())
    assert found.limit == "2 reboots for the same fault within 1day have not cured it (max_reboots)"
    assert (found.policy, found.rule) == ("test", 0)


def test_a_plan_without_a_reboot_is_left_alone() -> None:
    given = plan(Cordon(), Drain())
    assert limit(rebooted(HOUR), rebooted(2 * HOUR), given=given) is given
