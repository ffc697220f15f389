"""Rule 5: a crash at any instant repeats no reboot and forgets no uncordon.

The process is killed at every moment of a whole rescue, on a road that forgets what it was asked for, so that nothing
but what was saved tells of the reboot. Broken by a store and by runners that write in another order than they must.
tests/unit/execute/test_crashes.py does the same with every other action in play.
"""

from dataclasses import replace
from datetime import datetime

import pytest

from pipeline.clock import ManualClock
from pipeline.execute.actions.cordon import CordonRunner
from pipeline.execute.actions.marks import signature
from pipeline.execute.actions.port import Done, Intend, Outcome
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.model.node import NodePatch
from pipeline.model.plan import Cordon, Reboot, Uncordon
from pipeline.model.rescue import FailReason, Rescue, Status, StepState
from pipeline.rebooters.simulated import SimulatedRebooter
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.killing import KilledError, Killer, KillingCluster, KillingRebooter, KillingSink, KillingStore
from tests.fakes.world import World, gpu_node

_MOST_MOMENTS = 200


class HastyStore(KillingStore):
    """Says that a rescue is saved, and writes it two saves later: the last two are lost in a crash."""

    def __init__(self, killer: Killer) -> None:
        super().__init__(killer)
        self._earlier: list[Rescue] = []

    async def save(self, rescue: Rescue) -> Rescue:
        if (stored := self.get(rescue.name)) is not None:
            self._earlier = [*self._earlier, stored][-2:]
        return await super().save(rescue)

    def crash(self) -> None:
        """Lose what was not written yet."""
        for written in self._earlier[:1]:
            # Under a revision of its own: a cache shows nothing that is older than what it has shown.
            self._put(replace(written, revision=written.revision + len(self._earlier)))


class HastyReboot(RebootRunner):
    """Makes its intent and asks for the reboot in one breath, so that both are saved together."""

    async def run(self, reboot: Reboot, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        outcome = await super().run(reboot, rescue, step, now)
        if isinstance(outcome, Intend):
            return await super().run(reboot, rescue, replace(step, memo=outcome.memo), now)
        return outcome


class HastyCordon(CordonRunner):
    """Cordons first and signs afterwards, in two writes."""

    async def run(self, action: Cordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        node = await self._cluster.get_node(rescue.node)
        if node.unschedulable:
            return await super().run(action, rescue, step, now)
        node = await self._cluster.patch_node(node.name, NodePatch(unschedulable=True), node.resource_version)
        marks = NodePatch(annotations=signature(rescue.name, now))
        await self._cluster.patch_node(node.name, marks, node.resource_version)
        return Done(f"{node.name} is cordoned")


def _world(killer: Killer, store: type[KillingStore]) -> World:
    clock = ManualClock(NOON)
    cluster = KillingCluster(clock, [gpu_node()])
    cluster.killer = killer
    cluster.troubles.reboots_forgotten = True
    rebooter = KillingRebooter(SimulatedRebooter(cluster), killer)
    sink = KillingSink(killer)
    return World(cluster=cluster, store=store(killer), sink=sink, rebooter=rebooter, clock=clock)


async def _killed_at(killer: Killer, store: type[KillingStore]) -> World:
    """A rescue by two processes: where the first is killed, the second goes on with what was saved."""
    world = _world(killer, store)
    for _ in range(2):
        try:
            await world.store.create(rescue(plan=plan(Cordon(), Reboot(), Uncordon())))
            await world.run()
            break
        except KilledError:
            pass
        except BaseExceptionGroup as group:
            assert group.subgroup(KilledError) is not None
        if isinstance(world.store, HastyStore):
            world.store.crash()
        world.executor = world.new_executor()
    return world


async def _harms(store: type[KillingStore] = KillingStore) -> set[str]:
    """What goes wrong, whenever the process is killed."""
    harms, at, killed = set(), 0, True
    while killed:
        at += 1
        assert at < _MOST_MOMENTS
        killer = Killer(at)
        world = await _killed_at(killer, store)
        killed = killer.killed is not None
        assert isinstance(world.rebooter, KillingRebooter)
        harms |= _harm(world, world.rebooter.asks.total())
    return harms


def _harm(world: World, asked: int) -> set[str]:
    ended = world.rescue()
    harm = {"rebooted twice"} if asked > 1 else set()
    if ended.status is Status.SUCCEEDED:
        return harm | ({"left cordoned"} if world.cluster.nodes()["gpu-1"].unschedulable else set())
    # Whether it was asked for is not known: that is told, and the node left to a person.
    left_to_a_person = ended.reason == FailReason.REBOOT_UNCERTAIN and world.cluster.nodes()["gpu-1"].unschedulable
    return harm if left_to_a_person else harm | {"ended otherwise"}


async def test_whenever_it_is_killed_it_reboots_once_at_the_most_and_uncordons_what_it_cordoned() -> None:
    assert await _harms() == set()


async def test_a_store_that_loses_what_it_said_was_saved_reboots_twice() -> None:
    assert "rebooted twice" in await _harms(HastyStore)


@pytest.mark.parametrize(
    ("runner", "hasty", "harm"),
    [
        pytest.param("RebootRunner", HastyReboot, "rebooted twice", id="an intent that is not saved before the asking"),
        pytest.param("CordonRunner", HastyCordon, "left cordoned", id="a cordon that is not signed in the same write"),
    ],
)
async def test_a_runner_that_writes_in_another_order_does_harm(
    runner: str, hasty: type, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"tests.fakes.world.{runner}", hasty)
    assert harm in await _harms()
