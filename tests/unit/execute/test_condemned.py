"""A rescue that somebody deletes is given up at whatever stage it is, and undone before it is let go of."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from pipeline.decide.guards import GuardSettings
from pipeline.decide.standby import is_free
from pipeline.errors import PermanentError, TemporaryError
from pipeline.execute.records import records
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.ownership import WARM_STANDBY
from pipeline.model.plan import ActionName, Cordon
from pipeline.model.rescue import HoldReason, Rescue, Status
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.killing import KilledError, Killer
from tests.fakes.world import World, gpu_node
from tests.unit.execute.test_withdrawn import CORDONED, DELETED, FULL, NAME, When, at, new_world, until

MINUTE = timedelta(minutes=1)


def _new(one: Rescue) -> bool:
    return not one.begun


def _condemn(world: World, name: str = NAME) -> None:
    assert isinstance(world.store, MemoryStore)
    world.store.condemn(name)


async def _play(killer: Killer, when: When) -> World:
    """Come to a stage, delete the rescue, go on; whoever is killed on the way is followed by another process."""
    world = new_world()
    await world.store.create(rescue(plan=plan(*FULL)))
    await until(world, when)
    _condemn(world)
    for part in (world.store, world.sink, world.rebooter):
        part._killer = killer  # type: ignore[union-attr]
    world.cluster.killer = killer  # type: ignore[attr-defined]
    for _ in range(2):
        try:
            await world.run()
            break
        except KilledError:
            pass
        except BaseExceptionGroup as group:
            assert group.subgroup(KilledError) is not None
        world.executor = world.new_executor()
    return world


@pytest.mark.parametrize(
    ("when", "reboots", "standby"),
    [
        pytest.param(_new, 0, True, id="nothing has begun"),
        pytest.param(at(ActionName.CORDON, Status.RUNNING), 0, True, id="before it has cordoned"),
        pytest.param(CORDONED, 0, True, id="cordoned"),
        pytest.param(at(ActionName.WARM_STANDBY, Status.RUNNING), 0, True, id="a standby is being claimed"),
        pytest.param(at(ActionName.WARM_STANDBY, Status.SUCCEEDED), 0, True, id="a standby is claimed"),
        pytest.param(at(ActionName.DRAIN, Status.RUNNING), 0, True, id="it drains"),
        pytest.param(at(ActionName.REBOOT, Status.RUNNING), 0, False, id="about to reboot"),
        pytest.param(lambda one: "rebooted_at" in one.steps[3].memo, 1, False, id="rebooted"),
    ],
)
async def test_one_that_is_deleted_gives_its_node_back_whenever_the_process_is_killed(
    when: When, reboots: int, standby: bool
) -> None:
    moment, ended = 1, False
    while not ended:
        killer = Killer(moment)
        world = await _play(killer, when)
        ended, found = killer.killed is None, world.cluster.nodes()
        assert (world.rescue().status, world.rescue().reason) == DELETED, killer.killed
        assert len(world.cluster.reboots) == reboots, killer.killed
        assert (found["gpu-1"].unschedulable, dict(found["gpu-1"].annotations)) == (False, {}), killer.killed
        assert is_free(found["spare-1"], WARM_STANDBY) is standby, killer.killed
        expected = [record.id for record in records(world.rescue())]
        assert sorted(record.id for record in world.sink.records) == sorted(expected), killer.killed
        moment += 1
    assert 5 < moment < 100


async def test_one_that_is_held_for_hours_is_given_up_at_once() -> None:
    world = World(guards=GuardSettings(max_nodes=0))
    await world.store.create(rescue())
    due = await world.executor.tick()
    assert (world.rescue().reason, due) == (HoldReason.MAX_NODES, NOON + MINUTE / 2)
    _condemn(world)
    await world.executor.tick()
    assert (world.rescue().status, world.rescue().reason) == DELETED
    assert world.actions[-1] == "rescue-cancelled"


class Refusing(MemoryStore):
    """Refuses to save one rescue until it is told otherwise; counts how often it was asked to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error
        self.asked = 0

    async def save(self, rescue: Rescue) -> Rescue:
        if rescue.name == "one" and self.error is not None:
            self.asked += 1
            raise self.error
        return await super().save(rescue)


@pytest.mark.parametrize("error", [TemporaryError("no leader"), PermanentError("413: too large")])
async def test_what_goes_wrong_with_one_keeps_no_other_rescue_back_and_is_tried_again(error: Exception) -> None:
    store = Refusing(error)
    world = World([gpu_node("gpu-1"), gpu_node("gpu-2")], store=store)
    await store.create(rescue("one", plan=plan(Cordon())))
    await store.create(rescue("two", "gpu-2", plan=plan(Cordon())))
    _condemn(world, "one")
    with capture_logs() as logs:
        await world.executor.tick()
    assert world.rescue("two").status is Status.SUCCEEDED
    assert logs[0]["event"] == "rescue.not-withdrawn"
    store.error = None
    await world.executor.tick()
    assert (world.rescue("one").status, world.rescue("one").reason) == DELETED
    assert not world.cluster.nodes()["gpu-1"].unschedulable


async def test_one_that_is_given_up_for_another_reason_is_tried_no_more_often_for_being_deleted() -> None:
    """Its uncordon has begun: that it is deleted changes nothing, and a store that is away has its pause."""
    store = Refusing(TemporaryError("no leader"))
    store.error = None
    world = World(store=store)
    await store.create(rescue("one"))
    await until(world, at(ActionName.UNCORDON, Status.RUNNING), "one")
    _condemn(world, "one")
    store.error = TemporaryError("no leader")
    for _ in range(5):
        await world.executor.tick()
    assert store.asked == 1
    store.error = None
    await world.run()
    assert world.rescue("one").status is Status.SUCCEEDED
    assert not world.cluster.nodes()["gpu-1"].unschedulable
