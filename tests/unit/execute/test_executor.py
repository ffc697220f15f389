"""The execution loop over the simulated cluster: every action, every way to wait, every way to fail."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.cluster.memory import Budget, Call, Trouble
from pipeline.decide.guards import GuardSettings
from pipeline.execute import progress
from pipeline.model.node import Pod
from pipeline.model.ownership import (
    CORDONED_AT,
    CORDONED_BY,
    OFFLINE,
    OFFLINE_REASON,
    STANDBY_FOR,
    WARM_STANDBY,
)
from pipeline.model.plan import Action, Cordon, Drain, EnableWarmStandby, Offline, OnTimeout, Reboot, Uncordon
from pipeline.model.rescue import CancelReason, EventAction, FailReason, HoldReason, Status
from tests.fakes.faults import NOON, node_fault, plan, rescue
from tests.fakes.world import World, gpu_node

POD = Pod("team", "train-0", "gpu-1", owner="Job", labels={"job": "train"})
BLOCKED = Budget("never", "team", selector={"job": "train"}, min_available=1)


async def _run(world: World, *actions: Action) -> World:
    await world.store.create(rescue(plan=plan(*actions)))
    await world.run()
    return world


async def _pods(world: World) -> list[str]:
    return [pod.name for pod in await world.cluster.pods_on("gpu-1")]


async def test_the_full_plan_ends_with_the_node_back_in_service() -> None:
    world = await _run(World(pods=[POD]))
    node = world.cluster.nodes()["gpu-1"]
    assert world.rescue().status is Status.SUCCEEDED
    assert len(world.cluster.reboots) == 1
    assert (node.unschedulable, node.ready, node.gpus_allocatable) == (False, True, 8)
    assert CORDONED_BY not in node.annotations
    assert CORDONED_AT not in node.annotations
    assert POD.name not in await _pods(world)
    assert world.actions == [
        "fault-detected",
        "rescue-planned",
        *["step-started", "step-ended"] * 2,
        "step-started",
        "step-intended",
        "step-ended",
        *["step-started", "step-ended"],
        "rescue-succeeded",
    ]


async def test_a_cordon_is_signed_and_stays_when_the_plan_ends_with_it() -> None:
    world = await _run(World(), Cordon())
    node = world.cluster.nodes()["gpu-1"]
    assert node.unschedulable
    assert node.annotations[CORDONED_BY] == "gpu-1-xid-79-abc"
    assert node.annotations[CORDONED_AT] == NOON.isoformat()


async def test_a_cordon_of_another_hand_is_neither_signed_nor_lifted() -> None:
    world = World()
    world.cluster.cordon_by_hand("gpu-1")
    await _run(world)
    node = world.cluster.nodes()["gpu-1"]
    assert world.rescue().status is Status.SUCCEEDED
    assert node.unschedulable
    assert CORDONED_BY not in node.annotations
    assert world.rescue().journal[-2].message == "gpu-1 stays cordoned: somebody else cordoned it"


async def test_a_cordon_of_an_earlier_rescue_is_not_lifted_by_a_later_one() -> None:
    world = await _run(World(), Cordon())
    later = rescue("later", plan=plan(Cordon(), Drain(), Reboot(), Uncordon()), cause=node_fault(time=NOON))
    await world.store.create(later)
    await world.run()
    node = world.cluster.nodes()["gpu-1"]
    assert world.rescue("later").status is Status.SUCCEEDED
    assert (node.unschedulable, node.annotations[CORDONED_BY]) == (True, "gpu-1-xid-79-abc")


WHOLE = "gpu-1 has rebooted and is Ready with 8 GPUs; somebody has uncordoned it meanwhile"
READY = "gpu-1 is schedulable already: somebody has uncordoned it meanwhile"


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        pytest.param((Uncordon(),), [WHOLE, READY], id="as the plan does"),
        pytest.param((), [WHOLE], id="though the plan leaves it cordoned"),
    ],
)
async def test_a_person_who_uncordons_during_the_reboot_is_not_undone_and_people_are_told(
    actions: tuple[Action, ...], told: list[str]
) -> None:
    world = World()
    await world.store.create(rescue(plan=plan(Cordon(), Drain(), Reboot(), *actions)))
    await world.run(until=NOON + timedelta(minutes=2))
    assert len(world.cluster.reboots) == 1
    world.cluster.uncordon_by_hand("gpu-1")
    await world.run()
    assert (world.rescue().status, world.cluster.nodes()["gpu-1"].unschedulable) == (Status.SUCCEEDED, False)
    assert (CORDONED_BY in world.cluster.nodes()["gpu-1"].annotations) is (actions == ())
    *steps, end = [one.document["message"] for one in world.sink.records if "uncordoned" in one.document["message"]]
    assert steps == told
    assert end.endswith(f" done in 0:04:00; {told[-1]}")


def test_how_a_node_is_left_is_told_as_it_was_found_last() -> None:
    one = rescue(plan=plan(Reboot(), Uncordon()))
    one = progress.done(one, 0, NOON, WHOLE, {"uncordoned": True})
    one = progress.done(one, 1, NOON, "gpu-1 stays cordoned: somebody else cordoned it", {"left_cordoned": True})
    assert one.journal[-1].message == (
        "gpu-1: reboot, unCordon done in 0:00:00; gpu-1 stays cordoned: somebody else cordoned it"
    )


@pytest.mark.parametrize(
    ("on_timeout", "status", "stays", "reboots"),
    [
        (OnTimeout.FAIL, Status.FAILED, True, 0),
        (OnTimeout.CONTINUE, Status.SUCCEEDED, True, 1),
        (OnTimeout.FORCE, Status.SUCCEEDED, False, 1),
    ],
)
async def test_a_drain_that_a_budget_blocks_ends_as_told(
    on_timeout: OnTimeout, status: Status, stays: bool, reboots: int
) -> None:
    world = World(pods=[POD])
    world.cluster.add_budget(BLOCKED)
    drain = Drain(waittime=timedelta(minutes=5), on_timeout=on_timeout)
    await _run(world, Cordon(), drain, Reboot(), Uncordon())
    assert world.rescue().status is status
    assert (POD.name in await _pods(world)) is stays
    assert len(world.cluster.reboots) == reboots


async def test_a_failed_drain_names_the_pods_and_leaves_the_node_cordoned() -> None:
    world = World(pods=[POD, replace(POD, name="bare", owner=None, labels={})])
    world.cluster.add_budget(BLOCKED)
    await _run(world, Cordon(), Drain(waittime=timedelta(minutes=5)), Reboot(), Uncordon())
    ended = world.rescue()
    assert (ended.status, ended.reason) == (Status.FAILED, FailReason.DRAIN_TIMEOUT)
    assert "these pods would not go: team/train-0 (cannot evict" in ended.journal[-1].message
    assert "team/bare (no controller would bring it back; force: true evicts it)" in ended.journal[-1].message
    assert ended.ended == NOON + timedelta(minutes=5)
    assert world.cluster.nodes()["gpu-1"].unschedulable
    assert world.actions[-2:] == ["step-failed", "rescue-failed"]


async def test_a_drain_waits_for_the_grace_period_and_goes_on_when_the_pod_is_gone() -> None:
    world = await _run(World(pods=[replace(POD, grace_period=timedelta(minutes=3))]), Cordon(), Drain())
    ended = world.rescue()
    assert ended.status is Status.SUCCEEDED
    assert NOON + timedelta(minutes=3) <= (ended.ended or NOON) <= NOON + timedelta(minutes=3, seconds=10)


async def test_an_eviction_that_is_refused_for_now_does_not_keep_the_others() -> None:
    world = World(pods=[POD, replace(POD, name="free", labels={})])
    world.cluster.add_budget(BLOCKED)
    await world.store.create(rescue(plan=plan(Cordon(), Drain())))
    await world.run(until=NOON + timedelta(minutes=2))
    assert await _pods(world) == ["train-0"]
    assert world.rescue().steps[1].memo["pods_left"].startswith("team/train-0 (cannot evict team/train-0 now")


async def test_the_waittime_of_a_reboot_runs_from_the_end_of_the_drain() -> None:
    world = await _run(World(pods=[POD]), Cordon(), Drain(), Reboot(waittime=timedelta(minutes=20)), Uncordon())
    drained, (reboot,) = world.rescue().steps[1].ended, world.cluster.reboots
    assert drained is not None
    assert reboot.time == drained + timedelta(minutes=20)


async def test_the_intent_to_reboot_is_in_the_store_before_the_machine_is_asked() -> None:
    world = World()
    await world.store.create(rescue())
    before = world.cluster.nodes()["gpu-1"].boot_id
    await world.run(until=NOON + timedelta(minutes=1))
    memo = world.rescue().steps[2].memo
    assert (memo["boot_id"], memo["gpus"]) == (before, "8")
    assert [entry.action for entry in world.rescue().journal].count(EventAction.STEP_INTENDED) == 1


@pytest.mark.parametrize(
    ("name", "trouble", "told"),
    [
        ("never comes back", "never", "gpu-1 was told to reboot and has not; it stays cordoned until a person looks"),
        (
            "comes back without a GPU",
            "gpus",
            "gpu-1 has rebooted but is Ready with 7 of 8 GPUs allocatable; it stays cordoned until a person looks",
        ),
    ],
)
async def test_a_reboot_without_its_proof_fails_and_the_node_stays_cordoned(name: str, trouble: str, told: str) -> None:
    world = World()
    if trouble == "never":
        world.cluster.troubles.never_returns.add("gpu-1")
    else:
        world.cluster.troubles.gpus_after_reboot["gpu-1"] = 7
    await _run(world)
    ended = world.rescue()
    assert (ended.status, ended.reason) == (Status.FAILED, FailReason.REBOOT_TIMEOUT)
    assert ended.journal[-2].message == told
    assert world.cluster.nodes()["gpu-1"].unschedulable


async def test_a_gpu_that_was_gone_before_the_reboot_must_be_there_after_it() -> None:
    world = World([gpu_node(gpus=7, gpus_allocatable=7, labels={"nvidia.com/gpu.count": "8"})])
    world.cluster.troubles.gpus_after_reboot["gpu-1"] = 7
    await _run(world)
    assert world.rescue().reason == FailReason.REBOOT_TIMEOUT


async def test_a_machine_that_has_rebooted_since_the_fault_is_not_rebooted_again() -> None:
    world = World()
    cause = node_fault(boot_id=world.cluster.nodes()["gpu-1"].boot_id)
    drain = Drain(waittime=timedelta(minutes=30), on_timeout=OnTimeout.CONTINUE)
    world.cluster.add_pod(POD)
    world.cluster.add_budget(BLOCKED)
    await world.store.create(rescue(cause=cause, plan=plan(Cordon(), drain, Reboot(), Uncordon())))
    await world.run(until=NOON + timedelta(minutes=1))
    world.cluster.reboot("gpu-1", "a person at the console")
    await world.run()
    assert world.rescue().status is Status.SUCCEEDED
    assert [reboot.request for reboot in world.cluster.reboots] == ["a person at the console"]


@pytest.mark.parametrize("trouble", [Trouble.CONFLICT, Trouble.TIMEOUT, Trouble.LOST_ANSWER, Trouble.THROTTLED])
@pytest.mark.parametrize("call", [Call.PATCH_NODE, Call.EVICT, Call.REBOOT, Call.GET_NODE, Call.PODS_ON, Call.ASKED])
async def test_trouble_that_passes_delays_and_changes_nothing(call: Call, trouble: Trouble) -> None:
    world = World(pods=[POD])
    world.cluster.troubles.next(call, trouble, times=3)
    await _run(world)
    assert world.rescue().status is Status.SUCCEEDED
    assert len(world.cluster.reboots) == 1
    assert not world.cluster.nodes()["gpu-1"].unschedulable
    assert 1 <= len(world.cluster.troubles.met) <= 3


async def test_a_reboot_whose_answer_is_lost_on_a_road_without_memory_is_not_asked_for_again() -> None:
    world = World()
    world.cluster.troubles.reboots_forgotten = True
    world.cluster.troubles.next(Call.REBOOT, Trouble.LOST_ANSWER)
    await _run(world)
    assert (world.rescue().status, len(world.cluster.reboots)) == (Status.SUCCEEDED, 1)


async def test_a_refusal_fails_the_rescue_with_its_words() -> None:
    world = World()
    world.cluster.troubles.next(Call.PATCH_NODE, Trouble.REFUSED)
    await _run(world)
    ended = world.rescue()
    assert (ended.status, ended.reason) == (Status.FAILED, FailReason.REFUSED)
    assert "forbidden" in ended.journal[-1].message


async def test_a_throttled_call_waits_as_long_as_the_server_says() -> None:
    world = World()
    world.cluster.troubles.next(Call.GET_NODE, Trouble.THROTTLED)
    await _run(world, Cordon())
    assert world.rescue().ended == NOON + timedelta(seconds=10)


async def test_trouble_that_does_not_pass_fails_the_step_after_so_many_tries() -> None:
    world = World()
    world.cluster.troubles.next(Call.GET_NODE, Trouble.TIMEOUT, times=1000)
    await _run(world, Cordon())
    ended = world.rescue()
    assert (ended.status, ended.reason) == (Status.FAILED, FailReason.ATTEMPTS_EXHAUSTED)
    assert len(world.cluster.troubles.met) == 100
    assert timedelta(hours=1) < (ended.ended or NOON) - NOON < timedelta(hours=2)


async def test_a_node_that_is_deleted_meanwhile_fails_the_rescue() -> None:
    world = World()
    await world.store.create(rescue(plan=plan(Cordon(), Drain(), Reboot(waittime=timedelta(minutes=5)))))
    await world.run(until=NOON + timedelta(minutes=1))
    world.cluster.delete_node("gpu-1")
    await world.run()
    assert (world.rescue().status, world.rescue().reason) == (Status.FAILED, FailReason.NODE_GONE)


async def test_offline_marks_the_node_by_taint_label_and_reason() -> None:
    world = await _run(World(), Cordon(), Offline())
    node = world.cluster.nodes()["gpu-1"]
    assert node.unschedulable
    assert node.labels[OFFLINE] == "true"
    assert [(taint.key, taint.effect) for taint in node.taints] == [(OFFLINE, "NoSchedule")]
    assert node.annotations[OFFLINE_REASON].startswith("gpu-1-xid-79-abc: xid 79 at 2026-11-20T12:00")


async def test_a_standby_takes_the_place_of_the_node() -> None:
    standby = gpu_node("spare-1", labels={WARM_STANDBY: "true"}, unschedulable=True)
    world = await _run(World([gpu_node(), standby]), Cordon(), EnableWarmStandby())
    found = world.cluster.nodes()["spare-1"]
    assert (found.unschedulable, found.annotations[STANDBY_FOR]) == (False, "gpu-1-xid-79-abc")


async def test_two_rescues_never_take_the_same_standby() -> None:
    standby = gpu_node("spare-1", labels={WARM_STANDBY: "true"}, unschedulable=True)
    world = World([gpu_node(), gpu_node("gpu-2"), standby])
    for name in ("gpu-1", "gpu-2"):
        await world.store.create(rescue(f"rescue-{name}", name, plan=plan(Cordon(), EnableWarmStandby())))
    await world.run()
    ends = [world.rescue(f"rescue-gpu-{n}").journal[-2].details["standby"] for n in (1, 2)]
    assert sorted(map(str, ends)) == ["none", "spare-1"]


async def test_without_a_standby_the_rescue_goes_on_and_says_so() -> None:
    world = await _run(World(), Cordon(), EnableWarmStandby())
    assert world.rescue().status is Status.SUCCEEDED
    assert "no warm standby is left to stand in for gpu-1" in [entry.message for entry in world.rescue().journal]


async def test_more_nodes_than_allowed_wait_and_go_on_when_others_are_back() -> None:
    world = World([gpu_node(f"gpu-{n}") for n in range(1, 4)], guards=GuardSettings(max_nodes=1))
    for n in range(1, 4):
        await world.store.create(rescue(f"rescue-{n}", f"gpu-{n}", plan=plan()))
    out_of_service = []
    while (due := await world.executor.tick()) is not None:
        out_of_service.append(sum(node.unschedulable for node in world.cluster.nodes().values()))
        world.clock.move_to(due)
    assert max(out_of_service) == 1
    assert {world.rescue(f"rescue-{n}").status for n in range(1, 4)} == {Status.SUCCEEDED}
    held = [record for record in world.sink.records if record.document["event"]["action"] == "rescue-held"]
    assert {record.document["event"]["reason"] for record in held} == {HoldReason.MAX_NODES}
    assert len(held) == 2


async def test_a_second_rescue_of_the_same_node_folds_into_the_first_and_escalates_it() -> None:
    world = World(pods=[POD])
    await world.store.create(rescue("first", plan=plan(Cordon(), Drain())))
    await world.store.create(rescue("second", plan=plan(policy="stronger", priority=20)))
    await world.run()
    first, second = world.rescue("first"), world.rescue("second")
    assert (second.status, second.reason) == (Status.CANCELLED, CancelReason.FOLDED)
    assert (first.status, first.folded) == (Status.SUCCEEDED, ("second",))
    assert len(world.cluster.reboots) == 1
    assert "rescue-escalated" in world.actions


async def test_a_rescue_for_a_node_that_nobody_knows_waits_and_is_given_up_when_its_fault_is_stale() -> None:
    world = World()
    await world.store.create(rescue("lost", "gpu-9"))
    await world.run()
    lost = world.rescue("lost")
    assert (lost.status, lost.reason) == (Status.CANCELLED, CancelReason.STALE)
    assert NOON + timedelta(minutes=10) <= (lost.ended or NOON) <= NOON + timedelta(minutes=11)
    assert world.actions == ["fault-detected", "rescue-planned", "rescue-held", "rescue-cancelled"]


async def test_a_sink_that_is_away_stops_no_rescue_and_gets_every_record_later() -> None:
    world = World()
    world.sink.away = True
    await world.store.create(rescue())
    await world.run()
    assert world.rescue().status is Status.SUCCEEDED
    assert world.sink.records == []
    world.sink.away = False
    world.clock.move_to(world.clock.now() + timedelta(seconds=2))
    await world.executor.tick()
    assert len(world.sink.records) == len(world.rescue().journal) == world.rescue().recorded
