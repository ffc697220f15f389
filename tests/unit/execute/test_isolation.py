"""What goes wrong with one rescue, one sink or one store leaves the others alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.cluster.memory import Call, SimulatedCluster, Trouble
from pipeline.decide.guards import GuardSettings
from pipeline.errors import BadInputError, Complaint, ConflictError, TemporaryError
from pipeline.execute.actions.port import Done, Outcome
from pipeline.execute.executor import Executor
from pipeline.execute.recorder import Recorder
from pipeline.execute.settings import ExecuteSettings
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.node import Node, Pod
from pipeline.model.plan import ActionName, Cordon, Drain, Uncordon
from pipeline.model.rescue import HoldReason, Rescue, Status, StepState
from pipeline.rebooters.simulated import SimulatedRebooter
from sinks.base import Record
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.sinks import WatchedSink
from tests.fakes.world import World, gpu_node, runners

AT_ONCE = ExecuteSettings(settle=timedelta(0))


def _two(**given: Any) -> World:
    return World([gpu_node("gpu-1"), gpu_node("gpu-2")], **given)


async def _plan_two(world: World) -> None:
    await world.store.create(rescue("one", "gpu-1", plan=plan(Cordon())))
    await world.store.create(rescue("two", "gpu-2", plan=plan(Cordon())))


class PickySink(WatchedSink):
    """Breaks, in a way that no sink should, at the records of one node."""

    async def write(self, records: Sequence[Record]) -> None:
        if any(record.document["host"]["name"] == "gpu-1" for record in records):
            raise ValueError("cannot be encoded")
        await super().write(records)


async def test_a_record_that_breaks_the_sink_stops_no_other_rescue() -> None:
    world = _two(sink=PickySink())
    await _plan_two(world)
    with capture_logs() as logs:
        await world.executor.tick()
    assert world.rescue("two").status is Status.SUCCEEDED
    assert [entry["event"] for entry in logs] == ["rescue.defect"]


class WobblyStore(MemoryStore):
    """Refuses the first saves of one rescue."""

    def __init__(self, error: Exception, times: int) -> None:
        super().__init__()
        self.error, self.times = error, times
        self.saves = 0

    async def save(self, rescue: Rescue) -> Rescue:
        self.saves += 1
        if rescue.name == "one" and self.times:
            self.times -= 1
            raise self.error
        return await super().save(rescue)


async def test_a_store_that_only_a_person_can_mend_ends_the_run() -> None:
    world = _two(store=WobblyStore(BadInputError(Complaint("rescues.db", "is damaged")), 1))
    await _plan_two(world)
    with pytest.RaisesGroup(pytest.RaisesExc(BadInputError, match="rescues.db: is damaged")):
        await world.executor.tick()


@pytest.mark.parametrize("error", [TemporaryError("leader changed", timedelta(seconds=10)), ConflictError("changed")])
async def test_a_store_that_is_away_delays_one_rescue_and_no_other(error: Exception) -> None:
    world = _two(store=WobblyStore(error, 3))
    await _plan_two(world)
    await world.executor.tick()
    assert world.rescue("two").status is Status.SUCCEEDED
    await world.run()
    assert world.rescue("one").status is Status.SUCCEEDED


async def test_a_store_that_names_a_delay_is_not_asked_before() -> None:
    store = WobblyStore(TemporaryError("leader changed", timedelta(seconds=10)), 1)
    world = _two(store=store)
    await store.create(rescue("one", "gpu-1", plan=plan(Cordon())))
    assert await world.executor.tick() == NOON + timedelta(seconds=10)
    asked = store.saves
    world.clock.move_to(NOON + timedelta(seconds=9))
    await world.executor.tick()
    assert store.saves == asked


class Stuck:
    """An action whose call never comes back for one node."""

    def __init__(self) -> None:
        self.calls = 0

    async def run(self, action: Cordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        self.calls += 1
        if rescue.node == "gpu-1" and self.calls < 3:
            await asyncio.Event().wait()
        return Done("cordoned")


async def test_a_call_without_an_answer_counts_as_a_temporary_error() -> None:
    world = _two()
    stuck = Stuck()
    world.executor = Executor(
        world.store,
        world.cluster,
        {ActionName.CORDON: stuck},
        Recorder(world.sink, world.store),
        world.guards,
        world.clock,
        ExecuteSettings(settle=timedelta(0), step_timeout=timedelta(milliseconds=20)),
    )
    await _plan_two(world)
    await world.executor.tick()
    assert (world.rescue("two").status, world.rescue("one").steps[0].attempts) == (Status.SUCCEEDED, 1)
    await world.run()
    assert world.rescue("one").status is Status.SUCCEEDED


class Answering:
    """An action whose call on gpu-1 takes until it is answered."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()
        self.calls = 0

    async def run(self, action: Cordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        if rescue.node == "gpu-1":
            self.calls += 1
            await self.answered.wait()
        return Done("cordoned")


def _over(world: World, action: Any) -> Executor:
    recorder = Recorder(world.sink, world.store)
    actions = {ActionName.CORDON: action}
    return Executor(world.store, world.cluster, actions, recorder, world.guards, world.clock, AT_ONCE)


async def test_a_call_that_hangs_keeps_no_other_rescue_waiting() -> None:
    world, slow, moment = _two(), Answering(), timedelta(milliseconds=20)
    executor = _over(world, slow)
    await world.store.create(rescue("one", "gpu-1", plan=plan(Cordon())))
    assert await executor.tick(moment) == NOON + moment
    await world.store.create(rescue("two", "gpu-2", plan=plan(Cordon())))
    await executor.tick(moment)
    # The one that hangs might be the first of many: for some seconds its cordon goes before what is told of others.
    async with asyncio.timeout(20):
        while world.rescue("two").status is not Status.SUCCEEDED:
            await executor.tick(moment)
            await asyncio.sleep(0.01)
    assert (world.rescue("one").steps[0].started, slow.calls) == (NOON, 1)
    slow.answered.set()
    await executor.settle()
    assert world.rescue("one").status is Status.SUCCEEDED


async def test_a_tick_that_may_take_its_time_waits_for_every_call() -> None:
    world, slow = _two(), Answering()
    executor = _over(world, slow)
    await _plan_two(world)
    asyncio.get_running_loop().call_later(0.05, slow.answered.set)
    assert await executor.tick() is None
    assert [one.status for one in world.store.all()] == [Status.SUCCEEDED] * 2


async def test_a_call_goes_on_when_the_tick_is_cancelled() -> None:
    """A process that is told to end lets its steps come to their end, so that no effect is left half asked for."""
    world, slow = _two(), Answering()
    executor = _over(world, slow)
    await _plan_two(world)
    ticking = asyncio.create_task(executor.tick())
    await asyncio.wait({ticking}, timeout=0.02)
    ticking.cancel()
    await asyncio.wait({ticking})
    slow.answered.set()
    await executor.settle()
    assert world.rescue("one").status is Status.SUCCEEDED


async def test_a_defect_of_an_action_is_told_and_tried_again_later() -> None:
    class Broken(Stuck):
        async def run(self, action: Cordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
            self.calls += 1
            if self.calls == 1:
                raise KeyError("a defect")
            return Done("cordoned")

    world = _two()
    world.executor = _over(world, Broken())
    await _plan_two(world)
    with capture_logs() as logs:
        await world.run()
    assert [entry["event"] for entry in logs] == ["action.defect", "step.retry"]
    assert {found.status for found in world.store.all()} == {Status.SUCCEEDED}


async def test_uncordon_is_never_given_up() -> None:
    world = World()
    await world.store.create(replace(rescue(plan=plan(Uncordon())), due=NOON))
    world.cluster.troubles.next(Call.GET_NODE, Trouble.TIMEOUT, times=500)
    await world.run()
    assert world.rescue().status is Status.SUCCEEDED
    assert len(world.cluster.troubles.met) == 500


async def test_a_cache_that_is_not_ready_cancels_nothing() -> None:
    world = World()
    world.cluster.troubles.cache_synced = False
    await world.store.create(rescue())
    await world.run(until=NOON + timedelta(hours=1))
    assert world.rescue().status is Status.PENDING
    world.cluster.troubles.cache_synced = True
    await world.run(until=NOON + timedelta(hours=1, minutes=30))
    assert world.rescue().status is Status.SUCCEEDED


async def test_a_hold_that_goes_on_is_saved_once() -> None:
    world = _two(guards=GuardSettings(max_nodes=0), store=WobblyStore(ConflictError(""), 0))
    await world.store.create(rescue("one", "gpu-1"))
    await world.run(until=NOON + timedelta(minutes=30))
    assert (world.rescue("one").status, world.rescue("one").reason) == (Status.HELD, HoldReason.MAX_NODES)
    assert isinstance(world.store, WobblyStore)
    # The hold, and how far it was recorded.
    assert world.store.saves == 2


async def test_cordons_that_the_cache_does_not_show_yet_count_all_the_same() -> None:
    nodes = [gpu_node(f"gpu-{n}") for n in range(10)]
    world = World(nodes, guards=GuardSettings(max_nodes=1))
    assert len(world.cluster.nodes()) == 10
    world.cluster.troubles.cache_lags = True
    for n in range(10):
        await world.store.create(rescue(f"rescue-{n}", f"gpu-{n}", plan=plan(Cordon())))
    await world.executor.tick()
    assert sum([(await world.cluster.get_node(node.name)).unschedulable for node in nodes]) == 1


@pytest.mark.parametrize("forgetful", [False, True])
async def test_two_executors_at_once_reboot_once(forgetful: bool) -> None:
    world = World()
    world.cluster.troubles.reboots_forgotten = forgetful
    rebooter = CountingRebooter(world.cluster)
    both = []
    for _ in range(2):
        recorder = Recorder(world.sink, world.store)
        actions = runners(world.cluster, rebooter)
        both.append(Executor(world.store, world.cluster, actions, recorder, world.guards, world.clock))
    await world.store.create(rescue())
    for _ in range(200):
        due = await asyncio.gather(*(executor.tick() for executor in both))
        if due == [None, None]:
            break
        world.clock.move_to(min(moment for moment in due if moment is not None))
    assert world.rescue().status is Status.SUCCEEDED
    assert len(world.cluster.reboots) == 1
    # A road that remembers may be asked twice for the same; one that does not must not be.
    assert rebooter.asks == 1 or not forgetful


class CountingRebooter(SimulatedRebooter):
    """Counts how often it was told to reboot, and lets others run meanwhile."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        super().__init__(cluster)
        self.asks = 0

    async def reboot(self, node: Node, request: str) -> None:
        self.asks += 1
        await asyncio.sleep(0)
        await super().reboot(node, request)


async def test_a_drain_that_was_never_begun_is_not_over() -> None:
    """An outage eats no waittime: what was due during it is done after it."""
    world = World(pods=[Pod("team", "train-0", "gpu-1", owner="Job")])
    await world.store.create(rescue(plan=plan(Cordon(), Drain(waittime=timedelta(minutes=5)))))
    await world.executor.tick()
    first = world.rescue()
    await world.store.save(first.with_step(1, replace(first.steps[1], memo={})))
    world.clock.move_to(NOON + timedelta(hours=1))
    world.executor = world.new_executor()
    await world.run()
    assert world.rescue().status is Status.SUCCEEDED
