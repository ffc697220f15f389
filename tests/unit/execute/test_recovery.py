"""The driver takes its verdict back, Xid 154 to 0: a cordon is undone, the next verdict is another one."""

import asyncio
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator

from pipeline.decide.guards import GuardSettings
from pipeline.execute import progress
from pipeline.execute.records import records
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.node import Pod
from pipeline.model.ownership import CORDONED_BY
from pipeline.model.rescue import CancelReason, HoldReason, Rescue, Status
from sinks.schema import record_schema
from tests.fakes.faults import NOON
from tests.fakes.intake import OFF_THE_BUS, REBOOT_79, Inside
from tests.fakes.killing import KilledError, Killer, KillingSink, KillingStore
from tests.fakes.world import World, gpu_node

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SETTLE = 2 * SECOND
REBOOT_154 = REBOOT_79.replace('["79"]', '["79", "154"]')
REHEARSED = REBOOT_154.replace("spec:", "spec:\n  dryRun: true")
OTHER = "0000:5e:00"
HELD, FOLDED = (Status.HELD, HoldReason.MAX_NODES), (Status.CANCELLED, CancelReason.FOLDED)
SCHEMA = Draft202012Validator(record_schema())
RECOVERED = [(Status.CANCELLED, CancelReason.RECOVERED)]


def verdict(to: str, pci: str = "0000:3b:00") -> str:
    return f"NVRM: Xid (PCI:{pci}): 154, GPU recovery action changed from 0x4 (Drain and Reset) to {to}"


RESET, REBOOT, NONE = verdict("0x1 (GPU Reset Required)"), verdict("0x2 (Node Reboot Required)"), verdict("0x0 (None)")


def full(policies: str = REBOOT_154, store: MemoryStore | None = None) -> Inside:
    """An intake over a cluster out of which no node may be taken now."""
    guards = GuardSettings(max_nodes=0, max_percent=100)
    return Inside(policies, World([gpu_node("gpu-1"), gpu_node("gpu-2")], guards=guards, store=store), SETTLE)


async def hold(inside: Inside) -> None:
    """Let the executor come to every rescue that is there."""
    await inside.world.run(inside.world.clock.now() + SETTLE)


def ends(inside: Inside) -> list[tuple[Status, str | None]]:
    return [(rescue.status, rescue.reason) for rescue in inside.world.store.all()]


async def test_a_rescue_that_is_held_is_given_up_and_people_are_told_by_which_line() -> None:
    inside = full()
    await inside.take(RESET)
    await hold(inside)
    assert inside.statuses == [Status.HELD]
    await inside.take(NONE, NOON + MINUTE)
    assert ends(inside) == RECOVERED
    assert inside.told("action")[-4:] == ["rescue-held", "fault-detected", "fault-skipped", "rescue-cancelled"]
    assert inside.told("reason")[-4:] == ["max-nodes", None, "recovered", "recovered"]
    assert inside.world.sink.records[-1].document["message"] == (
        "gpu-1: nothing is done any more, because the driver has taken its verdict on 0000:3b:00 back: xid 154 at "
        "2026-11-20T12:01:00+00:00: GPU recovery action changed from 0x4 (Drain and Reset) to 0x0 (None)"
    )


@pytest.mark.parametrize("policies", [REBOOT_154, REHEARSED], ids=["done", "rehearsed"])
async def test_a_rescue_that_is_pending_is_given_up(policies: str) -> None:
    inside = Inside(policies, settle=SETTLE)
    await inside.take(REBOOT)
    await inside.take(NONE, NOON + SECOND)
    await inside.world.run()
    assert ends(inside) == RECOVERED
    assert not inside.world.cluster.nodes()["gpu-1"].unschedulable


async def test_a_rescue_that_has_only_cordoned_is_withdrawn_and_its_node_is_given_back() -> None:
    inside = Inside(REBOOT_154, settle=SETTLE)
    await inside.take(REBOOT)
    await inside.world.executor.tick()
    assert inside.world.cluster.nodes()["gpu-1"].unschedulable
    await inside.take(NONE, NOON + SECOND)
    assert (inside.rescue().status, inside.rescue().withdrawn) == (Status.RUNNING, CancelReason.RECOVERED)
    await inside.world.executor.tick()
    node = inside.world.cluster.nodes()["gpu-1"]
    assert (ends(inside), node.unschedulable, CORDONED_BY in node.annotations) == (RECOVERED, False, False)
    assert inside.told("action")[-5:] == [
        "fault-skipped", "rescue-withdrawn", "step-started", "step-ended", "rescue-cancelled",
    ]  # fmt: skip
    *_, withdrawn, _, _, cancelled = inside.world.sink.records
    assert cancelled.document["message"] == f"{withdrawn.document['message']}; gpu-1 is schedulable again"
    assert [
        error.message for record in inside.world.sink.records for error in SCHEMA.iter_errors(record.document)
    ] == []


async def test_a_verdict_that_comes_while_the_cordon_is_undone_has_a_rescue_of_its_own() -> None:
    inside = Inside(REBOOT_154, settle=SETTLE)
    await inside.take(REBOOT)
    await inside.world.executor.tick()
    await inside.take(NONE, NOON + SECOND)
    await inside.take(RESET, NOON + SECOND * 1.5)
    await inside.world.run()
    assert [status for status, _ in ends(inside)] == [Status.CANCELLED, Status.SUCCEEDED]
    assert len(inside.world.cluster.reboots) == 1
    assert not inside.world.cluster.nodes()["gpu-1"].unschedulable


async def test_a_rescue_that_does_more_than_cordon_goes_on() -> None:
    inside = Inside(REBOOT_154, World([gpu_node("gpu-1")], [Pod("team", "train-0", "gpu-1", owner="Job")]))
    await inside.take(REBOOT)
    await inside.world.executor.tick()
    assert inside.rescue().committed
    await inside.take(NONE, NOON + SECOND)
    assert inside.told("reason")[-1] == "recovered"
    await inside.world.run()
    assert inside.statuses == [Status.SUCCEEDED]
    assert len(inside.world.cluster.reboots) == 1


@pytest.mark.parametrize(
    ("text", "at", "node"),
    [
        pytest.param(verdict("0x0 (None)", OTHER), MINUTE, "gpu-1", id="of another GPU of the node"),
        pytest.param(NONE, MINUTE, "gpu-2", id="of the same place in another node"),
        pytest.param(NONE, -SECOND, "gpu-1", id="of before the verdict, read late"),
        pytest.param(RESET, MINUTE, "gpu-1", id="to something else than none"),
    ],
)
async def test_a_rescue_stays_after_a_verdict(text: str, at: timedelta, node: str) -> None:
    inside = full()
    await inside.take(REBOOT)
    await hold(inside)
    inside.world.clock.move_to(NOON + MINUTE)
    await inside.intake.handle(inside.line(text, NOON + at, node))
    held, *_ = inside.world.store.all()
    assert held.status is Status.HELD


async def test_a_recovery_that_is_stale_changes_nothing() -> None:
    inside = full()
    await inside.take(REBOOT)
    await hold(inside)
    inside.world.clock.move_to(NOON + 12 * MINUTE)
    await inside.intake.handle(inside.line(NONE, NOON + MINUTE))
    assert inside.statuses == [Status.HELD]


async def test_a_recovery_that_comes_in_before_a_verdict_that_was_counted_only_changes_nothing() -> None:
    inside = full()
    for second in (0, 1, 2, 3, 30):
        await inside.take(REBOOT, NOON + second * SECOND)
    assert inside.rescue().last_seen == NOON + 3 * SECOND
    await inside.intake.handle(inside.line(NONE, NOON + 20 * SECOND))
    assert (inside.rescue().status, inside.rescue().count) == (Status.PENDING, 5)


async def test_another_fault_of_the_gpu_keeps_the_rescue() -> None:
    inside = full()
    await inside.take(OFF_THE_BUS)
    await inside.take(REBOOT, NOON + SECOND)
    await hold(inside)
    await inside.take(NONE, NOON + MINUTE)
    assert inside.statuses == [Status.HELD]


@pytest.mark.parametrize("lag", [timedelta(0), 5 * SECOND], ids=["read at once", "read late"])
@pytest.mark.parametrize("restarts", [False, True], ids=["the same process", "another process"])
async def test_the_next_verdict_after_a_recovery_is_another_one(lag: timedelta, restarts: bool) -> None:
    inside = full()
    for cycle in range(3):
        for text, at in ((RESET, 2 * cycle), (NONE, 2 * cycle + 1)):
            inside.world.clock.move_to(NOON + at * SECOND + lag)
            await inside.intake.handle(inside.line(text, NOON + at * SECOND))
            inside = inside.restarted() if restarts else inside
    assert ends(inside) == 3 * RECOVERED
    await inside.take(RESET, NOON + MINUTE)
    await hold(inside)
    assert inside.statuses[-1] is Status.HELD


async def test_lines_that_are_delivered_again_change_nothing() -> None:
    first = full()
    lines = [first.line(text, NOON + n * SECOND) for n, text in enumerate((RESET, NONE, RESET))]
    for line in lines:
        await first.intake.handle(line)
    before, told = list(first.world.store.all()), len(first.world.sink.records)
    for inside in (first, first.restarted(), Inside(REBOOT_154, first.world, SETTLE)):
        for line in (*lines, lines[1]):
            await inside.intake.handle(line)
    assert list(first.world.store.all()) == before
    assert len(first.world.sink.records) == told
    assert [rescue.status for rescue in before] == [Status.CANCELLED, Status.PENDING]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(REBOOT, RECOVERED[0], id="a later verdict of the GPU"),
        pytest.param(verdict("0x2 (Node Reboot Required)", OTHER), HELD, id="a verdict of another GPU"),
        pytest.param(OFF_THE_BUS, HELD, id="another fault"),
    ],
)
async def test_a_rescue_ends_by_all_that_it_took_over(second: str, expected: tuple[Status, str]) -> None:
    inside = full()
    await inside.take(RESET)
    await hold(inside)
    await inside.take(second, NOON + MINUTE)
    await hold(inside)
    assert ends(inside) == [HELD, FOLDED]
    await inside.take(NONE, NOON + 2 * MINUTE)
    await hold(inside)
    assert ends(inside) == [expected, FOLDED]


async def test_the_next_verdicts_are_others_also_than_those_that_were_taken_over() -> None:
    inside = full()
    for text, at in ((RESET, 0), (REBOOT, 1), (NONE, 2), (RESET, 3), (REBOOT, 3)):
        await inside.take(text, NOON + at * MINUTE)
        await hold(inside)
    assert ends(inside)[:2] == [*RECOVERED, FOLDED]
    assert {member.count for rescue in inside.world.store.all() for member in rescue.members} == {1}


async def test_a_rescue_that_waits_behind_one_that_recovers_goes_on() -> None:
    inside = full()
    await inside.take(RESET)
    await inside.take(OFF_THE_BUS.replace("0000:3b:00", OTHER), NOON + MINUTE)
    await inside.take(NONE, NOON + MINUTE + SECOND)
    await hold(inside)
    assert inside.statuses == [Status.CANCELLED, Status.HELD]


class SharedStore(MemoryStore):
    """Before it saves that a rescue is given up, another process has it begin."""

    async def save(self, rescue: Rescue) -> Rescue:
        stored = self.get(rescue.name)
        if rescue.status is Status.CANCELLED and stored is not None and not stored.begun:
            await super().save(progress.started(stored, 0, NOON))
        return await super().save(rescue)


async def test_a_rescue_that_another_process_lets_begin_meanwhile_is_withdrawn() -> None:
    inside = full(store=SharedStore())
    await inside.take(RESET)
    await inside.take(NONE, NOON + SECOND)
    assert (inside.rescue().begun, inside.rescue().withdrawn) == (True, CancelReason.RECOVERED)
    assert inside.told("action").count("rescue-cancelled") == 0


async def _play(killer: Killer) -> World:
    """Both lines, delivered again to another process if the first one is killed, and the executor after each."""
    guards = GuardSettings(max_nodes=0, max_percent=100)
    world = World(store=KillingStore(killer), sink=KillingSink(killer), guards=guards)
    for _ in range(2):
        inside = Inside(REBOOT_154, world, SETTLE)
        inside.intake.restore()
        try:
            for number, text in enumerate((RESET, NONE)):
                await inside.intake.handle(inside.line(text, NOON + number * SECOND))
            world.clock.move_to(NOON + SETTLE)
            await world.new_executor().tick()
            break
        except (KilledError, asyncio.CancelledError):
            pass
    return world


async def test_a_kill_at_any_moment_changes_nothing() -> None:
    for at in range(100):
        killer = Killer(at)
        world = await _play(killer)
        (rescue,) = world.store.all()
        assert (rescue.status, rescue.reason) == (Status.CANCELLED, CancelReason.RECOVERED), killer.killed
        assert rescue.recorded == len(rescue.journal), killer.killed
        told = [record.id for record in world.sink.records if record.id.startswith(rescue.name)]
        assert told == [record.id for record in records(rescue)], killer.killed
        assert world.actions.count("fault-skipped") == 1, killer.killed
        if at and killer.killed is None:
            assert at > 10
            return
    raise AssertionError("more than 100 moments")
