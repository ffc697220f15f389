"""A node on which another rescue waits is handed to it, and comes into service only after it."""

from datetime import datetime, timedelta

import pytest

from pipeline.clock import ManualClock
from pipeline.decide.boots import same_boot
from pipeline.decide.guards import GuardSettings
from pipeline.execute.actions.handover import HandOverRunner
from pipeline.execute.actions.port import Done
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.execute.succession import Succession
from pipeline.model.node import NodePatch, Pod
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY, IGNORE
from pipeline.model.plan import Uncordon
from pipeline.model.rescue import CancelReason, Rescue, Status
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.intake import OFF_THE_BUS, REBOOT_79, Inside
from tests.fakes.killing import KilledError, Killer, KillingCluster, KillingSink, KillingStore
from tests.fakes.stage import Stage
from tests.fakes.world import World, gpu_node

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
OTHER_GPU = OFF_THE_BUS.replace("3b", "5e")
IN_SERVICE = "gpu-1 is schedulable again"


def _up_again(world: World) -> bool:
    node = world.cluster.nodes()["gpu-1"]
    return node.booted_at is not None and node.ready


async def _until_ready_again(inside: Inside) -> None:
    """Let the first rescue go on until the machine is up again, and its proof has not come yet."""
    world = inside.world
    while not _up_again(world):
        due = await world.executor.tick()
        assert due is not None
        world.clock.move_to(due)


async def _with_a_second_fault(inside: Inside) -> tuple[Rescue, Rescue]:
    await inside.take(OFF_THE_BUS)
    await _until_ready_again(inside)
    await inside.take(OTHER_GPU)
    await inside.world.run()
    first, second = inside.world.store.all()
    return first, second


def told(one: Rescue) -> list[str]:
    return [entry.message for entry in one.journal]


async def test_a_node_on_which_another_rescue_waits_never_comes_into_service_in_between() -> None:
    inside = Inside(REBOOT_79)
    first, second = await _with_a_second_fault(inside)
    handed = f"gpu-1 stays cordoned: rescue {second.name}, which has waited for it, goes on with it"
    assert handed in told(first)
    assert told(first)[-1].endswith(handed)
    assert IN_SERVICE not in told(first)
    assert IN_SERVICE in told(second)
    assert (first.status, second.status) == (Status.SUCCEEDED, Status.SUCCEEDED)
    assert len(inside.world.cluster.reboots) == 2
    node = inside.world.cluster.nodes()["gpu-1"]
    assert (node.unschedulable, CORDONED_BY in node.annotations, CORDONED_AT in node.annotations) == (
        False, False, False,
    )  # fmt: skip


async def test_the_second_one_finds_the_cordon_its_own() -> None:
    inside = Inside(REBOOT_79)
    _, second = await _with_a_second_fault(inside)
    cordon = next(entry for entry in second.journal if entry.message == "gpu-1 is cordoned")
    assert cordon.details == {}
    starts = [entry for entry in second.journal if entry.message == "gpu-1: cordon starts"]
    assert [bool(entry.guards) for entry in starts] == [True]


async def test_a_late_line_from_before_the_reboot_gets_neither_the_node_nor_a_reboot() -> None:
    """It was read while the node was not Ready, so that nobody knew its boot, and waited for the first one."""
    inside = Inside(REBOOT_79)
    world = inside.world
    await inside.take(OFF_THE_BUS)
    while world.cluster.nodes()["gpu-1"].ready:
        due = await world.executor.tick()
        assert due is not None
        world.clock.move_to(max(due, world.clock.now() + SECOND))
    asked = world.cluster.reboots[0].time
    await inside.intake.handle(inside.line(OTHER_GPU, asked - SECOND))
    await world.run()
    first, second = world.store.all()
    assert (second.status, second.reason) == (Status.CANCELLED, CancelReason.OLDER_THAN_RESCUE)
    assert IN_SERVICE in told(first)
    assert len(world.cluster.reboots) == 1


WAITS_20MIN = REBOOT_79.replace('{unCordon: "true"}', '{unCordon: "true", waittime: "20min"}')


@pytest.mark.parametrize(
    "text", [pytest.param(OTHER_GPU, id="of another GPU"), pytest.param(OFF_THE_BUS, id="of the same GPU")]
)
async def test_a_fault_of_a_boot_that_began_by_itself_during_a_rescue_is_acted_on_after_it(text: str) -> None:
    """The machine panics while the first rescue waits for its reboot, which is then none any more."""
    inside = Inside(WAITS_20MIN)
    world = inside.world
    await inside.take(OFF_THE_BUS)
    await world.run(NOON + 20 * SECOND)
    world.cluster.reboot("gpu-1", "panic")
    await world.run(NOON + 10 * MINUTE)
    assert world.cluster.nodes()["gpu-1"].ready
    await inside.take(text)
    await world.run()
    first, second = world.store.all()
    assert [(one.status, one.folded) for one in (first, second)] == [(Status.SUCCEEDED, ())] * 2
    assert [reboot.request for reboot in world.cluster.reboots] == ["panic", f"{second.name}-reboot"]
    assert not same_boot(first.cause.boot_id or "", second.cause.boot_id or "")
    assert IN_SERVICE not in told(first)


async def test_a_fault_of_a_boot_that_began_during_the_drain_is_acted_on_after_the_rescue() -> None:
    pod = Pod("team", "train-0", "gpu-1", owner="Job", grace_period=5 * MINUTE)
    inside = Inside(REBOOT_79, World([gpu_node("gpu-1")], [pod]))
    world = inside.world
    await inside.take(OFF_THE_BUS)
    await world.run(NOON + 20 * SECOND)
    world.cluster.reboot("gpu-1", "panic")
    await world.run(NOON + 4 * MINUTE + 30 * SECOND)
    await inside.take(OTHER_GPU)
    await world.run()
    assert [one.request for one in world.cluster.reboots if one.request != "panic"]


# The runner by itself.


def _stage() -> Stage:
    return Stage(Uncordon(), before=plan().actions[:3])


async def _heir(rescue: Rescue, now: datetime) -> str | None:
    return "heir"


async def _nobody(rescue: Rescue, now: datetime) -> str | None:
    return None


async def test_the_cordon_is_handed_over_in_one_write_and_stays_what_it_is() -> None:
    stage = _stage()
    outcome = await stage.call(HandOverRunner(stage.cluster, UncordonRunner(stage.cluster), _heir), MINUTE)
    assert outcome == Done(
        "gpu-1 stays cordoned: rescue heir, which has waited for it, goes on with it", {"left_cordoned": True}
    )
    assert stage.node.unschedulable
    assert stage.node.annotations == {CORDONED_BY: "heir", CORDONED_AT: (NOON + MINUTE).isoformat()}
    again = await stage.call(HandOverRunner(stage.cluster, UncordonRunner(stage.cluster), _nobody))
    assert again == Done("gpu-1 stays cordoned: rescue heir cordoned it", {"left_cordoned": True})
    assert stage.node.unschedulable


async def test_without_an_heir_the_node_is_given_back() -> None:
    stage = _stage()
    assert await stage.call(HandOverRunner(stage.cluster, UncordonRunner(stage.cluster), _nobody)) == Done(IN_SERVICE)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({"annotations": {CORDONED_BY: None}}, id="another hand's"),
        pytest.param({"annotations": {CORDONED_BY: "other"}}, id="another rescue's"),
        pytest.param({"unschedulable": False}, id="lifted meanwhile"),
    ],
)
async def test_a_cordon_is_not_handed_over_that_is(edit: dict[str, object]) -> None:
    stage = _stage()
    stage.cluster.edit_node("gpu-1", NodePatch(**edit))  # type: ignore[arg-type]
    await stage.call(HandOverRunner(stage.cluster, UncordonRunner(stage.cluster), _heir))
    assert stage.node.annotations.get(CORDONED_BY) != "heir"


# Who begins.


async def _two(world: World) -> Rescue:
    await world.store.create(rescue())
    await world.store.create(rescue("waits", now=NOON + SECOND))
    return world.rescue()


async def test_the_heir_has_begun_before_the_cordon_is_its_own() -> None:
    world = World()
    first = await _two(world)
    succession = Succession(world.store, world.cluster, world.guards)
    assert await succession.begin(first, NOON + MINUTE) == "waits"
    begun = world.rescue("waits")
    assert (begun.status, begun.begun, begun.journal[-1].message) == (Status.RUNNING, True, "gpu-1: cordon starts")
    assert begun.journal[-1].guards
    assert await succession.begin(first, NOON + MINUTE) == "waits"
    assert world.rescue("waits") == begun


async def test_nobody_begins_while_the_nodes_are_not_known() -> None:
    world = World()
    first = await _two(world)
    world.cluster.troubles.cache_synced = False
    assert await Succession(world.store, world.cluster, world.guards).begin(first, NOON) is None
    assert not world.rescue("waits").begun


async def test_nobody_begins_whom_a_guard_would_hold() -> None:
    world = World(guards=GuardSettings(max_nodes=0))
    assert await Succession(world.store, world.cluster, world.guards).begin(await _two(world), NOON) is None
    world = World()
    first = await _two(world)
    world.cluster.edit_node("gpu-1", NodePatch(annotations={IGNORE: "true"}))
    assert await Succession(world.store, world.cluster, world.guards).begin(first, NOON) is None


# A crash at any moment.


_MOST_MOMENTS = 400


async def _two_in_turn(world: World) -> None:
    """A second fault comes up when the machine is up again, before the first rescue has its proof."""
    await world.store.create(rescue())
    while (due := await world.executor.tick()) is not None:
        world.clock.move_to(due)
        if _up_again(world):
            await world.store.create(rescue("waits", now=world.clock.now()))


async def test_a_kill_at_every_moment_neither_forgets_the_cordon_nor_lifts_it_in_between() -> None:
    at, ended = 1, False
    while not ended:
        killer, clock = Killer(at), ManualClock(NOON)
        cluster = KillingCluster(clock, [gpu_node()])
        cluster.killer = killer
        world = World(cluster=cluster, store=KillingStore(killer), sink=KillingSink(killer), clock=clock)
        for _ in range(2):
            try:
                await _two_in_turn(world)
                break
            except KilledError:
                pass
            except BaseExceptionGroup as group:
                assert group.subgroup(KilledError) is not None
            world.executor = world.new_executor()
        ended = killer.killed is None
        assert at < _MOST_MOMENTS
        first, second = world.rescue(), world.rescue("waits")
        assert (first.status, second.status) == (Status.SUCCEEDED, Status.SUCCEEDED), killer.killed
        lifted = ["gpu-1 is schedulable" in "".join(told(one)) for one in (first, second)]
        assert lifted == [False, True], killer.killed
        assert len(world.cluster.reboots) == 2, killer.killed
        node = world.cluster.nodes()["gpu-1"]
        assert (node.unschedulable, dict(node.annotations)) == (False, {}), killer.killed
        at += 1
    assert at > 50
