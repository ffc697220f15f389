"""What becomes of a rescue when one more fault of its incident comes up."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.escalation import escalate, join, takes_in
from pipeline.decide.family import LARGEST, lead_of, returned, speaks_for, with_member
from pipeline.model.fault import CodeMeaning, NodeFault, Severity
from pipeline.model.plan import Action, ActionName, Cordon, Decision, Drain, Offline, OnTimeout, Plan, Reboot
from pipeline.model.rescue import CancelReason, Entry, EventAction, HoldReason, Member, Rescue, Status, StepState
from tests.fakes.faults import NOON, node_fault, plan, rescue
from tests.fakes.incidents import HARMLESS, MINUTE, SECOND

LATER = NOON + SECOND
FORCED = Drain(on_timeout=OnTimeout.FORCE)
STARTED = StepState(Status.RUNNING, NOON)


def of(code: int, severity: Severity = Severity.RESET, **given: Any) -> NodeFault:
    return node_fault(code, meaning=CodeMeaning("xid", code, severity=severity, rescue=True), **given)


def member(code: int, decision: Decision | None = HARMLESS, times: int = 1, **given: Any) -> Member:
    found = of(code, **given)
    return Member(f"gpu-1-xid-{code}", found, times, found.time, found.time, decision)


def opened(*actions: Action, priority: int = 10, **given: Any) -> Rescue:
    """A rescue that a 48 has opened."""
    return rescue("gpu-1-xid-48", cause=of(48, **given), plan=plan(*actions, policy="of-48", priority=priority))


WITHDRAWN = replace(opened().with_step(0, STARTED), withdrawn=CancelReason.DELETED)


def names(one: Rescue) -> list[ActionName]:
    return [action.name for action in one.plan.actions]


def test_a_fault_that_leads_to_nothing_by_itself_is_counted_and_its_reason_kept() -> None:
    after = join(opened(), member(63, severity=Severity.INFO, times=3, time=NOON - MINUTE), LATER)
    assert [(one.fault.fault.code, one.count) for one in after.members] == [(48, 1), (63, 3)]
    assert (after.count, after.first_seen, after.last_seen) == (4, NOON - MINUTE, NOON)
    assert (after.plan, after.cause, after.folded, after.due) == (opened().plan, opened().cause, (), opened().due)
    assert after.journal[-1] == Entry(
        LATER,
        EventAction.FAULT_JOINED,
        "xid 63 on gpu-1 belongs to xid 48: GPU has fallen off the bus.",
        reason="no-rescue-needed",
        details={
            "member": "gpu-1-xid-63",
            "count": 3,
            "first_seen": (NOON - MINUTE).isoformat(),
            "last_seen": (NOON - MINUTE).isoformat(),
            "leads": False,
        },
    )


def test_a_plan_is_merged_and_told() -> None:
    worse = member(154, plan(policy="of-154", rule=3, priority=20), severity=Severity.REBOOT, time=NOON + SECOND)
    before = opened(Cordon())
    after = join(before, worse, LATER)
    assert (after.plan.actions, after.plan.policy, len(after.steps)) == (plan().actions, "of-154", 4)
    assert (after.cause, after.last_seen, after.due) == (worse.fault, NOON + SECOND, before.due)
    assert after.folded == ()
    joined, escalated = after.journal[2:]
    assert joined.message == (
        "xid 154 on gpu-1 belongs to xid 48 and leads the incident now: GPU has fallen off the bus."
    )
    assert (joined.reason, joined.details["leads"]) == (None, True)
    assert escalated == Entry(
        LATER,
        EventAction.RESCUE_ESCALATED,
        "gpu-1: xid 154 belongs to the incident; the plan is now cordon, drain, reboot, unCordon instead of cordon",
        plan=after.plan,
        details={"folded": "gpu-1-xid-154", "policy": "of-154", "rule": 3},
    )


def test_a_plan_that_adds_nothing_is_no_escalation() -> None:
    after = join(opened(), member(95, plan(Cordon(), Drain(), Reboot(), priority=1), severity=Severity.INFO), LATER)
    assert after.plan == opened().plan
    assert [entry.action for entry in after.journal[2:]] == [EventAction.FAULT_JOINED]
    assert after.folded == ()


def test_of_a_plan_that_says_more_of_an_action_the_higher_priority_counts() -> None:
    after = join(opened(Cordon(), Drain()), member(95, plan(Cordon(), FORCED, priority=11)), LATER)
    assert after.plan.actions == (Cordon(), FORCED)
    assert "onTimeout force" in after.journal[-1].message


@pytest.mark.parametrize(
    ("before", "decision", "taken"),
    [
        pytest.param(opened(), plan(), True, id="a plan, before the first step"),
        pytest.param(opened(), HARMLESS, True, id="nothing, before the first step"),
        pytest.param(replace(opened(), status=Status.HELD, reason=HoldReason.MAX_NODES), plan(), True, id="a held one"),
        pytest.param(opened().with_step(0, STARTED), plan(), True, id="a plan, when only the cordon has started"),
        pytest.param(opened().with_step(1, STARTED), plan(), False, id="a plan, too late"),
        pytest.param(opened().with_step(1, STARTED), HARMLESS, True, id="nothing, at any time"),
        pytest.param(WITHDRAWN, plan(), False, id="a plan, after it was withdrawn"),
        pytest.param(WITHDRAWN, HARMLESS, False, id="nothing, after it was withdrawn"),
        pytest.param(replace(opened(), status=Status.SUCCEEDED), HARMLESS, False, id="nothing, after the end"),
        pytest.param(opened(), replace(plan(), dry_run=True), False, id="a plan that is to be rehearsed"),
        pytest.param(
            replace(opened(), plan=replace(plan(), dry_run=True)), replace(plan(), dry_run=True), True, id="both are"
        ),
        pytest.param(replace(opened(), plan=replace(plan(), dry_run=True)), plan(), False, id="a rehearsal for a real"),
        pytest.param(replace(opened(), plan=replace(plan(), dry_run=True)), HARMLESS, True, id="nothing, rehearsed"),
    ],
)
def test_a_rescue_takes_in(before: Rescue, decision: Decision, taken: bool) -> None:
    one = member(63, decision)
    assert takes_in(before, one) is taken
    after = join(before, one, LATER)
    assert (after is not before) is taken
    assert speaks_for(after, one) is taken


def test_a_member_that_is_known_changes_nothing() -> None:
    once = join(opened(), member(63), LATER)
    assert join(once, member(63, times=2), LATER + SECOND) is once
    assert join(once, member(63, plan()), LATER + SECOND) is once
    assert not takes_in(opened(), replace(member(48), name="gpu-1-xid-48"))


def test_an_incident_has_so_many_members_and_no_more() -> None:
    full = opened()
    for code in range(1000, 1000 + LARGEST - 1):
        full = join(full, member(code), LATER)
    assert len(full.members) == LARGEST == 64
    assert not takes_in(full, member(63))
    assert join(full, member(63), LATER) is full
    assert join(full, member(63, plan(Cordon(), Offline())), LATER) is full
    assert escalate(full, rescue("gpu-1-xid-154", cause=of(154)), LATER).members == full.members


@pytest.mark.parametrize(
    ("known", "decision", "speaks"),
    [
        pytest.param(HARMLESS, HARMLESS, True, id="nothing by itself, as before"),
        pytest.param(plan(), HARMLESS, True, id="nothing any more"),
        pytest.param(plan(), plan(Cordon()), True, id="a plan, as before"),
        pytest.param(HARMLESS, plan(), False, id="a plan, since the policies have changed"),
        pytest.param(replace(plan(), dry_run=True), plan(), False, id="a plan that was to be rehearsed only"),
    ],
)
def test_a_rescue_speaks_for_a_line_that_comes_again_with(known: Decision, decision: Decision, speaks: bool) -> None:
    knows = replace(opened(), members=(*opened().members, member(63, known)))
    assert speaks_for(knows, member(63, decision)) is speaks
    assert not speaks_for(opened(), member(63, decision))


def test_a_fault_read_while_the_node_was_not_ready_is_of_the_boot_of_the_others() -> None:
    """Or its rescue, led by it, would outlive a reboot by another hand, and reboot the node once more."""
    before = opened(boot_id="a", booted_at=NOON - MINUTE)
    after = join(before, member(154, severity=Severity.REBOOT), LATER)
    assert (after.cause.fault.code, after.cause.boot_id, after.cause.booted_at) == (154, "a", NOON - MINUTE)
    known = join(opened(), member(154, severity=Severity.REBOOT, boot_id="b", booted_at=NOON), LATER)
    assert (known.cause.boot_id, known.cause.booted_at) == ("b", NOON)


@pytest.mark.parametrize("decision", [HARMLESS, plan()])
def test_a_fault_that_is_known_to_be_of_another_boot_is_of_another_incident(decision: Decision) -> None:
    """The node has rebooted meanwhile: what mends the first boot mends nothing of the second."""
    before = opened(boot_id="a")
    other = member(154, decision, severity=Severity.REBOOT, boot_id="b")
    assert not takes_in(before, other)
    assert join(before, other, LATER) is before
    assert with_member(before, other, LATER) is before
    assert takes_in(before, replace(other, fault=replace(other.fault, boot_id="A")))


def test_a_member_that_was_taken_in_with_its_plan_has_its_rescue_folded_all_the_same() -> None:
    """Two replicas have seen it, and the other one has heard of more since."""
    mine = join(opened(Cordon()), member(63, plan(Cordon())), LATER)
    its = rescue("gpu-1-xid-63", cause=of(63), plan=plan(Cordon()))
    its = join(its, member(94, plan()), LATER)
    whole = escalate(mine, its, LATER)
    assert [one.name for one in whole.members] == ["gpu-1-xid-48", "gpu-1-xid-63", "gpu-1-xid-94"]
    assert (whole.folded, whole.count) == (("gpu-1-xid-63",), 3)
    assert ActionName.REBOOT in names(whole)


def test_what_a_line_that_came_again_with_a_plan_has_said_no_later_member_takes_back() -> None:
    """It is known as one that leads to nothing, and its plan, that of a rescue of its own, leaves the node out."""
    knows = join(opened(), member(63), LATER)
    heard = escalate(knows, rescue("gpu-1-xid-63", cause=of(63), plan=plan(Cordon())), LATER)
    after = join(heard, member(154, plan(), severity=Severity.REBOOT), LATER)
    assert ActionName.UNCORDON not in names(after)


@pytest.mark.parametrize(
    ("worse", "lesser"),
    [
        pytest.param(member(1, severity=Severity.REBOOT), member(2, plan(priority=99)), id="the severity counts first"),
        pytest.param(member(1, plan(priority=2)), member(2, plan(priority=1)), id="then the priority of the plan"),
        pytest.param(member(1, plan(priority=-5)), member(2), id="a plan before none, whatever its priority"),
        pytest.param(member(1), member(45, plan(), severity=Severity.REBOOT), id="a 45 leads no other"),
        pytest.param(member(45, severity=Severity.RESET), member(45), id="of 45s as of others"),
    ],
)
def test_the_worst_leads(worse: Member, lesser: Member) -> None:
    if worse.fault.fault.code == 45:
        lesser = replace(lesser, fault=of(45, Severity.INFO))
    assert lead_of([worse, lesser]) is worse
    assert lead_of([lesser, worse]) is worse


def test_of_equals_the_first_leads() -> None:
    assert lead_of([one := member(1), member(2)]) is one
    assert join(opened(), member(62, plan()), LATER).cause.fault.code == 48


GLOBAL = replace(plan(Cordon(), priority=0), fallback=True)


@pytest.mark.parametrize(
    ("members", "back"),
    [
        pytest.param([member(1, plan())], True, id="the only one does"),
        pytest.param([member(1), member(2)], True, id="nobody, for none has a plan"),
        pytest.param([member(1, plan(Cordon()))], False, id="the only one does not"),
        pytest.param([member(1, plan()), member(2, plan(Cordon(), priority=9))], True, id="the worst does"),
        pytest.param([member(1, plan()), member(2, plan(Cordon(), priority=11))], False, id="the worst does not"),
        pytest.param([member(1, plan()), member(2, plan(Cordon()))], False, id="of two equals one does not"),
        pytest.param([member(1, plan()), member(2, severity=Severity.REBOOT)], True, id="the worst has no say"),
        pytest.param(
            [member(1, plan()), member(2, GLOBAL, severity=Severity.REBOOT)],
            True,
            id="one whose rule speaks of it does",
        ),
        pytest.param([member(1, GLOBAL), member(2, GLOBAL)], False, id="the global policy, where no other speaks"),
        pytest.param(
            [member(1, plan(priority=1), severity=Severity.REBOOT), member(2, plan(Cordon(), priority=9))],
            True,
            id="the severity counts first",
        ),
    ],
)
def test_the_node_comes_back_if_the_plan_of(members: list[Member], back: bool) -> None:
    assert returned(members) is back
    assert returned(reversed(members)) is back


PLANS: list[list[Action]] = [
    [Cordon()],
    [Cordon(), Drain()],
    [Cordon(), Drain(), Reboot()],
    list(plan().actions),
    [Cordon(), Offline()],
]
DECISIONS = st.one_of(
    st.just(HARMLESS),
    st.builds(lambda actions, priority: plan(*actions, priority=priority), st.sampled_from(PLANS), st.integers(0, 2)),
)
MEMBERS = st.tuples(
    st.sampled_from([Severity.INFO, Severity.RESET, Severity.REBOOT]), DECISIONS, st.integers(1, 5), st.integers(0, 2)
)


def numbered(found: list[tuple[Severity, Decision, int, int]]) -> list[Member]:
    return [
        member(100 + number, decision, times, severity=severity, time=NOON + at * SECOND)
        for number, (severity, decision, times, at) in enumerate(found)
    ]


def together(members: list[Member], now: datetime = LATER) -> Rescue | None:
    """The rescue of an incident whose faults come in that order: the first plan opens it, with what came before."""
    first = next((one for one in members if isinstance(one.decision, Plan)), None)
    if first is None or not isinstance(first.decision, Plan):
        return None
    one = rescue(first.name, cause=first.fault, plan=first.decision)
    one = replace(one, members=(first,), count=first.count)
    for other in members:
        one = join(one, other, now)
    return one


@given(st.lists(MEMBERS, min_size=1, max_size=6), st.randoms())
def test_an_incident_is_the_same_in_whatever_order_its_faults_come(
    found: list[tuple[Severity, Decision, int, int]], random: Any
) -> None:
    members = numbered(found)
    one, other = together(members), together(random.sample(members, len(members)))
    if one is None or other is None:
        assert one is other
        return
    assert set(names(one)) == set(names(other))
    assert one.count == other.count == sum(each.count for each in members)
    assert (one.first_seen, one.last_seen) == (other.first_seen, other.last_seen)
    assert {each.name for each in one.members} == {each.name for each in members}
    worst = max(each.fault.meaning.severity.rank for each in members)
    assert one.cause.meaning.severity.rank == other.cause.meaning.severity.rank == worst
    assert one.cause == lead_of(one.members).fault
    asked = {action.name for each in members if isinstance(each.decision, Plan) for action in each.decision.actions}
    assert asked - set(names(one)) <= {ActionName.UNCORDON}
    assert not {ActionName.OFFLINE, ActionName.UNCORDON} <= set(names(one))
    assert len(one.steps) == len(one.plan.actions)


@given(st.lists(MEMBERS, min_size=2, max_size=6), st.integers(0, 63))
def test_two_halves_of_an_incident_are_the_whole(found: list[tuple[Severity, Decision, int, int]], split: int) -> None:
    """As if one replica had seen it all, however the lines were shared between two."""
    members = numbered(found)
    mine = together([one for number, one in enumerate(members) if split >> number & 1])
    its = together([one for number, one in enumerate(members) if not split >> number & 1])
    whole = together([*(mine.members if mine else ()), *(its.members if its else ())])
    if mine is None or its is None or whole is None:
        return
    folded = escalate(mine, its, LATER + timedelta(seconds=3))
    assert set(names(folded)) == set(names(whole))
    assert (folded.count, folded.cause) == (whole.count, whole.cause)
    assert {one.name for one in folded.members} == {one.name for one in whole.members}
    assert folded.first_seen == whole.first_seen


def test_what_a_half_brings_with_it_is_told_when_it_came() -> None:
    other = rescue("gpu-1-xid-154", cause=of(154), plan=plan())
    merged = escalate(opened(), other, LATER)
    assert [entry.time for entry in merged.journal if entry.action is EventAction.FAULT_JOINED] == [LATER]
