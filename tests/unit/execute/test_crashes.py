"""A process that is killed at any moment repeats no reboot, forgets no uncordon and loses no record."""

from pipeline.clock import ManualClock
from pipeline.execute.records import records
from pipeline.model.node import Pod
from pipeline.model.ownership import CORDONED_BY
from pipeline.model.plan import Action, Cordon, Drain, EnableWarmStandby, Offline, OnTimeout, Reboot, Uncordon
from pipeline.model.rescue import FailReason, Status
from pipeline.rebooters.simulated import SimulatedRebooter
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.killing import KilledError, Killer, KillingCluster, KillingRebooter, KillingSink, KillingStore
from tests.fakes.world import World, gpu_node

_MOST_MOMENTS = 400
_FULL = (Cordon(), EnableWarmStandby(), Drain(), Reboot(), Uncordon())


def _world(killer: Killer) -> World:
    clock = ManualClock(NOON)
    standby = {"rescue.ksyun.com/warm-standby": "true"}
    cluster = KillingCluster(
        clock,
        [
            gpu_node(),
            gpu_node("spare-1", labels=standby, unschedulable=True),
            gpu_node("spare-2", labels=standby, unschedulable=True),
        ],
        [Pod("team", "train-0", "gpu-1", owner="Job"), Pod("kube-system", "agent", "gpu-1", owner="DaemonSet")],
    )
    cluster.killer = killer
    rebooter = KillingRebooter(SimulatedRebooter(cluster), killer)
    return World(cluster=cluster, store=KillingStore(killer), sink=KillingSink(killer), rebooter=rebooter, clock=clock)


async def _run_with_a_kill(killer: Killer, actions: tuple[Action, ...], forgetful: bool = False) -> World:
    """Plan and run a rescue; whoever is killed is followed by another process that finds what was saved."""
    world = _world(killer)
    world.cluster.troubles.reboots_forgotten = forgetful
    for _ in range(2):
        try:
            await world.store.create(rescue(plan=plan(*actions)))
            await world.run()
            break
        except KilledError:
            pass
        except BaseExceptionGroup as group:
            assert group.subgroup(KilledError) is not None
        world.executor = world.new_executor()
    return world


async def _moments(actions: tuple[Action, ...]) -> int:
    killer = Killer(None)
    await _run_with_a_kill(killer, actions)
    assert 20 < killer.moments < _MOST_MOMENTS
    return killer.moments


def _assert_all_recorded(world: World, killed: str | None) -> None:
    expected = [record.id for record in records(world.rescue())]
    assert sorted(record.id for record in world.sink.records) == sorted(expected), killed
    assert world.rescue().recorded == len(expected), killed


async def test_the_whole_plan_survives_a_kill_at_every_moment() -> None:
    for at in range(1, await _moments(_FULL) + 1):
        killer = Killer(at)
        world = await _run_with_a_kill(killer, _FULL)
        node = world.cluster.nodes()["gpu-1"]
        assert killer.killed is not None
        assert world.rescue().status is Status.SUCCEEDED, killer.killed
        assert len(world.cluster.reboots) == 1, killer.killed
        assert not node.unschedulable, killer.killed
        assert CORDONED_BY not in node.annotations, killer.killed
        in_service = [
            name for name, found in world.cluster.nodes().items() if name != "gpu-1" and not found.unschedulable
        ]
        assert len(in_service) == 1, killer.killed
        _assert_all_recorded(world, killer.killed)


async def test_without_memory_of_reboots_a_kill_leads_to_one_reboot_or_to_a_person() -> None:
    uncertain = 0
    for at in range(1, await _moments(_FULL) + 1):
        killer = Killer(at)
        world = await _run_with_a_kill(killer, _FULL, forgetful=True)
        ended = world.rescue()
        assert isinstance(world.rebooter, KillingRebooter)
        assert world.rebooter.asks.total() <= 1, killer.killed
        if ended.status is Status.FAILED:
            uncertain += 1
            assert ended.reason == FailReason.REBOOT_UNCERTAIN, killer.killed
            assert world.cluster.nodes()["gpu-1"].unschedulable, killer.killed
        else:
            assert ended.status is Status.SUCCEEDED, killer.killed
            assert len(world.cluster.reboots) == 1, killer.killed
            assert not world.cluster.nodes()["gpu-1"].unschedulable, killer.killed
        _assert_all_recorded(world, killer.killed)
    # The moments between the save of the intent and the asking, the writing of the record of the intent among them.
    assert uncertain == 6


async def test_a_forced_drain_and_offline_survive_a_kill_at_every_moment() -> None:
    actions = (Cordon(), Drain(on_timeout=OnTimeout.FORCE), Offline())
    for at in range(1, await _moments(actions) + 1):
        killer = Killer(at)
        world = await _run_with_a_kill(killer, actions)
        node = world.cluster.nodes()["gpu-1"]
        assert world.rescue().status is Status.SUCCEEDED, killer.killed
        assert node.unschedulable
        assert [taint.key for taint in node.taints] == ["rescue.ksyun.com/offline"], killer.killed
        assert world.cluster.reboots == (), killer.killed
        _assert_all_recorded(world, killer.killed)


async def test_a_fold_survives_a_kill_at_every_moment() -> None:
    """Two faults of one node end as one rescue that reboots once and gives the node back."""
    at, ended = 1, False
    while not ended:
        killer = Killer(at)
        world = _world(killer)
        for _ in range(2):
            try:
                await world.store.create(rescue("first", plan=plan(Cordon(), Drain(), Reboot(), Uncordon())))
                await world.store.create(
                    rescue("second", plan=plan(Cordon(), Drain(), Reboot(), Uncordon(), priority=20))
                )
                await world.run()
                break
            except KilledError:
                pass
            except BaseExceptionGroup as group:
                assert group.subgroup(KilledError) is not None
            world.executor = world.new_executor()
        ended = killer.killed is None
        assert at < _MOST_MOMENTS
        assert sorted(found.status for found in world.store.all()) == [Status.CANCELLED, Status.SUCCEEDED], (
            killer.killed
        )
        assert world.rescue("first").folded == ("second",), killer.killed
        assert len(world.cluster.reboots) == 1, killer.killed
        assert not world.cluster.nodes()["gpu-1"].unschedulable, killer.killed
        every = [record.id for found in world.store.all() for record in records(found)]
        assert sorted(record.id for record in world.sink.records) == sorted(every), killer.killed
        at += 1
