"""Rule 1: nothing acts on a stale line; it is recorded and skipped. Broken by taking out the guard that stops it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.model.guard import Guard
from pipeline.model.plan import SkipReason
from tests.fakes.breaking import take_out
from tests.fakes.faults import NOON
from tests.fakes.intake import OFF_THE_BUS, REBOOT_79, Inside

POLICY = REBOOT_79.replace('["79"]', '["79", "62"]')
HALT = "NVRM: Xid (PCI:0000:3b:00): 62, pid=7, name=python3, Internal micro-controller halt"
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
Scene = Callable[[Inside], Awaitable[None]]


async def _late(inside: Inside) -> None:
    await inside.intake.handle(inside.line(OFF_THE_BUS, NOON - 10 * MINUTE - SECOND, "gpu-1"))


async def _ahead(inside: Inside) -> None:
    await inside.intake.handle(inside.line(OFF_THE_BUS, NOON + 10 * MINUTE + SECOND, "gpu-1"))


async def _of_another_boot(inside: Inside) -> None:
    await inside.intake.handle(replace(inside.line(OFF_THE_BUS, NOON, "gpu-1"), boot_id="0" * 32))


async def _before_the_proof_of_our_reboot(inside: Inside) -> None:
    """Nobody looked for half a minute after the machine was up, so that its boot does not tell: our rescue does."""
    await inside.take(OFF_THE_BUS)
    await inside.world.run(until=NOON + 3 * MINUTE - SECOND)
    inside.world.clock.move_to(NOON + 3 * MINUTE + 30 * SECOND)
    await inside.world.run()
    assert inside.world.cluster.nodes()["gpu-1"].booted_at == NOON + 3 * MINUTE
    await inside.intake.handle(inside.line(HALT, NOON + 3 * MINUTE + 10 * SECOND, "gpu-1"))


ROWS = [
    pytest.param(_late, 0, Guard.AGE, SkipReason.STALE, id="a line a second older than max_age"),
    pytest.param(_ahead, 0, Guard.AGE, SkipReason.IN_THE_FUTURE, id="a line as far ahead of the clock"),
    pytest.param(_of_another_boot, 0, Guard.BOOT, SkipReason.OLDER_THAN_BOOT, id="a line of another boot"),
    pytest.param(
        _before_the_proof_of_our_reboot,
        1,
        Guard.LAST_RESCUE,
        SkipReason.OLDER_THAN_RESCUE,
        id="a line from before the proof of our own reboot",
    ),
]


@pytest.mark.parametrize(("scene", "before", "guard", "reason"), ROWS)
async def test_a_stale_line_is_recorded_and_leads_to_nothing(
    scene: Scene, before: int, guard: Guard, reason: SkipReason
) -> None:
    inside = Inside(POLICY)
    await scene(inside)
    await inside.world.run()
    assert len(inside.world.store.all()) == len(inside.world.cluster.reboots) == before
    assert [told for told in zip(inside.world.actions, inside.told("reason"), strict=True) if told[1] is not None] == [
        ("fault-skipped", reason)
    ]


@pytest.mark.parametrize(("scene", "before", "guard", "reason"), ROWS)
async def test_without_its_guard_the_line_is_acted_on(
    scene: Scene, before: int, guard: Guard, reason: SkipReason, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_out(monkeypatch, guard)
    inside = Inside(POLICY)
    await scene(inside)
    await inside.world.run()
    acted_on = [rescue for rescue in inside.world.store.all() if rescue.begun]
    assert len(acted_on) == before + 1
    assert reason not in inside.told("reason")


async def _two_hours_late() -> Inside:
    inside = Inside(POLICY)
    inside.world.clock.move_to(NOON + 120 * MINUTE)
    for second in range(100):
        await inside.intake.handle(inside.line(OFF_THE_BUS, NOON + second * SECOND, f"gpu-{second % 2 + 1}"))
    await inside.intake.flush()
    await inside.world.run()
    return inside


async def test_a_consumer_that_comes_back_after_two_hours_reboots_nothing() -> None:
    inside = await _two_hours_late()
    assert inside.world.cluster.reboots == ()
    assert [seen for seen in inside.told("reason") if seen == SkipReason.STALE] == [SkipReason.STALE] * 2


async def test_without_the_guard_it_reboots_what_was_whole_for_two_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    take_out(monkeypatch, Guard.AGE)
    inside = await _two_hours_late()
    assert [reboot.node for reboot in inside.world.cluster.reboots] == ["gpu-1", "gpu-2"]
