"""Rescues for faults of one family: two halves of an incident become one, and its worst fault decides."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from pipeline.decide.escalation import escalate, join
from pipeline.execute.progress import repeated
from pipeline.model.fault import CodeMeaning, Drill, NodeFault, Severity
from pipeline.model.plan import Action, ActionName, Cordon, Drain, Offline, Reboot, Uncordon
from pipeline.model.rescue import EventAction, Member, Rescue, Status, StepState
from tests.fakes.faults import NOON, fault, node_fault, plan, rescue
from tests.fakes.incidents import HARMLESS

HOUR = timedelta(hours=1)
LATER = NOON + HOUR


def names(one: Rescue) -> set[ActionName]:
    return {action.name for action in one.plan.actions}


def second(*actions: Action) -> Rescue:
    """A rescue for a fault of another GPU."""
    return rescue("second", plan=plan(*actions), cause=node_fault(79, fault=fault(79, pci="0000:5e:00")))


LESSER = CodeMeaning("xid", 95, severity=Severity.RESET, rescue=True)
WORSE = CodeMeaning("xid", 154, severity=Severity.REBOOT, rescue=True)


def for_fault(name: str, found: NodeFault, *actions: Action, priority: int = 10) -> Rescue:
    return rescue(name, plan=plan(*actions, policy=name, priority=priority), cause=found)


@pytest.mark.parametrize(
    ("apart", "given_fault", "started", "returned"),
    [
        pytest.param(1, {}, None, True, id="of one family the worst one's plan decides"),
        pytest.param(2, {}, None, True, id="two seconds apart is one family"),
        pytest.param(2.000001, {}, None, False, id="more than that apart is none"),
        pytest.param(1, {"pci": "0000:5e:00"}, None, False, id="another GPU's fault is another one"),
        pytest.param(1, {"drill": Drill.REAL}, None, False, id="so is a drill"),
        pytest.param(1, {}, 0, True, id="a cordon that has started changes nothing"),
        pytest.param(1, {}, 1, False, id="what has done more has its say"),
    ],
)
@pytest.mark.parametrize("worse_first", [False, True])
def test_of_one_family_the_worst_decides_whether_the_node_comes_back(
    apart: float, given_fault: dict[str, Any], started: int | None, returned: bool, worse_first: bool
) -> None:
    lesser = for_fault("lesser", node_fault(95, meaning=LESSER), Cordon(), Drain())
    worse_fault = node_fault(154, meaning=WORSE, time=NOON + timedelta(seconds=apart))
    worse = for_fault("worse", replace(worse_fault, fault=replace(worse_fault.fault, **given_fault)))
    one, other = (worse, lesser) if worse_first else (lesser, worse)
    if started is not None:
        one = one.with_step(started, StepState(Status.RUNNING, started=LATER))
    names = [action.name for action in escalate(one, other, LATER).plan.actions]
    assert (ActionName.UNCORDON in names) is returned


def test_of_one_family_a_worst_that_leaves_the_node_out_decides_too() -> None:
    lesser = for_fault("lesser", node_fault(95, meaning=LESSER))
    worse = for_fault("worse", node_fault(154, meaning=WORSE), Cordon())
    assert ActionName.UNCORDON not in [action.name for action in escalate(lesser, worse, LATER).plan.actions]


def test_two_halves_of_an_incident_become_one() -> None:
    """Two replicas have seen one half each."""
    lesser = repeated(for_fault("lesser", node_fault(95, meaning=LESSER), Cordon()), "lesser", 3, NOON, NOON)
    worse = repeated(for_fault("worse", node_fault(154, meaning=WORSE)), "worse", 4, NOON - HOUR, NOON)
    whole = escalate(lesser, worse, LATER)
    assert [member.name for member in whole.members] == ["lesser", "worse"]
    assert (whole.cause, whole.count, whole.first_seen) == (worse.cause, 7, NOON - HOUR)
    assert whole.folded == ("worse",)
    joined, escalated = whole.journal[-2:]
    assert (joined.action, escalated.action) == (EventAction.FAULT_JOINED, EventAction.RESCUE_ESCALATED)
    assert escalate(whole, worse, LATER) is whole


def test_a_line_that_leads_to_a_plan_only_when_it_comes_again_is_counted_once_and_heard() -> None:
    """It was taken in when it led to nothing; then the policies changed, and it has a rescue of its own."""
    leads = node_fault(154, meaning=WORSE)
    again = for_fault("again", node_fault(95, meaning=LESSER), Cordon())
    knows = join(for_fault("leader", leads), replace(again.members[0], decision=HARMLESS), LATER)
    after = escalate(knows, again, LATER)
    assert (after.count, after.members, after.folded) == (2, knows.members, ("again",))
    assert ActionName.UNCORDON not in names(after)
    more = replace(again, members=(*again.members, Member("more", node_fault(63), 1, NOON, NOON, HARMLESS)))
    assert escalate(knows, more, LATER).members == knows.members


def test_two_halves_are_of_one_family_if_any_of_their_faults_are_kin() -> None:
    """One replica has seen a GPU fail and its link with it, the other one the other end of the link."""
    mine = for_fault("mine", node_fault(48, meaning=LESSER), Cordon())
    mine = join(mine, Member("link", node_fault(74, meaning=LESSER), 1, NOON, NOON, HARMLESS), LATER)
    other_end = node_fault(74, meaning=WORSE, fault=fault(74, pci="0000:5e:00"))
    its = for_fault("its", other_end)
    assert [member.name for member in escalate(mine, its, LATER).members] == ["mine", "link", "its"]
    assert [member.name for member in escalate(its, mine, LATER).members] == ["its", "mine", "link"]


def test_of_three_halves_the_worst_decides_whichever_comes_first() -> None:
    faults = {"light": LESSER, "middle": replace(LESSER, code=48), "heavy": WORSE}
    for order in permutations(faults):
        each = {
            name: for_fault(
                name, node_fault(code.code, meaning=code), *(() if name == "heavy" else (Cordon(),)),
                priority={"light": 30, "middle": 20, "heavy": 1}[name],
            )
            for name, code in faults.items()
        }  # fmt: skip
        one = each[order[0]]
        for name in order[1:]:
            one = escalate(one, each[name], LATER)
        assert ActionName.UNCORDON in {action.name for action in one.plan.actions}, order


def test_what_another_fault_has_said_no_member_of_the_family_takes_back() -> None:
    """The other GPU's plan leaves the node to a person, whatever comes up of the first GPU after it."""
    mine = for_fault("mine", node_fault(95, meaning=LESSER), Cordon(), Drain(), Reboot(), Uncordon())
    heard = escalate(mine, second(Cordon()), LATER)
    worse = for_fault("worse", node_fault(154, meaning=WORSE))
    assert names(escalate(heard, worse, LATER)) == {ActionName.CORDON, ActionName.DRAIN, ActionName.REBOOT}
    assert names(escalate(worse, heard, LATER)) == {ActionName.CORDON, ActionName.DRAIN, ActionName.REBOOT}


def test_a_limit_keeps_the_worst_from_giving_the_node_back() -> None:
    lesser = for_fault("lesser", node_fault(95, meaning=LESSER), Cordon())
    lesser = replace(lesser, plan=replace(lesser.plan, limit="no more"))
    worse = for_fault("worse", node_fault(154, meaning=WORSE))
    assert names(escalate(lesser, worse, LATER)) == {ActionName.CORDON, ActionName.DRAIN}


def test_offline_of_a_lesser_fault_keeps_the_worst_from_giving_the_node_back() -> None:
    lesser = for_fault("lesser", node_fault(95, meaning=LESSER), Cordon(), Offline())
    worse = for_fault("worse", node_fault(154, meaning=WORSE))
    assert names(escalate(lesser, worse, LATER)) == {
        ActionName.CORDON, ActionName.DRAIN, ActionName.REBOOT, ActionName.OFFLINE,
    }  # fmt: skip
