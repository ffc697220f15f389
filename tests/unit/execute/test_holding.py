"""The guards at work: what holds a rescue, also one that has begun, what lets it go on, and what gives it up."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.decide.guards import FabricSettings, GuardSettings
from pipeline.model.guard import Guard
from pipeline.model.node import Node, NodePatch, Pod
from pipeline.model.ownership import IGNORE
from pipeline.model.plan import Cordon, Drain, Plan, Reboot, Uncordon
from pipeline.model.rescue import CancelReason, HoldReason, Status
from tests.fakes.faults import NOON, node_fault, plan, rescue
from tests.fakes.world import World, gpu_node

POD = Pod("team", "train-0", "gpu-1", owner="Job", labels={"job": "train"})
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def _held(world: World) -> list[Any]:
    return [record.document for record in world.sink.records if record.document["event"]["action"] == "rescue-held"]


async def test_a_rescue_waits_in_mid_plan_for_a_window_and_goes_on_by_itself() -> None:
    guards = GuardSettings.model_validate({"windows": {"allow": [{"from": "22:00", "to": "06:00"}]}})
    world = World(pods=[POD], guards=guards)
    await world.store.create(rescue())
    await world.run(until=NOON + 9 * HOUR)
    waiting = world.rescue()
    assert (waiting.status, waiting.reason, waiting.begun) == (Status.HELD, HoldReason.MAINTENANCE_WINDOW, True)
    assert world.cluster.nodes()["gpu-1"].unschedulable
    assert POD.name in [pod.name for pod in await world.cluster.pods_on("gpu-1")]
    await world.run()
    ended, (reboot,) = world.rescue(), world.cluster.reboots
    assert (ended.status, ended.reason) == (Status.SUCCEEDED, None)
    assert NOON + 10 * HOUR <= reboot.time <= NOON + 10 * HOUR + 2 * MINUTE
    assert not world.cluster.nodes()["gpu-1"].unschedulable
    (held,) = _held(world)
    assert held["message"].endswith("until 2026-11-20T22:00+00:00 (windows)")


async def test_a_rescue_that_goes_on_is_running_again() -> None:
    guards = GuardSettings.model_validate({"windows": {"deny": [{"from": "12:00", "to": "13:00"}]}})
    world = World(pods=[replace(POD, grace_period=5 * MINUTE)], guards=guards)
    await world.store.create(rescue())
    await world.run(until=NOON + HOUR + MINUTE)
    assert (world.rescue().status, world.rescue().reason) == (Status.RUNNING, None)


async def test_a_machine_that_a_person_has_rebooted_meanwhile_is_not_rebooted_when_the_window_opens() -> None:
    guards = GuardSettings.model_validate({"windows": {"allow": [{"from": "22:00", "to": "06:00"}]}})
    world = World(guards=guards)
    cause = node_fault(boot_id=world.cluster.nodes()["gpu-1"].boot_id)
    await world.store.create(rescue(cause=cause))
    await world.run(until=NOON + HOUR)
    world.cluster.reboot("gpu-1", "a person at the console")
    await world.run()
    assert world.rescue().status is Status.SUCCEEDED
    assert [reboot.request for reboot in world.cluster.reboots] == ["a person at the console"]
    assert not world.cluster.nodes()["gpu-1"].unschedulable


async def test_a_second_reboot_waits_until_the_node_has_cooled_down() -> None:
    world = World()
    await world.store.create(rescue("first"))
    await world.run()
    again = world.clock.now()
    await world.store.create(rescue("second", now=again))
    await world.run(until=again + MINUTE)
    waiting = world.rescue("second")
    assert (waiting.status, waiting.reason) == (Status.HELD, HoldReason.COOL_DOWN)
    assert world.cluster.nodes()["gpu-1"].unschedulable
    await world.run()
    (_, second) = world.cluster.reboots
    back = world.rescue("first").rebooted_at
    assert back is not None
    assert back + 10 * MINUTE <= second.time <= back + 11 * MINUTE
    assert world.rescue("second").status is Status.SUCCEEDED


def _opt_out(world: World, name: str = "gpu-1") -> None:
    world.cluster.edit_node(name, NodePatch(annotations={IGNORE: "true"}))


async def test_a_node_that_is_opted_out_while_its_rescue_waits_is_left_as_it_is() -> None:
    world = World(pods=[POD])
    await world.store.create(rescue(plan=plan(Cordon(), Drain(), Reboot(waittime=HOUR), Uncordon())))
    await world.run(until=NOON + 10 * MINUTE)
    before = world.cluster.nodes()["gpu-1"]
    _opt_out(world)
    await world.run()
    ended, node = world.rescue(), world.cluster.nodes()["gpu-1"]
    assert (ended.status, ended.reason) == (Status.CANCELLED, CancelReason.OPTED_OUT)
    assert [step.status for step in ended.steps] == [Status.SUCCEEDED, Status.SUCCEEDED, *[Status.PENDING] * 2]
    assert node.annotations == {**before.annotations, IGNORE: "true"}
    assert (node.unschedulable, len(world.cluster.reboots)) == (True, 0)
    assert ended.journal[-1].message.endswith("kubectl uncordon gpu-1 makes it schedulable")


async def test_what_was_left_on_an_opted_out_node_counts_as_out_of_service_until_a_person_brings_it_back() -> None:
    guards = GuardSettings(max_nodes=1)
    world = World([gpu_node(), gpu_node("gpu-2")], guards=guards)
    await world.store.create(rescue(plan=plan(Cordon(), Drain(), Reboot(waittime=HOUR), Uncordon())))
    await world.run(until=NOON + 10 * MINUTE)
    _opt_out(world)
    await world.store.create(rescue("other", "gpu-2", NOON + 10 * MINUTE))
    await world.run(until=NOON + 30 * MINUTE)
    assert (world.rescue("other").status, world.rescue("other").reason) == (Status.HELD, HoldReason.MAX_NODES)
    world.cluster.uncordon_by_hand("gpu-1")
    await world.run()
    assert world.rescue("other").status is Status.SUCCEEDED


async def test_a_reboot_that_was_asked_for_is_watched_to_its_end_though_the_node_is_opted_out() -> None:
    world = World()
    await world.store.create(rescue())
    await world.run(until=NOON + 2 * MINUTE)
    assert len(world.cluster.reboots) == 1
    _opt_out(world)
    await world.run()
    assert world.rescue().status is Status.SUCCEEDED
    assert not world.cluster.nodes()["gpu-1"].unschedulable


FABRIC = {"nvidia.com/gpu.clique": "a.1"}
FULL = plan()


def _domain(count: int, **guards: Any) -> World:
    nodes = [gpu_node(f"gpu-{number}", labels=FABRIC) for number in range(1, count + 1)]
    return World(nodes, guards=GuardSettings(max_percent=100, **guards))


async def _with_faults(world: World, *numbers: int, at: datetime = NOON, planned: Plan = FULL) -> None:
    for number in numbers:
        cause = node_fault(74, f"gpu-{number}", at, labels=FABRIC)
        await world.store.create(rescue(f"r-{number}", f"gpu-{number}", at, cause=cause, plan=planned))


def _cordoned(world: World) -> list[str]:
    return sorted(name for name, node in world.cluster.nodes().items() if node.unschedulable)


async def test_a_fault_of_the_fabric_cordons_its_nodes_reboots_none_and_is_given_up() -> None:
    world = _domain(18, max_nodes=18)
    await _with_faults(world, *range(1, 19))
    await world.run(until=NOON + MINUTE)
    assert len(_cordoned(world)) == 18
    assert {(one.status, one.reason) for one in world.store.all()} == {(Status.HELD, HoldReason.FABRIC_INCIDENT)}
    await world.run()
    assert {(one.status, one.reason) for one in world.store.all()} == {(Status.CANCELLED, CancelReason.STALE)}
    assert len(_cordoned(world)) == 18
    assert len(world.cluster.reboots) == 0
    assert {entry.details["first"] for one in world.store.all() for entry in one.journal if entry.details} == {"r-1"}


async def test_the_breaker_leaves_nodes_of_a_fabric_incident_in_service() -> None:
    world = _domain(6, max_nodes=4)
    await _with_faults(world, *range(1, 7))
    await world.run(until=NOON + MINUTE)
    assert _cordoned(world) == ["gpu-1", "gpu-2", "gpu-3", "gpu-4"]
    assert [world.rescue(f"r-{number}").reason for number in (5, 6)] == [HoldReason.MAX_NODES] * 2


async def test_those_that_had_drained_before_the_fourth_node_showed_the_fault_wait_before_their_reboot() -> None:
    world = _domain(4, max_nodes=4)
    plans = plan(Cordon(), Drain(), Reboot(waittime=5 * MINUTE), Uncordon())
    for number in range(1, 5):
        at = NOON + (number - 1) * 30 * timedelta(seconds=1)
        await world.run(until=at)
        await _with_faults(world, number, at=at, planned=plans)
    await world.run(until=NOON + HOUR)
    assert {(one.status, one.reason) for one in world.store.all()} == {(Status.HELD, HoldReason.FABRIC_INCIDENT)}
    assert [one.current for one in world.store.all()] == [2, 2, 2, 1]
    await world.run()
    assert {one.status for one in world.store.all()} == {Status.CANCELLED}
    assert len(_cordoned(world)) == 4
    assert len(world.cluster.reboots) == 0


async def test_cordons_that_are_over_long_ago_show_a_fault_of_the_fabric_as_well() -> None:
    """A plan that only cordons has ended in a moment: its record says so, and the others of its incident see it."""
    world = _domain(5, max_nodes=5, fabric=FabricSettings(window=timedelta(hours=1)))
    for number in range(1, 6):
        at = NOON + (number - 1) * 15 * MINUTE
        await world.run(until=at)
        await _with_faults(world, number, at=at, planned=plan(Cordon()) if number < 5 else FULL)
    await world.run(until=NOON + 70 * MINUTE)
    assert [one.status for one in world.store.all()] == [Status.SUCCEEDED] * 4 + [Status.HELD]
    assert world.rescue("r-5").reason == HoldReason.FABRIC_INCIDENT
    assert len(_cordoned(world)) == 5
    told = {
        record.document["gpu_rescue"]["rescue"]["name"]: state["told"]
        for record in world.sink.records
        if record.document["event"]["action"] == "step-started"
        for state in record.document["gpu_rescue"].get("decision", {}).get("guards", ())
        if state["guard"] == Guard.FABRIC
    }
    assert [name for name, said in told.items() if said.endswith("only the cordon goes on (fabric)")] == ["r-4", "r-5"]


async def test_a_person_who_uncordons_a_node_that_is_held_cancels_its_rescue_and_makes_room_for_another() -> None:
    """The fabric is mended: neither may the breaker count the node, nor a later fault fold into what never goes on."""
    world = _domain(5, max_nodes=4)
    await _with_faults(world, 1, 2, 3, 4)
    await world.run(until=NOON + MINUTE)
    await world.store.create(rescue("other", "gpu-5", NOON + MINUTE))
    await world.run(until=NOON + 5 * MINUTE)
    assert world.rescue("other").reason == HoldReason.MAX_NODES
    world.cluster.uncordon_by_hand("gpu-1")
    await world.run(until=NOON + 20 * MINUTE)
    given_up, node = world.rescue("r-1"), world.cluster.nodes()["gpu-1"]
    assert (given_up.status, given_up.reason) == (Status.CANCELLED, CancelReason.UNCORDONED)
    assert given_up.journal[-1].message == "somebody has uncordoned gpu-1 meanwhile: it is left to them"
    assert (node.unschedulable, dict(node.annotations)) == (False, {})
    assert world.rescue("other").status is Status.SUCCEEDED
    assert [world.rescue(f"r-{number}").status for number in (2, 3, 4)] == [Status.HELD] * 3


async def test_a_person_who_uncordons_a_node_that_waits_for_its_reboot_cancels_the_rescue_at_once() -> None:
    world = World()
    await world.store.create(rescue(plan=plan(Cordon(), Drain(), Reboot(waittime=20 * MINUTE), Uncordon())))
    await world.run(until=NOON + MINUTE)
    assert (world.rescue().status, world.rescue().due) == (Status.RUNNING, NOON + 20 * MINUTE)
    world.cluster.uncordon_by_hand("gpu-1")
    await world.executor.tick()
    given_up, node = world.rescue(), world.cluster.nodes()["gpu-1"]
    assert (given_up.status, given_up.reason) == (Status.CANCELLED, CancelReason.UNCORDONED)
    assert (node.unschedulable, dict(node.annotations)) == (False, {})
    assert world.actions[-1] == "rescue-cancelled"


async def test_a_cache_that_is_behind_takes_no_node_from_a_rescue_that_waits_and_is_not_asked_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    assert not world.cluster.nodes()["gpu-1"].unschedulable
    world.cluster.troubles.cache_lags = True
    await world.store.create(rescue(plan=plan(Cordon(), Drain(), Reboot(waittime=20 * MINUTE), Uncordon())))
    await world.run(until=NOON + MINUTE)
    asked = 0

    async def counted(name: str) -> Node:
        nonlocal asked
        asked += 1
        return await get_node(name)

    get_node = world.cluster.get_node
    monkeypatch.setattr(world.cluster, "get_node", counted)
    for _ in range(10):
        assert await world.executor.tick() == NOON + 20 * MINUTE
    assert asked == 1
    assert not world.cluster.nodes()["gpu-1"].unschedulable
    assert world.rescue().status is Status.RUNNING
    assert (await get_node("gpu-1")).unschedulable


async def test_a_cache_that_is_behind_takes_no_node_from_a_held_rescue() -> None:
    world = _domain(4, max_nodes=4)
    await _with_faults(world, 1, 2, 3, 4)
    assert _cordoned(world) == []
    world.cluster.troubles.cache_lags = True
    await world.run(until=NOON + 2 * MINUTE)
    assert _cordoned(world) == []
    assert {(one.status, one.reason) for one in world.store.all()} == {(Status.HELD, HoldReason.FABRIC_INCIDENT)}
    world.cluster.troubles.cache_lags = False
    await world.run(until=NOON + 3 * MINUTE)
    assert len(_cordoned(world)) == 4
    assert {one.status for one in world.store.all()} == {Status.HELD}


async def test_a_half_open_breaker_lets_one_at_a_time_through() -> None:
    guards = GuardSettings(max_percent=100, max_nodes=2)
    world = World([gpu_node(f"gpu-{number}") for number in range(1, 6)], guards=guards)
    for number in (1, 2):
        await world.store.create(rescue(f"old-{number}", f"gpu-{number}", plan=plan(Cordon())))
    await world.run()
    later = NOON + 2 * HOUR
    world.clock.move_to(later)
    for number in (3, 4, 5):
        await world.store.create(rescue(f"r-{number}", f"gpu-{number}", later))
    most = 0
    while (due := await world.executor.tick()) is not None:
        most = max(most, sum(one.begun for one in world.store.open()))
        world.clock.move_to(due)
    assert most == 1
    assert {world.rescue(f"r-{number}").status for number in (3, 4, 5)} == {Status.SUCCEEDED}
    assert {record["event"]["reason"] for record in _held(world)} == {HoldReason.HALF_OPEN}


async def test_a_group_that_is_full_keeps_no_other_group_waiting() -> None:
    guards = GuardSettings.model_validate({"max_percent": 100, "groups": [{"label": "rack", "max_nodes": 1}]})
    nodes = [gpu_node(f"gpu-{n}", labels={"rack": f"r{n // 3}"}) for n in range(1, 6)]
    world = World(nodes, guards=guards)
    for number in range(1, 6):
        await world.store.create(rescue(f"r-{number}", f"gpu-{number}", plan=plan(Cordon())))
    await world.run(until=NOON + MINUTE)
    assert [node.unschedulable for node in world.cluster.nodes().values()] == [True, False, True, False, False]


async def test_a_cordoned_node_does_not_queue_behind_others() -> None:
    """Its rescue adds no node to those that are out, so that it need not wait until one of them is back."""
    world = World([gpu_node(), gpu_node("gpu-2")], guards=GuardSettings(max_nodes=1))
    await world.store.create(rescue("one", "gpu-1", plan=plan(Cordon())))
    await world.store.create(rescue("two", "gpu-2", plan=plan(Cordon())))
    await world.run(until=NOON + MINUTE)
    again = rescue("again", "gpu-1", NOON + MINUTE, plan=plan(Cordon()))
    await world.store.create(replace(again, status=Status.HELD, reason=HoldReason.MAX_NODES))
    await world.run(until=NOON + 3 * MINUTE)
    assert (world.rescue("two").status, world.rescue("again").status) == (Status.HELD, Status.SUCCEEDED)


async def test_the_records_tell_what_every_guard_answered() -> None:
    world = World([gpu_node(), gpu_node("gpu-2")], guards=GuardSettings(max_nodes=1))
    await world.store.create(rescue("one", "gpu-1"))
    await world.store.create(rescue("two", "gpu-2", plan=plan(Cordon())))
    await world.run(until=NOON + MINUTE)
    _opt_out(world, "gpu-2")
    await world.run()
    told = {
        (record.document["gpu_rescue"]["rescue"]["name"], record.document["event"]["action"]): decision
        for record in world.sink.records
        if "guards" in (decision := record.document["gpu_rescue"].get("decision", {}))
    }
    assert {key: (decision["outcome"], decision.get("reason")) for key, decision in told.items()} == {
        ("one", "step-started"): ("go", None),
        ("two", "rescue-held"): ("hold", "max-nodes"),
        ("two", "rescue-cancelled"): ("cancel", "opted-out"),
    }
    assert {len(decision["guards"]) for decision in told.values()} == {14}
    started = [record for record in world.sink.records if record.document["event"]["action"] == "step-started"]
    assert [("decision" in record.document["gpu_rescue"]) for record in started] == [True, False, False, False]
