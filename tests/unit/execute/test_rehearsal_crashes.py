"""A process that is killed while it rehearses beside a real rescue repeats nothing, and confuses neither."""

from dataclasses import replace

from pipeline.clock import ManualClock
from pipeline.cluster.memory import twin
from pipeline.execute.executor import Executor
from pipeline.execute.recorder import Recorder
from pipeline.execute.records import records
from pipeline.execute.rehearsal import Rehearsal, SideBySide
from pipeline.execute.store_view import StoreView, acts, is_rehearsed
from pipeline.model.node import Pod
from pipeline.model.ownership import CORDONED_BY
from pipeline.model.plan import Cordon, Drain, Reboot, Uncordon
from pipeline.model.rescue import Status
from pipeline.rebooters.simulated import SimulatedRebooter
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.killing import KilledError, Killer, KillingCluster, KillingRebooter, KillingSink, KillingStore
from tests.fakes.world import World, gpu_node, runners

_FULL = (Cordon(), Drain(), Reboot(), Uncordon())
_REAL = rescue("real", plan=plan(*_FULL))
_DRY = rescue("dry", plan=replace(plan(*_FULL), dry_run=True))


def _world(killer: Killer) -> World:
    clock = ManualClock(NOON)
    cluster = KillingCluster(clock, [gpu_node()], [Pod("team", "train-0", "gpu-1", owner="Job")])
    cluster.killer = killer
    rebooter = KillingRebooter(SimulatedRebooter(cluster), killer)
    return World(cluster=cluster, store=KillingStore(killer), sink=KillingSink(killer), rebooter=rebooter, clock=clock)


def _process(world: World) -> SideBySide:
    """All who execute, as a new process sets them up: its copy of the cluster knows nothing of the last one's."""
    stage, recorder = twin(world.cluster, world.clock), Recorder(world.sink, world.store)
    done, rehearsed = StoreView(world.store, acts), StoreView(world.store, is_rehearsed)
    real = Executor(done, world.cluster, runners(world.cluster, world.rebooter), recorder, world.guards, world.clock)
    dry = Executor(rehearsed, stage, runners(stage, SimulatedRebooter(stage)), recorder, world.guards, world.clock)
    return SideBySide([real, Rehearsal(rehearsed, dry, stage)])


async def _run_with_a_kill(killer: Killer) -> World:
    world = _world(killer)
    for _ in range(2):
        process = _process(world)
        try:
            for one in (_REAL, _DRY):
                await world.store.create(one)
            while (due := await process.tick()) is not None:
                world.clock.move_to(due)
            break
        except KilledError:
            pass
        except BaseExceptionGroup as group:
            assert group.subgroup(KilledError) is not None
    return world


async def test_a_kill_at_every_moment_leaves_the_node_as_the_real_rescue_alone_would() -> None:
    counting = Killer(None)
    await _run_with_a_kill(counting)
    assert 40 < counting.moments < 400
    for at in range(1, counting.moments + 1):
        killer = Killer(at)
        world = await _run_with_a_kill(killer)
        node = world.cluster.nodes()["gpu-1"]
        assert killer.killed is not None
        assert world.rescue("real").status is Status.SUCCEEDED, killer.killed
        assert len(world.cluster.reboots) == 1, killer.killed
        assert "real" in world.cluster.reboots[0].request, killer.killed
        assert (node.unschedulable, CORDONED_BY in node.annotations) == (False, False), killer.killed
        # What was done to the copy is gone with the process, and is done again to that of the next one.
        assert world.rescue("dry").status is Status.SUCCEEDED, killer.killed
        expected = [record.id for name in ("real", "dry") for record in records(world.rescue(name))]
        assert sorted(record.id for record in world.sink.records) == sorted(expected), killer.killed
