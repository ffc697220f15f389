"""A process that is killed at any moment finds in the file of its store all that it has to know."""

import shutil
from pathlib import Path

import pytest

from pipeline.clock import ManualClock
from pipeline.execute import store_file
from pipeline.execute.records import records
from pipeline.execute.store_sqlite import SqliteStore
from pipeline.model.node import Pod
from pipeline.model.ownership import CORDONED_BY
from pipeline.model.plan import Cordon, Drain, Reboot, Uncordon
from pipeline.model.rescue import Status
from pipeline.rebooters.simulated import SimulatedRebooter
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.killing import KilledError, Killer, KillingCluster, KillingFile, KillingRebooter, KillingSink
from tests.fakes.world import World, gpu_node

_PLAN = plan(Cordon(), Drain(), Reboot(), Uncordon())


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody wait for the disk: the kernel, which holds what was written, outlives a killed process."""
    unsynced = (*store_file.SETTINGS, "synchronous = OFF")
    monkeypatch.setattr(store_file, "SETTINGS", unsynced)


def _world(path: Path, killer: Killer) -> World:
    clock = ManualClock(NOON)
    pods = [Pod("team", "train-0", "gpu-1", owner="Job"), Pod("kube-system", "agent", "gpu-1", owner="DaemonSet")]
    cluster = KillingCluster(clock, [gpu_node()], pods)
    cluster.killer = killer
    rebooter = KillingRebooter(SimulatedRebooter(cluster), killer)
    store = KillingFile(path, killer)
    return World(cluster=cluster, store=store, sink=KillingSink(killer), rebooter=rebooter, clock=clock)


def _left_behind(path: Path) -> Path:
    """The file as a killed process leaves it, in another place; the dead one's locks are gone with it."""
    place = path.parent / "after"
    place.mkdir(exist_ok=True)
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, place)
    return place / path.name


async def _run_with_a_kill(path: Path, killer: Killer) -> World:
    world = _world(path, killer)
    for _ in range(2):
        try:
            await world.store.create(rescue(plan=_PLAN))
            await world.run()
            break
        except KilledError:
            pass
        except BaseExceptionGroup as group:
            assert group.subgroup(KilledError) is not None
        await _replace_store(world, KillingFile(_left_behind(path), killer))
    return world


async def _replace_store(world: World, store: KillingFile | None) -> None:
    dead = world.store
    assert isinstance(dead, SqliteStore)
    if store is not None:
        world.store = store
        world.executor = world.new_executor()
    await dead.close()


async def test_a_kill_at_every_moment_is_survived_by_what_the_file_holds(tmp_path: Path) -> None:
    at, killed = 0, True
    while killed:
        at += 1
        killer = Killer(at)
        world = await _run_with_a_kill(tmp_path / f"{at}.db", killer)
        killed = killer.killed is not None
        node, ended = world.cluster.nodes()["gpu-1"], world.rescue()
        assert ended.status is Status.SUCCEEDED, killer.killed
        assert len(world.cluster.reboots) == 1, killer.killed
        assert (node.unschedulable, CORDONED_BY in node.annotations) == (False, False), killer.killed
        expected = [record.id for record in records(ended)]
        assert sorted(record.id for record in world.sink.records) == sorted(expected), killer.killed
        assert ended.recorded == len(expected), killer.killed
        await _replace_store(world, None)
    assert 40 < at < 200
