"""The drain call by call: how long it asks, whom it names, and how it forces."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.cluster.memory import Call, Trouble
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.port import Done, Fail, Wait
from pipeline.model.plan import Drain, OnTimeout
from pipeline.model.rescue import FailReason
from tests.fakes.faults import NOON
from tests.fakes.stage import HOUR, MINUTE, NEVER, POD, POLL, Stage


async def test_the_waittime_of_a_drain_runs_from_its_first_round_not_from_the_start_of_the_step() -> None:
    stage = Stage(Drain(waittime=5 * MINUTE), pods=[POD])
    stage.cluster.add_budget(NEVER)
    assert isinstance(await stage.call(DrainRunner(stage.cluster), HOUR), Wait)
    assert stage.step.memo == {"since": (NOON + HOUR).isoformat(), "pods_left": "team/train-0"}
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
    assert stage.step.memo["pods_left"] == f"{stuck}, team/train-0"
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
    assert stage.step.memo == {"since": NOON.isoformat(), "pods_left": "closing/train-0"}
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
    stage.cluster.troubles.never_returns.add("gpu-1")
    stage.cluster.reboot("gpu-1", "a machine that is off ends no pod")
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
