"""A fault that goes on: its rescue knows until when, though its count is saved and told at growing intervals only."""

from datetime import timedelta

from pipeline.decide.guards import GuardSettings
from pipeline.execute.progress import prolonged, repeated
from pipeline.model.rescue import HoldReason, Status
from tests.fakes.faults import NOON, rescue
from tests.fakes.intake import APPLICATION, OFF_THE_BUS, REBOOT_79, Inside
from tests.fakes.world import World, gpu_node

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
CORDON_79 = REBOOT_79.replace(', {name: drain}, {name: reboot, attribute: {unCordon: "true"}}', "")
NVLINK = "NVRM: Xid (PCI:0000:3b:00): 74, pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link 6"


def _held_by_the_breaker() -> Inside:
    guards = GuardSettings(max_nodes=0, max_percent=100)
    return Inside(world=World([gpu_node("gpu-1"), gpu_node("gpu-2")], guards=guards))


async def test_a_fault_that_goes_on_once_a_minute_is_not_called_stale() -> None:
    inside = _held_by_the_breaker()
    for minute in range(300):
        await inside.take(OFF_THE_BUS, NOON + minute * MINUTE)
        await inside.intake.sweep()
        await inside.world.executor.tick()
    assert (inside.rescue().status, inside.rescue().reason) == (Status.HELD, HoldReason.MAX_NODES)
    assert NOON + 299 * MINUTE - inside.rescue().last_seen < inside.world.guards.incident_window / 2


async def test_a_storm_is_one_rescue_also_over_a_restart() -> None:
    inside = Inside(CORDON_79)
    for minute in range(200):
        await inside.take(OFF_THE_BUS, NOON + minute * MINUTE)
        await inside.intake.sweep()
        await inside.world.executor.tick()
    await inside.restarted().take(OFF_THE_BUS, NOON + 200 * MINUTE)
    await inside.world.run()
    assert inside.statuses == [Status.SUCCEEDED]


async def test_a_fault_of_the_fabric_that_goes_on_holds_all_its_nodes() -> None:
    nodes = [gpu_node(f"gpu-{n}", labels={"nvidia.com/gpu.clique": "c1"}) for n in range(1, 6)]
    guards = GuardSettings(max_percent=100, max_nodes=50)
    inside = Inside(REBOOT_79.replace("79", "74"), World(nodes, guards=guards))
    for minute in range(400):
        for number in range(1, 6):
            if minute % number == 0:
                await inside.take(NVLINK, NOON + minute * MINUTE, f"gpu-{number}")
        await inside.intake.sweep()
        await inside.world.executor.tick()
    assert [one.reason for one in inside.world.store.all()] == [HoldReason.FABRIC_INCIDENT] * 5
    assert not inside.world.cluster.reboots


async def test_how_long_it_goes_on_adds_nothing_to_the_journal() -> None:
    inside = _held_by_the_breaker()
    for minute in range(300):
        await inside.take(OFF_THE_BUS, NOON + minute * MINUTE)
    repeats = [2, 4, 8, 16, 32, 64, 128, 256]
    counts = [record.document["gpu_rescue"]["fault"]["count"] for record in inside.world.sink.records]
    assert counts == [1, 1, *repeats]
    await inside.intake.flush()
    assert inside.world.sink.records[-1].document["gpu_rescue"]["fault"]["count"] == inside.rescue().count == 300


async def test_a_storm_saves_how_long_it_goes_on_twice_in_a_window_not_line_by_line() -> None:
    inside = _held_by_the_breaker()
    await inside.take(OFF_THE_BUS)
    before = inside.world.store.generation
    for second in range(1, 3601):
        await inside.take(OFF_THE_BUS, NOON + second * SECOND)
    counts, hour = 2 * 11, timedelta(hours=1)
    assert inside.world.store.generation - before <= counts + hour / (inside.world.guards.incident_window / 2)


async def test_a_fault_without_rescue_is_saved_nowhere_however_long_it_goes_on() -> None:
    inside = Inside()
    for minute in range(60):
        await inside.take(APPLICATION, NOON + minute * MINUTE)
    assert inside.world.store.generation == 0


def test_a_rescue_knows_from_when_to_when_each_of_its_faults_was_seen() -> None:
    known = rescue()
    name = known.members[0].name
    later = prolonged(known, name, NOON - SECOND, NOON + MINUTE)
    assert (later.first_seen, later.last_seen, later.count) == (NOON - SECOND, NOON + MINUTE, 1)
    assert (later.members[0].first_seen, later.members[0].last_seen) == (NOON - SECOND, NOON + MINUTE)
    assert later.journal == known.journal
    assert prolonged(later, name, NOON, NOON + SECOND) is later
    assert prolonged(later, "another", NOON, NOON + 2 * MINUTE) is later
    assert repeated(later, name, 2, NOON, NOON + MINUTE).count == 2
