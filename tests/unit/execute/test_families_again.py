"""The faults of one failure, delivered again, with restarts and kills in between: counted once, and nothing lost."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.execute.records import records
from pipeline.model.rescue import Rescue
from tests.fakes.faults import NOON
from tests.fakes.intake import REBOOT_79, Inside
from tests.fakes.killing import KilledError, Killer, KillingSink, KillingStore
from tests.fakes.world import World

MOMENT = timedelta(milliseconds=100)
SETTLE = timedelta(seconds=2)
REBOOT_154 = REBOOT_79.replace('["79"]', '["154:2"]')
VERDICT = "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"


def xid(code: int, pci: str = "0000:3b:00") -> str:
    return f"NVRM: Xid (PCI:{pci}): {code}, pid=7, name=python3, what happened"


TEXTS = (xid(63), xid(48), xid(94), VERDICT, xid(45))


async def take(inside: Inside, text: str, number: int) -> None:
    await inside.take(text, NOON + MOMENT * number)


@pytest.mark.parametrize("remembers", [True, False])
async def test_lines_that_are_delivered_again_change_nothing(remembers: bool) -> None:
    """A replica that takes over a partition may have read the store before or not."""
    inside = Inside(REBOOT_154, settle=SETTLE)
    for number, text in enumerate(TEXTS):
        await take(inside, text, number)
    before, told = inside.rescue(), len(inside.world.sink.records)
    again = inside.restarted() if remembers else Inside(REBOOT_154, inside.world, SETTLE)
    for other in (inside, again):
        for number, text in enumerate(TEXTS):
            await other.intake.handle(other.line(text, NOON + MOMENT * number))
        await other.intake.flush()
    assert inside.rescue() == before
    assert len(inside.world.sink.records) == told


async def test_after_a_restart_a_fault_of_the_family_still_joins_and_repeats_go_on() -> None:
    inside = Inside(REBOOT_154, settle=SETTLE)
    await take(inside, xid(63), 0)
    await take(inside, xid(48), 1)
    again = inside.restarted()
    await take(again, VERDICT, 2)
    await take(again, xid(63), 3)
    await take(again, xid(45), 600)
    assert [(one.fault.fault.code, one.count) for one in again.rescue().members] == [
        (48, 1),
        (63, 2),
        (154, 1),
        (45, 1),
    ]
    assert again.rescue().cause.fault.code == 154


async def test_a_line_that_leads_to_a_plan_when_it_comes_again_has_its_plan_followed() -> None:
    """It joined as one that leads to nothing; then the policies changed, and it was not acknowledged."""
    inside = Inside(REBOOT_154, settle=SETTLE)
    await take(inside, xid(48), 0)
    await take(inside, xid(63), 1)
    other = Inside(REBOOT_79.replace('["79"]', '["63"]'), inside.world, SETTLE)
    await take(other, xid(63), 1)
    await inside.world.run()
    assert len(inside.world.cluster.reboots) == 1


def _told(world: World) -> list[str]:
    return sorted(record.id for record in world.sink.records)


async def _with_a_kill(killer: Killer) -> tuple[World, str | None]:
    """Take every line; whoever is killed is followed by another process, to which all of them are delivered again."""
    world = World(store=KillingStore(killer), sink=KillingSink(killer))
    for _ in range(2):
        inside = Inside(REBOOT_154, world, SETTLE)
        inside.intake.restore()
        try:
            for number, text in enumerate(TEXTS):
                world.clock.move_to(NOON + MOMENT * number)
                await inside.intake.handle(inside.line(text, NOON + MOMENT * number))
            break
        except KilledError:
            pass
    await world.executor.record_rest()
    return world, killer.killed


async def test_a_family_survives_a_kill_at_every_moment() -> None:
    counted = Killer(None)
    whole, _ = await _with_a_kill(counted)
    (expected,) = whole.store.all()
    assert counted.moments > 20
    for at in range(1, counted.moments + 1):
        world, killed = await _with_a_kill(Killer(at))
        (rescue,) = world.store.all()
        assert {one.name: one.count for one in rescue.members} == {one.name: one.count for one in expected.members}, (
            killed
        )
        assert (rescue.count, rescue.cause) == (expected.count, expected.cause), killed
        assert rescue.plan.actions == expected.plan.actions, killed
        ids = {record.id for record in records(rescue)}
        assert ids <= set(_told(world)), killed


CODES = st.sampled_from([13, 45, 48, 63, 64, 74, 94, 95, 79])
GPUS = st.sampled_from(["0000:3b:00", "0000:86:00"])
EVENTS = st.lists(
    st.tuples(CODES, GPUS, st.integers(0, 25), st.sampled_from(["once", "once", "twice", "restart", "tick"])),
    max_size=25,
)


async def _play(events: list[tuple[int, str, int, str]]) -> tuple[World, int]:
    inside = Inside(REBOOT_79, settle=SETTLE)
    moment, lines = NOON, 0
    for code, gpu, later, what in events:
        moment = _later(moment, later)
        lines += 1
        await inside.take(xid(code, gpu), moment)
        known = {one.name for rescue in inside.world.store.all() for one in rescue.members}
        if what == "twice" and _opened(inside, moment) & known:
            await inside.take(xid(code, gpu), moment)
        elif what == "restart":
            await inside.intake.flush()
            inside = inside.restarted()
        elif what == "tick":
            await inside.world.executor.tick()
    await inside.intake.flush()
    await inside.world.executor.record_rest()
    return inside.world, lines


def _later(moment: datetime, steps: int) -> datetime:
    return moment + MOMENT * steps + timedelta(microseconds=1)


def _opened(inside: Inside, moment: datetime) -> set[str]:
    return {
        one.name for rescue in inside.world.store.all() for one in rescue.members if one.fault.fault.line.time == moment
    }


def _skipped(world: World, rescues: list[Rescue]) -> Counter[str]:
    """How often each fault that has no rescue was seen, as the records tell."""
    members = {one.name for rescue in rescues for one in rescue.members}
    counts: Counter[str] = Counter()
    for record in world.sink.records:
        name = record.id.split("/")[0]
        if name not in members:
            counts[name] = max(counts[name], record.document["gpu_rescue"]["fault"]["count"])
    return counts


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_whatever_comes_every_line_is_counted_once_and_every_record_stays_as_it_was(
    events: list[tuple[int, str, int, str]],
) -> None:
    world, lines = asyncio.run(_play(events))
    rescues = list(world.store.all())
    # A half that was taken over has handed its members on.
    alive = [rescue for rescue in rescues if rescue.reason != "folded"]
    handed_on = {one.name for rescue in alive for one in rescue.members}
    left = [
        one for rescue in rescues if rescue.reason == "folded" for one in rescue.members if one.name not in handed_on
    ]
    assert (
        sum(rescue.count for rescue in alive) + sum(one.count for one in left) + _skipped(world, rescues).total()
        == lines
    )
    for rescue in rescues:
        assert rescue.count == sum(one.count for one in rescue.members)
        written = {record.id: record for record in world.sink.records}
        assert all(written[record.id] == record for record in records(rescue))
