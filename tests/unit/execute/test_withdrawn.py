"""A rescue that was given up after it had begun undoes what it did, and does nothing else."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline.clock import ManualClock
from pipeline.decide.escalation import takes_over
from pipeline.decide.guards import GuardSettings
from pipeline.decide.standby import StandbySettings, is_free
from pipeline.execute import progress
from pipeline.execute.records import records
from pipeline.execute.store import update
from pipeline.model.node import NodePatch, Pod
from pipeline.model.ownership import CORDONED_BY, IGNORE, STANDBY_FOR, UNDER_RESCUE, WARM_STANDBY
from pipeline.model.plan import ActionName, Cordon, Drain, EnableWarmStandby, Offline, Reboot, Uncordon
from pipeline.model.rescue import BOOT_ID, CancelReason, EventAction, FailReason, HoldReason, Rescue, Status
from pipeline.rebooters.simulated import SimulatedRebooter
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.killing import KilledError, Killer, KillingCluster, KillingRebooter, KillingSink, KillingStore
from tests.fakes.world import World, gpu_node

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NAME = "gpu-1-xid-79-abc"
FULL = (Cordon(), EnableWarmStandby(), Drain(), Reboot(), Uncordon())
DELETED = (Status.CANCELLED, CancelReason.DELETED)
When = Callable[[Rescue], bool]


def deleted(stored: Rescue) -> Rescue:
    return progress.withdrawn(stored, NOON, CancelReason.DELETED, "gpu-1: somebody has deleted the rescue")


def at(action: ActionName, status: Status) -> When:
    """Whether the step of that action stands so."""

    def stands(one: Rescue) -> bool:
        steps = zip(one.plan.actions, one.steps, strict=True)
        return any((step.status, found.name) == (status, action) for found, step in steps)

    return stands


def new_world(killer: Killer | None = None, replenish: bool = False, forgetful: bool = False) -> World:
    """A node with a pod that takes half a minute to go, and a standby."""
    killer, clock = killer or Killer(None), ManualClock(NOON)
    standbys = [gpu_node(), gpu_node("spare-1", labels={WARM_STANDBY: "true"}, unschedulable=True)]
    cluster = KillingCluster(clock, standbys, [Pod("team", "train-0", "gpu-1", owner="Job")])
    cluster.killer = killer
    cluster.troubles.reboots_forgotten = forgetful
    world = World(
        cluster=cluster,
        store=KillingStore(killer),
        sink=KillingSink(killer),
        rebooter=KillingRebooter(SimulatedRebooter(cluster), killer),
        clock=clock,
        standby=StandbySettings(replenish=replenish),
    )
    world.settles(2 * SECOND)
    return world


async def until(world: World, when: When, name: str = NAME) -> None:
    """Let the executor go on, save by save, until the rescue is so.

    That a cordon is being made is saved and done in one go: who stops there was killed.
    """
    if when(begun := progress.started(world.rescue(name), 0, world.clock.now())):
        await world.store.save(begun)
    for _ in range(500):
        if when(world.rescue(name)):
            return
        await world.executor._further(name)
        if not when(world.rescue(name)) and world.rescue(name).due > world.clock.now():
            world.clock.move_to(world.rescue(name).due)
    raise AssertionError("it never came to that")


async def withdraw(world: World, when: When) -> Rescue:
    await until(world, when)
    await update(world.store, NAME, deleted)
    return world.rescue()


CORDONED = at(ActionName.CORDON, Status.SUCCEEDED)


@pytest.mark.parametrize(
    ("when", "standby"),
    [
        pytest.param(at(ActionName.CORDON, Status.RUNNING), True, id="before it has cordoned"),
        pytest.param(CORDONED, True, id="cordoned"),
        pytest.param(at(ActionName.WARM_STANDBY, Status.RUNNING), True, id="a standby is being claimed"),
        pytest.param(at(ActionName.WARM_STANDBY, Status.SUCCEEDED), True, id="a standby is claimed"),
        pytest.param(at(ActionName.DRAIN, Status.RUNNING), True, id="it drains"),
        pytest.param(at(ActionName.DRAIN, Status.SUCCEEDED), False, id="drained: the standby does the work now"),
        pytest.param(at(ActionName.REBOOT, Status.RUNNING), False, id="about to reboot"),
    ],
)
@pytest.mark.parametrize("replenish", [False, True])
async def test_what_was_begun_is_undone_and_nothing_reboots(when: When, standby: bool, replenish: bool) -> None:
    world = new_world(replenish=replenish)
    await world.store.create(rescue(plan=plan(*FULL)))
    begun = await withdraw(world, when)
    assert (begun.status, begun.reason, begun.withdrawn) == (Status.RUNNING, None, CancelReason.DELETED)
    await world.run()
    found = world.cluster.nodes()
    assert (world.rescue().status, world.rescue().reason) == DELETED
    assert world.cluster.reboots == ()
    assert (found["gpu-1"].unschedulable, dict(found["gpu-1"].annotations)) == (False, {})
    assert is_free(found["spare-1"], WARM_STANDBY) is standby
    assert [entry.action for entry in world.rescue().journal if entry.step is None][-2:] == [
        EventAction.RESCUE_WITHDRAWN,
        EventAction.RESCUE_CANCELLED,
    ]
    told = [record.id for record in records(world.rescue())]
    assert [record.id for record in world.sink.records] == told


def _intended(one: Rescue) -> bool:
    return any(BOOT_ID in step.memo for step in one.steps)


async def test_a_reboot_that_is_intended_and_not_asked_for_is_not_asked_for() -> None:
    world = new_world()
    await world.store.create(rescue(plan=plan(*FULL)))
    await withdraw(world, _intended)
    await world.run()
    assert (world.rescue().status, world.rescue().reason) == DELETED
    assert (world.cluster.reboots, world.cluster.nodes()["gpu-1"].unschedulable) == ((), False)


async def test_another_process_waits_for_what_may_be_on_its_way_before_it_takes_it_for_not_asked() -> None:
    world = new_world()
    await world.store.create(rescue(plan=plan(*FULL)))
    await until(world, _intended)
    now = world.clock.now()
    await update(world.store, NAME, lambda one: progress.withdrawn(one, now, CancelReason.DELETED, "deleted"))
    world.executor = world.new_executor()
    await world.run()
    assert (world.rescue().status, world.rescue().reason, world.rescue().ended) == (*DELETED, now + 30 * SECOND)
    assert (world.cluster.reboots, world.cluster.nodes()["gpu-1"].unschedulable) == ((), False)


async def test_a_machine_that_was_told_to_reboot_is_given_back_after_the_proof() -> None:
    world = new_world()
    await world.store.create(rescue(plan=plan(*FULL)))
    await withdraw(world, lambda one: bool(world.cluster.reboots))
    world.clock.move_to(world.clock.now() + SECOND)
    await world.executor.tick()
    assert world.cluster.nodes()["gpu-1"].unschedulable
    await world.run()
    assert (world.rescue().status, world.rescue().reason, len(world.cluster.reboots)) == (*DELETED, 1)
    assert world.rescue().rebooted_at is not None
    assert not world.cluster.nodes()["gpu-1"].unschedulable


async def test_where_nobody_knows_whether_it_was_told_the_node_stays_cordoned_for_a_person() -> None:
    world = new_world(forgetful=True)
    await world.store.create(rescue(plan=plan(*FULL)))
    await withdraw(world, _intended)
    world.executor = world.new_executor()
    await world.run()
    assert (world.rescue().status, world.rescue().reason) == (Status.FAILED, FailReason.REBOOT_UNCERTAIN)
    assert (world.cluster.reboots, world.cluster.nodes()["gpu-1"].unschedulable) == ((), True)


async def test_one_that_is_held_after_its_cordon_gives_the_node_back() -> None:
    guards = GuardSettings.model_validate({"max_percent": 100, "windows": {"deny": [{}]}})
    world = World(guards=guards)
    await world.store.create(rescue())
    await world.run(NOON + MINUTE)
    assert (world.rescue().status, world.rescue().reason) == (Status.HELD, HoldReason.MAINTENANCE_WINDOW)
    await update(world.store, NAME, deleted)
    assert (world.rescue().status, world.rescue().reason) == (Status.RUNNING, None)
    await world.run(NOON + 2 * MINUTE)
    assert (world.rescue().status, world.rescue().reason) == DELETED
    assert not world.cluster.nodes()["gpu-1"].unschedulable


async def test_the_cordon_of_another_hand_stays() -> None:
    world = World([gpu_node(unschedulable=True)], guards=GuardSettings(max_percent=100, foreign_cordon="act"))
    world.settles(2 * SECOND)
    await world.store.create(rescue())
    await withdraw(world, CORDONED)
    assert UNDER_RESCUE in world.cluster.nodes()["gpu-1"].annotations
    await world.run()
    node = world.cluster.nodes()["gpu-1"]
    assert (world.rescue().status, node.unschedulable, dict(node.annotations)) == (Status.CANCELLED, True, {})
    assert world.rescue().journal[-1].message.endswith("gpu-1 stays cordoned: somebody else cordoned it")


async def test_a_node_that_is_gone_needs_nothing() -> None:
    world = new_world()
    await world.store.create(rescue(plan=plan(*FULL)))
    await withdraw(world, CORDONED)
    world.cluster.delete_node("gpu-1")
    await world.run()
    assert (world.rescue().status, world.rescue().reason) == DELETED
    assert world.rescue().journal[-1].message.endswith("gpu-1 is gone, and nothing is left to undo")


async def test_a_node_that_was_opted_out_is_left_as_it_is() -> None:
    world = new_world()
    await world.store.create(rescue(plan=plan(*FULL)))
    await withdraw(world, at(ActionName.WARM_STANDBY, Status.SUCCEEDED))
    node = await world.cluster.get_node("gpu-1")
    await world.cluster.patch_node("gpu-1", NodePatch(annotations={IGNORE: "true"}), node.resource_version)
    await world.run()
    found = world.cluster.nodes()
    assert (world.rescue().status, world.rescue().reason) == (Status.CANCELLED, CancelReason.OPTED_OUT)
    assert (found["gpu-1"].unschedulable, found["gpu-1"].annotations[CORDONED_BY]) == (True, NAME)
    assert found["spare-1"].annotations[STANDBY_FOR] == NAME


async def test_the_cordon_is_handed_to_the_rescue_that_waits_for_the_node() -> None:
    world = new_world()
    await world.store.create(rescue(plan=plan(*FULL)))
    await withdraw(world, CORDONED)
    await world.store.create(rescue("second", now=NOON + SECOND, plan=plan(Cordon(), Drain(), Reboot(), Uncordon())))
    assert not takes_over(world.rescue(), world.rescue("second"))
    await world.executor.tick()
    assert world.cluster.nodes()["gpu-1"].annotations[CORDONED_BY] == "second"
    await world.run()
    assert (world.rescue().status, world.rescue("second").status) == (Status.CANCELLED, Status.SUCCEEDED)
    assert (len(world.cluster.reboots), world.cluster.nodes()["gpu-1"].unschedulable) == (1, False)


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(progress.cancelled(rescue(), NOON, CancelReason.STALE, ""), id="it has ended"),
        pytest.param(deleted(progress.started(rescue(), 0, NOON)), id="it was withdrawn"),
        pytest.param(progress.started(rescue(), 3, NOON), id="it gives the node back by itself"),
        pytest.param(progress.started(rescue(plan=plan(Cordon(), Offline())), 1, NOON), id="it goes offline"),
    ],
)
def test_there_is_nothing_to_withdraw_where(one: Rescue) -> None:
    assert deleted(one) is one


def test_one_that_has_not_begun_is_cancelled() -> None:
    assert (deleted(rescue()).status, deleted(rescue()).withdrawn) == (Status.CANCELLED, None)


async def _play(killer: Killer, when: When, forgetful: bool) -> World:
    """Come to a stage, withdraw, go on; whoever is killed on the way is followed by another process."""
    world = new_world(Killer(None), forgetful=forgetful)
    await world.store.create(rescue(plan=plan(*FULL)))
    await until(world, when)
    parts = (world.store, world.sink, world.rebooter)
    for part in parts:
        part._killer = killer  # type: ignore[union-attr]
    world.cluster.killer = killer  # type: ignore[attr-defined]
    for _ in range(2):
        try:
            await update(world.store, NAME, deleted)
            await world.run()
            break
        except KilledError:
            pass
        except BaseExceptionGroup as group:
            assert group.subgroup(KilledError) is not None
        world.executor = world.new_executor()
    return world


@pytest.mark.parametrize("forgetful", [False, True])
@pytest.mark.parametrize(
    ("when", "standby", "least"),
    [
        pytest.param(CORDONED, True, 10, id="cordoned"),
        pytest.param(at(ActionName.WARM_STANDBY, Status.SUCCEEDED), True, 12, id="a standby is claimed"),
        pytest.param(at(ActionName.DRAIN, Status.RUNNING), True, 12, id="it drains"),
        pytest.param(at(ActionName.REBOOT, Status.RUNNING), False, 10, id="about to reboot"),
    ],
)
async def test_a_withdrawal_survives_a_kill_at_every_moment(
    when: When, standby: bool, least: int, forgetful: bool
) -> None:
    at_moment, ended = 1, False
    while not ended:
        killer = Killer(at_moment)
        world = await _play(killer, when, forgetful)
        ended = killer.killed is None
        found = world.cluster.nodes()
        assert (world.rescue().status, world.rescue().reason) == DELETED, killer.killed
        assert world.cluster.reboots == (), killer.killed
        assert (found["gpu-1"].unschedulable, dict(found["gpu-1"].annotations)) == (False, {}), killer.killed
        assert is_free(found["spare-1"], WARM_STANDBY) is standby, killer.killed
        expected = [record.id for record in records(world.rescue())]
        assert sorted(record.id for record in world.sink.records) == sorted(expected), killer.killed
        at_moment += 1
    assert least < at_moment < 100
