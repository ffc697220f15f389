"""What becomes of a plan that takes another one over."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.escalation import escalate, join, takes_over
from pipeline.decide.planner import ORDER
from pipeline.errors import ConflictError
from pipeline.model.plan import (
    Action,
    ActionName,
    Cordon,
    Drain,
    EnableWarmStandby,
    Offline,
    OnTimeout,
    Plan,
    Reboot,
    Skip,
    SkipReason,
    Uncordon,
)
from pipeline.model.rescue import EventAction, Member, Rescue, Status, StepState
from tests.fakes.faults import NOON, fault, line, node_fault, plan, rescue

HOUR = timedelta(hours=1)
LATER = NOON + HOUR
DONE = StepState(Status.SUCCEEDED, NOON, NOON)
SKIP = Skip(SkipReason.NO_RESCUE_NEEDED, "harmless")
FORCED = Drain(on_timeout=OnTimeout.FORCE)


def first(*actions: Action, priority: int = 10, done: int = 0) -> Rescue:
    one = rescue("first", plan=plan(*actions, policy="one", priority=priority))
    for index in range(done):
        one = one.with_step(index, DONE)
    return one


def second(*actions: Action, priority: int = 10, name: str = "second") -> Rescue:
    """A rescue for a fault of another GPU: of another family than the first one's."""
    cause = node_fault(79, fault=fault(79, pci="0000:5e:00"))
    return rescue(name, plan=plan(*actions, policy="two", rule=3, priority=priority), cause=cause)


def merged(one: Rescue, other: Rescue) -> tuple[Action, ...]:
    return escalate(one, other, LATER).plan.actions


@pytest.mark.parametrize(
    ("one", "other", "actions"),
    [
        pytest.param(
            first(Cordon(), Drain()),
            second(Cordon(), Drain(), Reboot()),
            (Cordon(), Drain(), Reboot()),
            id="a stronger plan adds to it",
        ),
        pytest.param(
            first(Cordon(), Drain()),
            second(Cordon(), EnableWarmStandby()),
            (Cordon(), EnableWarmStandby(), Drain()),
            id="what is added goes where it belongs",
        ),
        pytest.param(first(), second(), (Cordon(), Drain(), Reboot(), Uncordon()), id="an equal plan adds nothing"),
        pytest.param(
            first(Cordon(), Drain(), Reboot()),
            second(Cordon(), Drain()),
            (Cordon(), Drain(), Reboot()),
            id="nor does a weaker one",
        ),
        pytest.param(
            first(),
            second(Cordon()),
            (Cordon(), Drain(), Reboot()),
            id="a plan that leaves the node cordoned has its say",
        ),
        pytest.param(first(), second(Cordon(), Drain()), (Cordon(), Drain(), Reboot()), id="also one that drains it"),
        pytest.param(
            first(),
            second(Cordon(), Drain(), Reboot()),
            (Cordon(), Drain(), Reboot()),
            id="and one that reboots it",
        ),
        pytest.param(
            first(Cordon(), Drain(), Reboot()),
            second(),
            (Cordon(), Drain(), Reboot()),
            id="whichever of the two it is",
        ),
        pytest.param(
            first(Cordon(), priority=1),
            second(priority=99),
            (Cordon(), Drain(), Reboot()),
            id="whatever the priorities",
        ),
        pytest.param(
            first(Cordon(), done=1), second(), (Cordon(), Drain(), Reboot()), id="and whatever has been done so far"
        ),
        pytest.param(
            first(),
            second(Cordon(), Offline()),
            (Cordon(), Drain(), Reboot(), Offline()),
            id="offline takes unCordon away",
        ),
        pytest.param(
            first(Cordon(), Offline()), second(), (Cordon(), Drain(), Reboot(), Offline()), id="and does not let it in"
        ),
        pytest.param(
            first(Cordon(), Drain(), priority=10),
            second(Cordon(), FORCED, priority=11),
            (Cordon(), FORCED),
            id="the higher priority says how",
        ),
        pytest.param(
            first(Cordon(), Drain(), priority=10),
            second(Cordon(), FORCED, priority=10),
            (Cordon(), Drain()),
            id="the first one, when they are equal",
        ),
        pytest.param(
            first(Cordon(), Drain(), priority=10, done=2),
            second(Cordon(), FORCED, priority=11),
            (Cordon(), Drain()),
            id="what has started stays as it is",
        ),
    ],
)
def test_the_plan_becomes(one: Rescue, other: Rescue, actions: tuple[Action, ...]) -> None:
    assert merged(one, other) == actions


def test_what_was_done_stays_with_its_action() -> None:
    drained = first(Cordon(), Drain(), done=2)
    after = escalate(drained, second(Cordon(), EnableWarmStandby(), Drain(), Reboot()), LATER)
    assert after.steps == (DONE, StepState(), DONE, StepState())
    assert after.current == 1


@pytest.mark.parametrize(
    ("mine", "theirs", "policy"),
    [
        pytest.param(10, 11, ("two", 3, 11), id="the rule of the higher priority stands for the plan"),
        pytest.param(10, 10, ("one", 0, 10), id="the first one's, when they are equal"),
        pytest.param(11, 10, ("one", 0, 11), id="the first one's, when it is higher"),
    ],
)
def test_the_rule_of_an_escalated_plan(mine: int, theirs: int, policy: tuple[str, int, int]) -> None:
    after = escalate(first(Cordon(), priority=mine), second(priority=theirs), LATER).plan
    assert (after.policy, after.rule, after.priority) == policy


def test_an_escalation_is_in_the_journal() -> None:
    before = first(Cordon())
    after = escalate(before, second(), LATER)
    assert after.journal[: len(before.journal)] == before.journal
    (entry,) = after.journal[len(before.journal) :]
    assert (entry.time, entry.action) == (LATER, EventAction.RESCUE_ESCALATED)
    assert entry.message == (
        "gpu-1: xid 79 (rescue second) is taken over; the plan is now cordon, drain, reboot instead of cordon"
    )
    assert entry.plan == after.plan
    assert entry.details == {"folded": "second", "policy": "two", "rule": 3}


def test_that_the_node_stays_cordoned_is_in_the_journal_too() -> None:
    after = escalate(first(), second(Cordon()), LATER)
    assert after.journal[-1].message == (
        "gpu-1: xid 79 (rescue second) is taken over; "
        "the plan is now cordon, drain, reboot instead of cordon, drain, reboot, unCordon"
    )


def test_each_keeps_its_own_count_and_the_newest_fault_is_the_last_seen() -> None:
    """A held rescue is given up by the age of what was last seen, and a fault that folds into it is new."""
    one = replace(first(), count=3, last_seen=NOON)
    other = replace(second(priority=99), count=4, first_seen=NOON - HOUR, last_seen=NOON + 2 * HOUR)
    assert escalate(one, other, LATER) == replace(one, last_seen=NOON + 2 * HOUR, due=LATER, folded=("second",))


def test_the_last_seen_never_goes_back() -> None:
    one = replace(first(), last_seen=LATER)
    assert escalate(one, second(), LATER).last_seen == LATER


def test_what_the_first_one_waited_for_is_asked_again_at_once() -> None:
    """The plan that takes it over may have dropped a waittime."""
    waiting = replace(first(done=2), due=LATER + HOUR)
    assert escalate(waiting, second(Cordon(), Drain(), Reboot(), priority=99), LATER).due == LATER


def test_a_third_one_is_measured_by_the_plan_that_the_second_one_made() -> None:
    twice = escalate(
        escalate(first(Cordon()), second(Cordon(), FORCED, priority=20), LATER), second(name="third"), LATER
    )
    assert twice.folded == ("second", "third")
    assert twice.plan.actions == (Cordon(), FORCED, Reboot())


@pytest.mark.parametrize(
    ("leader", "takes"),
    [
        pytest.param(first(), True, id="nothing has started"),
        pytest.param(first(done=2), True, id="the drain is done"),
        pytest.param(first(done=2).with_step(2, StepState(Status.RUNNING, NOON)), False, id="the reboot has started"),
        pytest.param(first(done=4), False, id="all is done"),
        pytest.param(first(Cordon(), done=1), True, id="a cordon is done and the rescue is still open"),
        pytest.param(first(Cordon(), Offline(), done=2), False, id="the node is offline"),
        pytest.param(replace(first(Cordon()), status=Status.SUCCEEDED), False, id="it has ended"),
    ],
)
def test_it_can_take_another_one_over(leader: Rescue, takes: bool) -> None:
    assert takes_over(leader, second()) is takes
    if not takes:
        with pytest.raises(ConflictError, match=r"^rescue first cannot take over second any more$"):
            escalate(leader, second(), LATER)


def test_one_that_had_been_taken_over_by_what_has_ended_is_a_conflict() -> None:
    with pytest.raises(ConflictError):
        escalate(replace(first(), folded=("second",), status=Status.CANCELLED), second(), LATER)


def test_one_that_was_taken_over_is_no_conflict_later() -> None:
    gone_on = replace(first(done=4), folded=("second",))
    assert escalate(gone_on, second(), LATER) is gone_on


CHOICES: list[list[Action]] = [
    [Cordon()],
    [Cordon(), Drain()],
    [Cordon(), Drain(), Reboot()],
    [Cordon(), Drain(), Reboot(), Uncordon()],
    [Cordon(), EnableWarmStandby(), FORCED],
    [Cordon(), Offline()],
    [Cordon(), Drain(), Reboot(), Offline()],
]
PLANS = st.builds(
    lambda actions, priority: plan(*actions, priority=priority), st.sampled_from(CHOICES), st.integers(0, 3)
)


def of_plan(name: str, given_plan: Plan, **given: Any) -> Rescue:
    """A rescue for a fault that is of no family, since it names no GPU."""
    cause = node_fault(79, fault=fault(79, pci=None))
    return replace(rescue(name, plan=given_plan, cause=cause), **given)


def names(one: Rescue) -> set[ActionName]:
    return {action.name for action in one.plan.actions}


@given(PLANS, PLANS, st.integers(0, 2))
def test_taking_over_is_sound(one: Plan, other: Plan, done: int) -> None:
    leader = of_plan("first", one)
    for index in range(min(done, len(one.actions))):
        leader = leader.with_step(index, DONE)
    taken = of_plan("second", other)
    if not takes_over(leader, taken):
        return
    after = escalate(leader, taken, LATER)
    assert escalate(after, taken, LATER) is after
    assert [a.name for a in after.plan.actions] == sorted(names(after), key=ORDER.index)
    assert (names(leader) | names(taken)) - names(after) <= {ActionName.UNCORDON}
    assert (ActionName.UNCORDON in names(after)) is (ActionName.UNCORDON in names(leader) & names(taken))
    assert len(after.steps) == len(after.plan.actions)
    started = [(a, s) for a, s in zip(leader.plan.actions, leader.steps, strict=True) if s.started]
    kept = list(zip(after.plan.actions, after.steps, strict=True))
    assert all(pair in kept for pair in started)
    assert not {ActionName.OFFLINE, ActionName.UNCORDON} <= names(after)


@given(st.lists(PLANS, min_size=2, max_size=4), st.randoms())
def test_what_is_done_does_not_depend_on_who_came_first(plans: list[Plan], random: Any) -> None:
    def together(order: list[Plan]) -> set[ActionName]:
        leader = of_plan("r0", order[0])
        for number, one in enumerate(order[1:], 1):
            leader = escalate(leader, of_plan(f"r{number}", one), LATER)
        return names(leader)

    shuffled = random.sample(plans, len(plans))
    assert together(plans) == together(shuffled)


@pytest.mark.parametrize("limited_first", [False, True])
def test_what_may_not_reboot_again_does_not_by_way_of_another_rescue(limited_first: bool) -> None:
    spent = of_plan("spent", replace(plan(Cordon(), Drain(), Offline()), limit="3 reboots have not cured it"))
    other = of_plan("other", plan())
    after = escalate(*((spent, other) if limited_first else (other, spent)), LATER).plan
    assert [action.name for action in after.actions] == [ActionName.CORDON, ActionName.DRAIN, ActionName.OFFLINE]
    assert after.limit == "3 reboots have not cured it"


def test_all_that_one_had_taken_over_is_taken_over_with_it() -> None:
    """Or the incidents of the third one would never end, and their next fault would be taken for a repeat."""
    other = escalate(second(name="other"), second(name="third"), LATER)
    other = join(other, Member("of-it", node_fault(13, fault=fault(13, pci="0000:5e:00")), 1, NOON, NOON, SKIP), LATER)
    assert escalate(first(), other, LATER).folded == ("other", "third")


def test_a_rescue_never_takes_itself_over() -> None:
    """The other one had taken it over, and it has begun all the same, by the hand of another process."""
    other = escalate(second(name="other"), first(), LATER)
    assert escalate(first(done=1), other, LATER).folded == ("other",)


def in_boot(one: Rescue, boot: str | None, of_line: str | None = None) -> Rescue:
    cause = replace(one.cause, boot_id=boot, fault=replace(one.cause.fault, line=line(boot_id=of_line)))
    return replace(one, cause=cause, members=(replace(one.members[0], fault=cause),))


@pytest.mark.parametrize(
    ("leader", "other", "takes"),
    [
        pytest.param(in_boot(first(), "a"), in_boot(second(), "a"), True, id="of the same boot"),
        pytest.param(in_boot(first(), "a-a"), in_boot(second(), "AA"), True, id="in whatever spelling"),
        pytest.param(in_boot(first(), "a"), in_boot(second(), "b"), False, id="of another boot"),
        pytest.param(in_boot(first(), "a"), in_boot(second(), None), True, id="of a boot that is not known"),
        pytest.param(in_boot(first(), None), in_boot(second(), "b"), True, id="though its own is not known"),
        pytest.param(in_boot(first(), "a"), in_boot(second(), "a", "b"), False, id="of another boot, by its line"),
        pytest.param(in_boot(first(), "b"), in_boot(second(), "a", "b"), True, id="of the same boot, by its line"),
    ],
)
def test_it_takes_over_a_rescue_for_a_fault(leader: Rescue, other: Rescue, takes: bool) -> None:
    """A node that has rebooted before its own reboot is not rebooted again, and the fault of the new boot was lost."""
    assert takes_over(leader, other) is takes
    if takes:
        assert escalate(leader, other, LATER).folded == ("second",)
    else:
        with pytest.raises(ConflictError):
            escalate(leader, other, LATER)


def test_a_limit_stays_where_the_actions_are_the_same() -> None:
    offline = (Cordon(), Drain(), Offline())
    mine = of_plan("mine", plan(*offline))
    limited = escalate(mine, of_plan("spent", replace(plan(*offline), limit="no more")), LATER)
    assert limited.plan == replace(mine.plan, limit="no more")
    assert limited.journal[-1].message == (
        "gpu-1: xid 79 (rescue spent) is taken over; the plan is now cordon, drain (waittime 20min, onTimeout fail), "
        "offline instead of cordon, drain (waittime 20min, onTimeout fail), offline: no more"
    )
    after = escalate(limited, of_plan("third", plan()), LATER)
    assert ActionName.REBOOT not in names(after)
    assert after.journal[-1:] == limited.journal[-1:]
