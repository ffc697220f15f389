"""The drain call by call: how long it asks, whom it names, and how it forces."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.cluster.memory import Call, Trouble
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.port import Done, Fail, Wait
from pipeline.model.plan import Drain, NamespaceMode, NamespaceRule, OnTimeout
from pipeline.model.rescue import FailReason
from tests.fakes.faults import NOON
from tests.fakes.stage import HOUR, MINUTE, NEVER, POD, POLL, Stage
from tests.fakes.world import gpu_node


async def test_the_waittime_of_a_drain_runs_from_its_first_round_not_from_the_start_of_the_step() -> None:
    stage = Stage(Drain(waittime=5 * MINUTE), pods=[POD])
    stage.cluster.add_budget(NEVER)
    assert isinstance(await stage.call(DrainRunner(stage.cluster), HOUR), Wait)
    assert stage.step.memo["since"] == (NOON + HOUR).isoformat()
    assert isinstance(await stage.call(DrainRunner(stage.cluster), 4 * MINUTE), Wait)
    outcome = await stage.call(DrainRunner(stage.cluster), MINUTE)
    assert isinstance(outcome, Fail)
    assert outcome.reason is FailReason.DRAIN_TIMEOUT


@pytest.mark.parametrize("on_timeout", list(OnTimeout))
async def test_every_drain_asks_once_however_short_its_waittime(on_timeout: OnTimeout) -> None:
    stage = Stage(Drain(waittime=timedelta(0), on_timeout=on_timeout), pods=[POD])
    assert await stage.call(DrainRunner(stage.cluster)) == Wait(timedelta(0), stage.step.memo)
    assert (await stage.pods())["train-0"] is True


async def test_a_pod_that_the_server_will_not_let_go_does_not_keep_the_others() -> None:
    pods = [POD, replace(POD, namespace="closing", name="stuck-0")]
    stage = Stage(Drain(waittime=5 * MINUTE), pods=pods)
    stage.cluster.forbidden = frozenset({"closing"})
    assert isinstance(await stage.call(DrainRunner(stage.cluster)), Wait)
    assert await stage.pods() == {"stuck-0": False, "train-0": True}
    stuck = "closing/stuck-0 (forbidden: namespace closing is being terminated)"
    assert stage.step.memo["pods_left"] == f"{stuck}, team/train-0 (asked to go)"
    outcome = await stage.calls(DrainRunner(stage.cluster))
    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.details) == (FailReason.DRAIN_TIMEOUT, {"pods_left": 1})
    assert outcome.message.endswith(f"would not go: {stuck}")


async def test_a_pod_that_may_go_after_all_is_named_without_the_old_reason() -> None:
    stage = Stage(Drain(), pods=[replace(POD, namespace="closing")])
    stage.cluster.forbidden = frozenset({"closing"})
    await stage.call(DrainRunner(stage.cluster))
    stage.cluster.forbidden = frozenset()
    await stage.call(DrainRunner(stage.cluster), POLL)
    assert stage.step.memo == {"since": NOON.isoformat(), "pods_left": "closing/train-0 (asked to go)"}
    assert await stage.pods() == {"train-0": True}


@pytest.mark.parametrize("on_timeout", [OnTimeout.CONTINUE, OnTimeout.FORCE])
async def test_on_timeout_decides_about_a_pod_that_the_server_will_not_let_go(on_timeout: OnTimeout) -> None:
    stage = Stage(Drain(waittime=MINUTE, on_timeout=on_timeout), pods=[POD])
    stage.cluster.forbidden = frozenset({"team"})
    outcome = await stage.calls(DrainRunner(stage.cluster))
    assert type(outcome) is {OnTimeout.CONTINUE: Done, OnTimeout.FORCE: Fail}[on_timeout]
    assert "team/train-0 (forbidden: namespace team is being terminated)" in getattr(outcome, "message", "")


async def test_what_a_drain_remembers_of_many_pods_and_long_answers_stays_small() -> None:
    namespaces = [f"{'closing-' * 7}{n:03}" for n in range(300)]
    stage = Stage(Drain(), pods=[replace(POD, namespace=name, name="a" * 253) for name in namespaces])
    stage.cluster.forbidden = frozenset(namespaces)
    stage.cluster.more = " and so on" * 1000
    await stage.call(DrainRunner(stage.cluster))
    assert stage.step.memo["pods_left"].endswith(" and 290 more")
    assert sum(map(len, stage.step.memo.values())) < 12_000


async def test_a_forced_drain_leaves_each_pod_its_grace_from_the_first_deletion_on() -> None:
    grace = 10 * MINUTE
    stage = Stage(Drain(waittime=5 * MINUTE, on_timeout=OnTimeout.FORCE), pods=[replace(POD, grace_period=grace)])
    stage.cluster.add_budget(NEVER)
    stage.cluster.troubles.never_end.add("team/train-0")
    runner = DrainRunner(stage.cluster)
    await stage.call(runner)
    # Nobody works for three hours; the deletions begin only now, and so does the grace.
    assert isinstance(await stage.call(runner, 3 * HOUR), Wait)
    forced_at = stage.now()
    assert stage.step.memo["forced_at"] == forced_at.isoformat()
    assert await stage.pods() == {"train-0": True}
    while stage.now() < forced_at + grace + 20 * timedelta(seconds=1):
        assert isinstance(await stage.call(runner, POLL), Wait)
        assert "train-0" in await stage.pods()
    await stage.call(runner, POLL)
    assert await stage.pods() == {}
    assert isinstance(await stage.call(runner, POLL), Done)


async def test_forcing_is_bounded_from_the_first_deletion_on() -> None:
    stage = Stage(Drain(waittime=MINUTE, on_timeout=OnTimeout.FORCE), pods=[POD])
    stage.cluster.forbidden = frozenset({"team"})
    runner = DrainRunner(stage.cluster)
    await stage.call(runner)
    await stage.call(runner, 3 * HOUR)
    outcome = await stage.calls(runner)
    assert isinstance(outcome, Fail)
    assert stage.now() == NOON + 3 * HOUR + POD.grace_period + 10 * MINUTE


async def test_a_deletion_that_fails_for_now_does_not_keep_the_others() -> None:
    stage = Stage(Drain(waittime=MINUTE, on_timeout=OnTimeout.FORCE), pods=[POD, replace(POD, name="train-1")])
    stage.cluster.add_budget(NEVER)
    stage.cluster.add_budget(replace(NEVER, min_available=2))
    runner = DrainRunner(stage.cluster)
    await stage.call(runner)
    stage.cluster.troubles.next(Call.DELETE_POD, Trouble.TIMEOUT)
    assert isinstance(await stage.call(runner, MINUTE), Wait)
    assert await stage.pods() == {"train-0": False, "train-1": True}


async def test_a_drain_tells_for_which_budget_a_pod_waits() -> None:
    stage = Stage(Drain(), pods=[POD])
    stage.cluster.add_budget(NEVER)
    await stage.call(DrainRunner(stage.cluster))
    assert "budget never needs 1 healthy pods" in stage.step.memo["pods_left"]


async def test_on_a_dead_node_pods_are_waited_for_until_their_grace_is_over_and_30s_more() -> None:
    pods = [POD, replace(POD, name="train-1", grace_period=MINUTE)]
    stage = Stage(Drain(), replace(gpu_node(), ready=False), pods=pods)
    stage.cluster.troubles.never_end |= {"team/train-0", "team/train-1"}
    outcome = await stage.calls(DrainRunner(stage.cluster))
    assert stage.now() == NOON + MINUTE + 30 * timedelta(seconds=1)
    assert isinstance(outcome, Done)
    assert outcome.details == {"pods_stuck": 2}
    assert "not Ready" in outcome.message
    assert "team/train-1 (terminating" in outcome.message
    assert await stage.pods() == {"train-0": True, "train-1": True}


@pytest.mark.parametrize("on_timeout", list(OnTimeout))
async def test_on_a_ready_node_a_pod_that_hangs_counts_until_the_waittime_is_over(on_timeout: OnTimeout) -> None:
    stage = Stage(Drain(waittime=HOUR, on_timeout=on_timeout), pods=[POD])
    stage.cluster.troubles.never_end.add("team/train-0")
    outcome = await stage.calls(DrainRunner(stage.cluster))
    assert stage.now() >= NOON + HOUR
    told = {OnTimeout.FAIL: Fail, OnTimeout.CONTINUE: Done, OnTimeout.FORCE: Done}
    assert type(outcome) is told[on_timeout]
    assert await stage.pods() == ({} if on_timeout is OnTimeout.FORCE else {"train-0": True})


async def test_a_drain_that_ends_with_pods_left_tells_also_of_those_that_are_stuck() -> None:
    pods = [POD, replace(POD, name="bare-0", owner=None)]
    stage = Stage(Drain(waittime=5 * MINUTE), replace(gpu_node(), ready=False), pods=pods)
    stage.cluster.troubles.never_end.add("team/train-0")
    outcome = await stage.calls(DrainRunner(stage.cluster))
    assert isinstance(outcome, Fail)
    assert outcome.details == {"pods_left": 1, "pods_stuck": 1}


def _waiting(on_timeout: OnTimeout = OnTimeout.FAIL) -> Stage:
    rule = NamespaceRule("te*", NamespaceMode.WAIT_FOR_COMPLETION)
    return Stage(Drain(waittime=HOUR, on_timeout=on_timeout, namespaces=(rule,)), pods=[POD])


async def test_a_pod_that_is_left_to_come_to_its_end_is_not_touched_before() -> None:
    stage = _waiting()
    runner = DrainRunner(stage.cluster)
    for _ in range(10):
        await stage.call(runner, MINUTE)
    assert await stage.pods() == {"train-0": False}
    assert stage.step.memo["pods_left"] == "team/train-0 (left to come to its end by itself: namespaces te*)"
    stage.cluster.finish_pod(POD)
    assert isinstance(await stage.calls(runner), Done)
    assert stage.now() < NOON + 11 * MINUTE


@pytest.mark.parametrize("on_timeout", list(OnTimeout))
async def test_what_has_not_come_to_its_end_is_up_to_on_timeout(on_timeout: OnTimeout) -> None:
    stage = _waiting(on_timeout)
    runner = DrainRunner(stage.cluster)
    outcome = await stage.calls(runner)
    assert stage.now() >= NOON + HOUR
    assert type(outcome) is (Fail if on_timeout is OnTimeout.FAIL else Done)
    assert await stage.pods() == ({} if on_timeout is OnTimeout.FORCE else {"train-0": False})


async def test_pods_are_deleted_with_their_grace_after_the_time_that_budgets_have() -> None:
    rule = NamespaceRule("team", NamespaceMode.DELETE_AFTER, 2 * MINUTE)
    stage = Stage(Drain(namespaces=(rule,)), pods=[POD])
    stage.cluster.add_budget(NEVER)
    runner = DrainRunner(stage.cluster)
    await stage.call(runner)
    while stage.now() < NOON + 2 * MINUTE:
        assert await stage.pods() == {"train-0": False}
        await stage.call(runner, POLL)
    assert await stage.pods() == {"train-0": True}
    assert isinstance(await stage.calls(runner), Done)
    assert stage.now() == NOON + 2 * MINUTE + POD.grace_period


async def test_with_gpu_pods_only_the_others_stay_and_keep_nobody_waiting() -> None:
    stage = Stage(Drain(gpu_pods_only=True), pods=[replace(POD, uses_gpu=True), replace(POD, name="web-0")])
    assert isinstance(await stage.calls(DrainRunner(stage.cluster)), Done)
    assert await stage.pods() == {"web-0": False}
