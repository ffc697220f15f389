"""Two rescues never share a standby, in whatever order their calls come, and whoever is killed in between."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster, Trouble
from pipeline.decide.standby import StandbySettings, is_free
from pipeline.errors import TemporaryError
from pipeline.execute.actions.port import Done, Intend, Wait
from pipeline.execute.actions.standby import StandbyRunner
from pipeline.model.node import Node, NodePatch, Pod
from pipeline.model.ownership import CORDONED_BY, STANDBY_FOR, WARM_STANDBY
from pipeline.model.plan import Cordon, Drain, EnableWarmStandby, Reboot, Uncordon
from pipeline.model.rescue import Rescue, Status, StepState
from pipeline.rebooters.simulated import SimulatedRebooter
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.killing import KilledError, Killer, KillingCluster, KillingRebooter, KillingSink, KillingStore
from tests.fakes.stage import NEVER, POD
from tests.fakes.standbys import spare
from tests.fakes.world import World, gpu_node

ACTION = EnableWarmStandby()
PLAN = (Cordon(), ACTION, Drain(), Reboot(), Uncordon())
PASSING = (Trouble.CONFLICT, Trouble.TIMEOUT, Trouble.LOST_ANSWER)


class Slow(SimulatedCluster):
    """A cluster whose calls take some turns before they reach it, so that those of others come in between."""

    turns = random.Random(0)

    async def get_node(self, name: str) -> Node:
        await self._pass()
        return await super().get_node(name)

    async def patch_node(self, name: str, patch: NodePatch, resource_version: str) -> Node:
        await self._pass()
        return await super().patch_node(name, patch, resource_version)

    async def _pass(self) -> None:
        for _ in range(self.turns.randrange(4)):
            await asyncio.sleep(0)


def _at_standby(name: str, node: str) -> Rescue:
    planned = rescue(name, node, plan=plan(Cordon(), ACTION))
    return replace(planned, steps=(StepState(Status.SUCCEEDED, NOON, NOON), StepState(Status.RUNNING, NOON)))


async def _to_the_end(runner: StandbyRunner, name: str, node: str, rng: random.Random) -> Done:
    """Run one step; a kill loses what a call has answered, and the next process knows only what was saved."""
    current = _at_standby(name, node)
    for _ in range(1000):
        try:
            outcome = await runner.run(ACTION, current, current.steps[1], NOON)
        except TemporaryError:
            continue
        if rng.random() < 0.3:
            continue
        if isinstance(outcome, Done):
            return outcome
        assert isinstance(outcome, Intend | Wait)
        assert outcome.memo is not None
        current = current.with_step(1, replace(current.steps[1], memo=outcome.memo))
    raise AssertionError("not through after 1000 calls")


@pytest.mark.parametrize("seed", range(150))
async def test_two_rescues_never_share_a_standby(seed: int) -> None:
    rng = random.Random(seed)
    reserve, origins = rng.randrange(5), rng.randrange(2, 6)
    nodes = [gpu_node(f"gpu-{n}", unschedulable=True) for n in range(origins)]
    cluster = Slow(ManualClock(NOON), [*nodes, *(spare(f"spare-{n}") for n in range(reserve))])
    cluster.turns = rng
    cluster.troubles.sometimes(rng.choice((0.0, 0.2)), seed, PASSING)
    cluster.nodes()
    cluster.troubles.cache_lags = rng.random() < 0.5
    runners = [StandbyRunner(cluster, tuple, WARM_STANDBY, tuple, rng.choice) for _ in range(2)]
    ends = await asyncio.gather(
        *(_to_the_end(runners[n % 2], f"r{n}", f"gpu-{n}", rng) for n in range(origins)),
    )
    cluster.troubles.cache_lags = False
    marks = {
        name: node.annotations[STANDBY_FOR] for name, node in cluster.nodes().items() if STANDBY_FOR in node.annotations
    }
    told = {f"r{n}": str(end.details["standby"]) for n, end in enumerate(ends)}
    assert {standby: name for name, standby in told.items() if standby != "none"} == marks
    assert len(marks) == min(reserve, origins)
    assert [name for name, node in cluster.nodes().items() if is_free(node, WARM_STANDBY)] == [
        f"spare-{n}" for n in range(reserve) if f"spare-{n}" not in marks
    ]


def _world(killer: Killer, replenish: bool = False, pods: Sequence[Pod] = ()) -> World:
    clock = ManualClock(NOON)
    cluster = KillingCluster(clock, [gpu_node(), spare("spare-1"), spare("spare-2")], pods)
    cluster.add_budget(NEVER)
    cluster.killer = killer
    rebooter = KillingRebooter(SimulatedRebooter(cluster), killer)
    parts: dict[str, Any] = {"store": KillingStore(killer), "sink": KillingSink(killer), "rebooter": rebooter}
    return World(cluster=cluster, clock=clock, standby=StandbySettings(replenish=replenish), **parts)


async def _run(world: World, until: datetime | None = None) -> None:
    """Run the rescue; who is killed is followed by another process."""
    for _ in range(2):
        try:
            await world.store.create(rescue(plan=plan(*PLAN)))
            await world.run(until)
            break
        except KilledError:
            pass
        except BaseExceptionGroup as group:
            assert group.subgroup(KilledError) is not None
        world.executor = world.new_executor()


@pytest.mark.parametrize("replenish", [False, True], ids=["without replenish", "with replenish"])
async def test_a_kill_at_every_moment_loses_no_standby_and_no_node(replenish: bool) -> None:
    at, killed = 1, True
    while killed:
        killer = Killer(at)
        world = _world(killer, replenish)
        await _run(world)
        nodes = world.cluster.nodes()
        assert world.rescue().status is Status.SUCCEEDED, killer.killed
        free = [name for name, node in nodes.items() if is_free(node, WARM_STANDBY)]
        assert free == (["gpu-1", "spare-2"] if replenish else ["spare-2"]), killer.killed
        assert nodes["gpu-1"].unschedulable is replenish, killer.killed
        assert not nodes["spare-1"].unschedulable, killer.killed
        marks = Counter(mark for node in nodes.values() for mark in node.annotations)
        assert (marks[CORDONED_BY], marks[STANDBY_FOR]) == (0, 0 if replenish else 1), killer.killed
        killed, at = killer.killed is not None, at + 1
    assert at > 40


async def test_a_kill_at_every_moment_of_a_cancelled_rescue_leaves_the_reserve_as_it_was() -> None:
    at, killed = 1, True
    while killed:
        killer = Killer(at)
        world = _world(killer, pods=[POD])
        await _run(world, until=NOON + timedelta(seconds=1))
        world.cluster.uncordon_by_hand("gpu-1")
        await _run(world)
        nodes = world.cluster.nodes()
        assert world.rescue().status is Status.CANCELLED, killer.killed
        free = [name for name, node in nodes.items() if is_free(node, WARM_STANDBY)]
        assert free == ["spare-1", "spare-2"], killer.killed
        assert all(dict(node.annotations) == {} for node in nodes.values()), killer.killed
        assert not nodes["gpu-1"].unschedulable, killer.killed
        killed, at = killer.killed is not None, at + 1
    assert at > 20
