"""Rule 10: a line that did not come from the kernel is refused, and with `require_kernel` one that does not tell.

Broken by taking out the guard. The messages are whole, as a shipper sends them, and go through the real decoder.
"""

import pytest

from pipeline.decide.guards import GuardSettings
from pipeline.model.guard import Guard
from pipeline.model.plan import SkipReason
from pipeline.sources.port import Delivery
from tests.fakes.breaking import take_out
from tests.fakes.intake import OFF_THE_BUS, Inside
from tests.fakes.world import World, gpu_node

KERNEL = f"<4>1 2026-11-20T12:00:00Z gpu-1 kernel - - - {OFF_THE_BUS}"
PROGRAM = f"<12>1 2026-11-20T12:00:00Z gpu-1 myapp 12 - - {OFF_THE_BUS}"
UNTOLD = f"2026-11-20T12:00:00Z gpu-1 {OFF_THE_BUS}"
REFUSED = [
    pytest.param(PROGRAM, False, id="a line that another program wrote"),
    pytest.param(PROGRAM, True, id="a line that another program wrote, where the kernel is required"),
    pytest.param(UNTOLD, True, id="a line that does not tell, where the kernel is required"),
]


async def _acknowledge() -> None:
    raise AssertionError("intake acknowledges nothing")


async def _take(message: str, require_kernel: bool) -> Inside:
    guards = GuardSettings(max_percent=100, require_kernel=require_kernel)
    inside = Inside(world=World([gpu_node("gpu-1")], guards=guards))
    (line,) = inside.intake.lines(Delivery(message.encode(), "log:0", _acknowledge))
    await inside.intake.handle(line)
    await inside.world.run()
    return inside


@pytest.mark.parametrize(("message", "require_kernel"), REFUSED)
async def test_it_is_recorded_and_not_acted_on(message: str, require_kernel: bool) -> None:
    inside = await _take(message, require_kernel)
    assert inside.told("reason") == [None, SkipReason.NOT_FROM_KERNEL]
    assert (inside.world.actions, inside.world.cluster.reboots) == (["fault-detected", "fault-skipped"], ())


@pytest.mark.parametrize(
    ("message", "require_kernel"),
    [
        pytest.param(KERNEL, False, id="the kernel's"),
        pytest.param(KERNEL, True, id="the kernel's, where it is required"),
        pytest.param(UNTOLD, False, id="one that does not tell"),
    ],
)
async def test_other_lines_are_acted_on(message: str, require_kernel: bool) -> None:
    assert len((await _take(message, require_kernel)).world.cluster.reboots) == 1


@pytest.mark.parametrize(("message", "require_kernel"), REFUSED)
async def test_without_the_guard_anybody_who_writes_a_log_reboots_the_node(
    message: str, require_kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_out(monkeypatch, Guard.ORIGIN)
    assert [reboot.node for reboot in (await _take(message, require_kernel)).world.cluster.reboots] == ["gpu-1"]
