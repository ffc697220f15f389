"""What a backtest reads off a journal: what the node went through, and how long it was out."""

from datetime import datetime, timedelta

import pytest

from pipeline.backtest.journal import told
from pipeline.execute import progress
from pipeline.model.plan import ActionName, Cordon, Drain, Offline, Reboot, Uncordon
from pipeline.model.rescue import CancelReason, FailReason, HoldReason, Rescue
from tests.fakes.faults import NOON, plan, rescue

CORDON, DRAIN, REBOOT, UNCORDON = range(4)


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def cordoned(first: Rescue, details: dict[str, str | int | bool] | None = None) -> Rescue:
    begun = progress.started(first, CORDON, at(1))
    return progress.done(begun, CORDON, at(2), "done", details or {})


def phases(of: Rescue) -> list[tuple[str, int, int | None]]:
    """State, first and last minute."""
    minutes = timedelta(minutes=1)
    return [
        (phase.state, (phase.begin - NOON) // minutes, None if phase.end is None else (phase.end - NOON) // minutes)
        for phase in told(of).phases
    ]


def test_a_hold_lasts_until_the_first_step() -> None:
    held = progress.held(rescue(), at(0), HoldReason.MAX_NODES, "full")
    assert phases(cordoned(held)) == [("held", 0, 1), ("cordoned", 1, None)]
    assert told(held).phases[0].reason == "max-nodes"


def test_a_hold_for_another_reason_is_another_hold() -> None:
    held = progress.held(rescue(), at(0), HoldReason.MAX_NODES, "full")
    held = progress.held(held, at(3), HoldReason.NODE_BUSY, "busy")
    given_up = progress.cancelled(held, at(9), CancelReason.STALE, "too old")
    assert phases(given_up) == [("held", 0, 3), ("held", 3, 9)]
    assert told(given_up).out_from is None


def test_a_rescue_that_fails_leaves_its_node_cordoned() -> None:
    step = progress.started(cordoned(rescue()), DRAIN, at(3))
    failed = progress.failed(step, DRAIN, at(9), FailReason.DRAIN_TIMEOUT, "they would not go")
    assert phases(failed) == [("cordoned", 1, 3), ("draining", 3, 9), ("cordoned", 9, None)]
    assert (told(failed).out_from, told(failed).out_to) == (at(1), None)
    assert [(step.action, step.outcome) for step in told(failed).steps] == [
        ("cordon", "Succeeded"),
        ("drain", "Failed"),
    ]


def test_a_rescue_that_returns_its_node_ends_what_it_began() -> None:
    begun = cordoned(rescue(plan=plan(Cordon(), Uncordon())))
    done = progress.done(progress.started(begun, 1, at(5)), 1, at(6), "back", {})
    assert phases(done) == [("cordoned", 1, 6)]
    assert told(done).out_to == at(6)


@pytest.mark.parametrize("details", [{"cordoned_before": True}], ids=["a node that somebody else had cordoned"])
def test_a_cordon_of_another_hand_counts_only_while_we_work(details: dict[str, str | int | bool]) -> None:
    done = cordoned(rescue(plan=plan(Cordon())), details)
    assert phases(done) == [("cordoned", 1, 2)]
    assert told(done).out_to == at(2)


def test_a_person_s_uncordon_ends_it() -> None:
    begun = progress.started(cordoned(rescue()), DRAIN, at(3))
    left = progress.abandoned(begun, DRAIN, at(4), CancelReason.UNCORDONED, "taken back")
    assert phases(left) == [("cordoned", 1, 3), ("draining", 3, 4)]
    assert told(left).out_to == at(4)
    assert told(left).steps[-1].outcome == "Cancelled"


def test_offline_is_for_good() -> None:
    begun = progress.started(cordoned(rescue(plan=plan(Cordon(), Offline()))), 1, at(3))
    done = progress.done(begun, 1, at(3), "out", {})
    assert phases(done) == [("cordoned", 1, 3), ("offline", 3, None)]
    assert told(done).out_to is None


def test_a_hold_between_two_steps_does_not_bring_the_node_back() -> None:
    held = progress.held(cordoned(rescue()), at(3), HoldReason.NODE_BUSY, "busy")
    given_up = progress.cancelled(held, at(5), CancelReason.STALE, "too old")
    assert phases(given_up) == [("cordoned", 1, 3), ("held", 3, 5), ("cordoned", 5, None)]
    assert told(given_up).out_to is None


def test_a_reboot_under_way_at_the_end_is_told_as_such() -> None:
    begun = progress.started(cordoned(rescue(plan=plan(Cordon(), Reboot()))), 1, at(3))
    assert phases(begun) == [("cordoned", 1, 3), ("rebooting", 3, None)]
    assert (told(begun).steps[-1].outcome, told(begun).ended) == ("Running", None)


def test_the_plan_is_told_in_the_words_of_a_policy() -> None:
    assert told(rescue(plan=plan(Cordon(), Drain()))).plan == (ActionName.CORDON, ActionName.DRAIN)
