"""The reboot call by call: who asks and when, what is proof of it, and how long that may take."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.errors import TemporaryError
from pipeline.execute.actions.port import Done, Fail, Intend, Wait
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.model.plan import Reboot
from pipeline.model.rescue import FailReason, Status
from pipeline.rebooters.port import Asked
from tests.fakes.faults import NOON, node_fault
from tests.fakes.stage import HOUR, MINUTE, NAME, POLL, Road, Stage
from tests.fakes.world import gpu_node

REQUEST = f"{NAME}-reboot"


async def test_the_intent_is_saved_before_the_machine_is_asked() -> None:
    stage = Stage(Reboot())
    road = Road(stage.cluster)
    before = stage.node.boot_id
    assert isinstance(await stage.call(RebootRunner(stage.cluster, road)), Intend)
    token = stage.step.memo["by"]
    assert stage.step.memo == {"boot_id": before, "gpus": "8", "intended_at": NOON.isoformat(), "by": token}
    assert (len(token), road.requests) == (32, [])


async def test_of_two_processes_that_both_intend_only_the_one_whose_intent_was_saved_asks() -> None:
    stage = Stage(Reboot())
    road = Road(stage.cluster, Asked.UNKNOWN)
    loser, winner = RebootRunner(stage.cluster, road), RebootRunner(stage.cluster, road)
    assert isinstance(await loser.run(Reboot(), stage.rescue, stage.step, NOON), Intend)
    assert isinstance(await stage.call(winner), Intend)
    assert isinstance(await stage.call(loser), Wait)
    assert road.requests == []
    assert isinstance(await stage.call(winner), Wait)
    assert isinstance(await stage.call(loser), Wait)
    assert road.requests == [REQUEST]


async def test_a_new_process_on_a_road_without_memory_does_not_ask() -> None:
    stage = Stage(Reboot())
    road = Road(stage.cluster, Asked.UNKNOWN)
    await stage.call(RebootRunner(stage.cluster, road))
    outcome = await stage.calls(RebootRunner(stage.cluster, road))
    assert isinstance(outcome, Fail)
    assert (outcome.reason, road.requests) == (FailReason.REBOOT_UNCERTAIN, [])
    assert stage.now() == NOON + 30 * MINUTE


async def test_a_lost_answer_on_a_road_without_memory_is_not_asked_for_again_and_has_its_whole_time() -> None:
    stage = Stage(Reboot())
    road = Road(stage.cluster, Asked.UNKNOWN)
    runner = RebootRunner(stage.cluster, road)
    road.errors = [TemporaryError("the rebooter is away"), TimeoutError("no answer")]
    await stage.call(runner)
    with pytest.raises(TemporaryError):
        await stage.call(runner)
    tried_at = NOON + HOUR
    assert isinstance(await stage.call(runner, HOUR), Wait)
    outcome = await stage.calls(runner)
    assert isinstance(outcome, Fail)
    assert (outcome.reason, road.requests) == (FailReason.REBOOT_UNCERTAIN, [])
    assert stage.now() == tried_at + 30 * MINUTE


async def test_a_reboot_that_was_certainly_not_asked_for_is_asked_for_however_late() -> None:
    stage = Stage(Reboot())
    road = Road(stage.cluster)
    await stage.call(RebootRunner(stage.cluster, road))
    runner = RebootRunner(stage.cluster, road)
    assert isinstance(await stage.call(runner, 5 * HOUR), Wait)
    assert (road.requests, stage.step.memo["asked_at"]) == ([REQUEST], stage.now().isoformat())
    assert isinstance(await stage.calls(runner), Done)


async def test_the_process_that_intended_asks_however_late_on_a_road_without_memory() -> None:
    stage = Stage(Reboot())
    road = Road(stage.cluster, Asked.UNKNOWN)
    runner = RebootRunner(stage.cluster, road)
    road.errors = [TemporaryError("the rebooter is away")]
    await stage.call(runner)
    with pytest.raises(TemporaryError):
        await stage.call(runner)
    assert isinstance(await stage.call(runner, 5 * HOUR), Wait)
    assert road.requests == [REQUEST]


async def test_a_machine_that_stays_away_has_its_time_from_the_asking_on() -> None:
    stage = Stage(Reboot())
    stage.cluster.troubles.never_returns.add("gpu-1")
    runner = RebootRunner(stage.cluster, Road(stage.cluster))
    await stage.call(runner)
    await stage.call(runner, HOUR)
    outcome = await stage.calls(runner)
    assert isinstance(outcome, Fail)
    assert outcome.reason is FailReason.REBOOT_TIMEOUT
    assert stage.now() == NOON + HOUR + 30 * MINUTE


async def test_an_accepted_reboot_that_nobody_noted_is_waited_for_from_then_on() -> None:
    stage = Stage(Reboot())
    stage.cluster.troubles.never_returns.add("gpu-1")
    road = Road(stage.cluster, Asked.YES)
    await stage.call(RebootRunner(stage.cluster, road))
    assert isinstance(await stage.call(RebootRunner(stage.cluster, road), HOUR), Wait)
    assert (stage.step.memo["asked_at"], road.requests) == ((NOON + HOUR).isoformat(), [])


async def test_the_first_sight_of_the_new_boot_is_saved_before_it_is_judged() -> None:
    stage = Stage(Reboot())
    runner = RebootRunner(stage.cluster, Road(stage.cluster))
    await stage.call(runner)
    await stage.call(runner)
    outcome = await stage.call(runner, HOUR)
    assert outcome == Wait(timedelta(0), {**stage.step.memo, "rebooted_at": (NOON + HOUR).isoformat()})
    outcome = await stage.call(runner, MINUTE)
    assert isinstance(outcome, Done)
    assert outcome.details["boot_id_before"] == stage.step.memo["boot_id"]
    assert outcome.details["boot_id_after"] == stage.node.boot_id
    ended = stage.rescue.with_step(1, replace(stage.step, status=Status.SUCCEEDED))
    assert ended.rebooted_at == NOON + HOUR


async def test_a_reboot_by_another_hand_is_proof_and_has_its_time_from_first_sight_on() -> None:
    stage = Stage(Reboot())
    road = Road(stage.cluster)
    runner = RebootRunner(stage.cluster, road)
    road.errors = [TemporaryError("the rebooter is away")]
    await stage.call(runner)
    with pytest.raises(TemporaryError):
        await stage.call(runner)
    stage.clock.move_to(NOON + HOUR)
    stage.cluster.reboot("gpu-1", "a person at the console")
    assert isinstance(await stage.call(runner, 3 * MINUTE), Wait)
    assert isinstance(await stage.call(runner), Wait)
    assert isinstance(await stage.calls(runner), Done)
    assert road.requests == []


async def test_a_machine_that_has_rebooted_since_the_fault_is_not_asked() -> None:
    stage = Stage(Reboot(), cause=node_fault(boot_id="0123456789abcdef"))
    road = Road(stage.cluster)
    intent = await stage.call(RebootRunner(stage.cluster, road))
    assert isinstance(intent, Intend)
    assert "rebooted since" in intent.message
    assert isinstance(await stage.calls(RebootRunner(stage.cluster, road)), Done)
    assert road.requests == []


@pytest.mark.parametrize("boot_id", [None, "0123456789abcdef"])
async def test_a_node_without_a_boot_id_is_not_rebooted_yet(boot_id: str | None) -> None:
    stage = Stage(Reboot(), cause=node_fault(boot_id=boot_id))
    stage.cluster.bootless = True
    with pytest.raises(TemporaryError, match="gpu-1 has no boot id yet"):
        await stage.call(RebootRunner(stage.cluster, Road(stage.cluster)))
    assert stage.step.memo == {}


async def test_a_boot_id_that_is_missing_after_the_intent_is_no_reason_to_ask() -> None:
    stage = Stage(Reboot())
    road = Road(stage.cluster)
    runner = RebootRunner(stage.cluster, road)
    await stage.call(runner)
    stage.cluster.bootless = True
    with pytest.raises(TemporaryError, match="gpu-1 has no boot id yet"):
        await stage.call(runner)
    assert road.requests == []
    stage.cluster.bootless = False
    assert isinstance(await stage.calls(runner), Done)


async def test_a_boot_id_that_is_missing_after_the_asking_is_waited_for_and_is_no_proof() -> None:
    stage = Stage(Reboot())
    runner = RebootRunner(stage.cluster, Road(stage.cluster))
    await stage.call(runner)
    await stage.call(runner)
    stage.cluster.bootless = True
    assert await stage.call(runner, 20 * MINUTE) == Wait(POLL)
    assert "rebooted_at" not in stage.step.memo
    stage.cluster.bootless = False
    await stage.call(runner)
    stage.cluster.bootless = True
    assert await stage.call(runner) == Wait(POLL)


@pytest.mark.parametrize(
    ("name", "gpus", "label", "wanted"),
    [
        ("the label counts a GPU that is missing", 7, "8", "8"),
        ("the capacity counts what the label does not", 8, "4", "8"),
        ("MIG slices replace the resource, so the label counts nothing", 0, "8", "0"),
        ("a garbled label counts nothing", 8, "eight", "8"),
    ],
)
async def test_the_gpus_that_must_come_back(name: str, gpus: int, label: str, wanted: str) -> None:
    node = gpu_node(gpus=gpus, gpus_allocatable=gpus, labels={"nvidia.com/gpu.count": label})
    stage = Stage(Reboot(), node)
    await stage.call(RebootRunner(stage.cluster, Road(stage.cluster)))
    assert stage.step.memo["gpus"] == wanted


async def test_a_machine_that_comes_back_without_a_gpu_is_no_proof() -> None:
    stage = Stage(Reboot())
    stage.cluster.troubles.gpus_after_reboot["gpu-1"] = 7
    outcome = await stage.calls(RebootRunner(stage.cluster, Road(stage.cluster)))
    assert isinstance(outcome, Fail)
    assert outcome.reason is FailReason.REBOOT_TIMEOUT
    assert outcome.details == {"gpus": 7, "gpus_expected": 8}
    assert stage.now() == NOON + 30 * MINUTE
