"""A node is cordoned at once; what comes after the cordon waits for the faults that come with the first."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from pipeline.execute.records import records
from pipeline.model.ownership import CORDONED_BY
from pipeline.model.plan import ActionName, Cordon, Drain, Offline, Reboot
from pipeline.model.rescue import EventAction, Rescue, Status
from tests.fakes.faults import NOON, node_fault, plan, rescue
from tests.fakes.intake import OFF_THE_BUS, REBOOT_79, Inside
from tests.fakes.world import World

SECOND = timedelta(seconds=1)
SETTLE = 2 * SECOND
CONTAINED = "NVRM: Xid (PCI:0000:3b:00): 95, pid=7, name=python3, Uncontained ECC error"
BOTH_REBOOT = REBOOT_79.replace('["79"]', '["79", "95"]')


def entries(one: Rescue, action: EventAction) -> list[tuple[str | None, timedelta]]:
    return [(entry.step, entry.time - NOON) for entry in one.journal if entry.action is action]


def started(one: Rescue) -> list[tuple[str | None, timedelta]]:
    return entries(one, EventAction.STEP_STARTED)


async def test_the_cordon_comes_at_once_and_what_comes_after_it_when_the_family_has_had_its_time() -> None:
    inside = Inside(settle=SETTLE)
    await inside.take(OFF_THE_BUS)
    await inside.world.executor.tick()
    assert inside.world.cluster.nodes()["gpu-1"].unschedulable
    await inside.world.run()
    assert started(inside.rescue())[:2] == [(ActionName.CORDON, timedelta(0)), (ActionName.DRAIN, SETTLE)]


@pytest.mark.parametrize("first", [(Cordon(), Offline()), (Cordon(), Drain()), (Drain(),), (Offline(),), (Reboot(),)])
async def test_nothing_but_a_cordon_starts_before_the_family_has_had_its_time(first: Sequence[Cordon]) -> None:
    world = World()
    world.settles(SETTLE)
    await world.store.create(rescue(plan=plan(*first)))
    await world.run()
    assert [at for step, at in started(world.rescue()) if step != ActionName.CORDON] == [SETTLE]


async def test_a_rescue_that_only_cordons_stays_open_for_its_family() -> None:
    world = World()
    world.settles(SETTLE)
    await world.store.create(rescue(plan=plan(Cordon())))
    assert await world.executor.tick() == NOON + SETTLE
    assert (world.rescue().status, world.cluster.nodes()["gpu-1"].unschedulable) == (Status.RUNNING, True)
    await world.run()
    assert (world.rescue().status, world.rescue().ended) == (Status.SUCCEEDED, NOON + SETTLE)


@pytest.mark.parametrize(
    ("policies", "lines", "back"),
    [
        pytest.param(
            REBOOT_79, (CONTAINED, OFF_THE_BUS), True, id="a cordon of the global policy, then a plan that returns"
        ),
        pytest.param(REBOOT_79, (OFF_THE_BUS, CONTAINED), True, id="the same the other way round"),
        pytest.param(BOTH_REBOOT, (CONTAINED, OFF_THE_BUS), True, id="two plans that return"),
    ],
)
async def test_a_family_that_comes_after_the_cordon_has_one_rescue(
    policies: str, lines: tuple[str, ...], back: bool
) -> None:
    inside = Inside(policies, settle=SETTLE)
    for number, text in enumerate(lines):
        await inside.take(text, NOON + number * SECOND)
        await inside.world.executor.tick()
    assert inside.world.cluster.nodes()["gpu-1"].unschedulable
    await inside.world.run()
    one = inside.rescue()
    assert one.status is Status.SUCCEEDED
    assert [step for step, _ in started(one)] == ["cordon", "drain", "reboot", "unCordon"]
    assert [at for _, at in started(one)][:2] == [timedelta(0), SETTLE]
    node = inside.world.cluster.nodes()["gpu-1"]
    assert (node.unschedulable, CORDONED_BY in node.annotations) == (not back, False)
    assert len(inside.world.cluster.reboots) == 1
    assert [record.id for record in inside.world.sink.records] == [record.id for record in records(one)]
    joined = inside.told("action").index("fault-joined")
    assert inside.told("action")[:joined] == ["fault-detected", "rescue-planned", "step-started", "step-ended"]


async def test_two_halves_of_a_family_that_two_replicas_saw_are_one_rescue_after_the_cordon_too() -> None:
    world = World()
    world.settles(SETTLE)
    await world.store.create(rescue("first", plan=plan(Cordon()), cause=node_fault(95)))
    await world.executor.tick()
    world.clock.move_to(NOON + SECOND)
    await world.store.create(rescue("second", now=NOON + SECOND, plan=plan(priority=20)))
    await world.run()
    assert [one.status for one in world.store.all()] == [Status.SUCCEEDED, Status.CANCELLED]
    assert world.rescue("first").folded == ("second",)
    assert [step for step, _ in started(world.rescue("first"))][:3] == ["cordon", "drain", "reboot"]
    assert len(world.cluster.reboots) == 1


async def test_what_comes_after_the_drain_has_started_has_a_rescue_of_its_own_and_one_reboot_does() -> None:
    inside = Inside(BOTH_REBOOT, settle=SETTLE)
    await inside.take(CONTAINED)
    await inside.world.run(NOON + SETTLE)
    await inside.world.executor.tick()
    await inside.intake.handle(inside.line(OFF_THE_BUS, NOON + SECOND))
    await inside.world.run()
    assert len(inside.world.store.all()) == 2
    assert len(inside.world.cluster.reboots) == 1
    assert not inside.world.cluster.nodes()["gpu-1"].unschedulable
