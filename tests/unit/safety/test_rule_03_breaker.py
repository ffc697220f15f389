"""Rule 3: no more nodes out of service by our hand than the limits; what the breaker never holds is never held.

Broken by taking the guards out, and by a breaker that asks of what it must not ask.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.decide import admission
from pipeline.decide.asking import Answer, Asking
from pipeline.decide.breaker import breaker
from pipeline.decide.guards import GuardSettings
from pipeline.model.guard import Guard
from pipeline.model.ownership import CORDONED_BY
from pipeline.model.plan import Cordon, Reboot, Uncordon
from pipeline.model.rescue import CancelReason, HoldReason, Status, StepState
from tests.fakes.breaking import take_out
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.world import World, gpu_node

HOUR = timedelta(hours=1)
Break = Callable[[pytest.MonkeyPatch], None]
NODES = 12


def _world(**guards: Any) -> World:
    """Twelve nodes in racks of six, each with a rescue that only cordons, which a person would lift again."""
    settings = GuardSettings.model_validate({"max_nodes": NODES, "max_percent": 100, **guards})
    return World([gpu_node(f"gpu-{n}", labels={"rack": f"r{n % 2}"}) for n in range(NODES)], guards=settings)


async def _most_out(world: World) -> tuple[int, int]:
    """The most nodes out of service by our hand at any time, of the cluster and of one rack."""
    for n in range(NODES):
        await world.store.create(rescue(f"r-{n}", f"gpu-{n}", plan=plan(Cordon())))
    most = most_of_rack = 0
    due: datetime | None = NOON
    while due is not None and due <= NOON + HOUR / 2:
        world.clock.move_to(due)
        due = await world.executor.tick()
        ours = [node.labels["rack"] for node in world.cluster.nodes().values() if CORDONED_BY in node.annotations]
        most, most_of_rack = max(most, len(ours)), max(most_of_rack, ours.count("r0"), ours.count("r1"))
    return most, most_of_rack


LIMITS = [
    pytest.param({"max_nodes": 3}, Guard.BREAKER, 3, 3, id="three nodes"),
    pytest.param({"max_percent": 25}, Guard.BREAKER, 3, 3, id="a quarter of the nodes with GPUs"),
    pytest.param({"max_nodes": 0}, Guard.BREAKER, 0, 0, id="none at all"),
    pytest.param({"groups": [{"label": "rack", "max_nodes": 2}]}, Guard.GROUP_BREAKER, 4, 2, id="two of each rack"),
    pytest.param({"groups": [{"label": "rack", "max_percent": 50}]}, Guard.GROUP_BREAKER, 6, 3, id="half of each rack"),
]


@pytest.mark.parametrize(("limit", "guard", "most", "of_rack"), LIMITS)
async def test_faults_on_all_nodes_take_out_no_more_than_the_limit(
    limit: dict[str, Any], guard: Guard, most: int, of_rack: int
) -> None:
    world = _world(**limit)
    out, out_of_rack = await _most_out(world)
    assert out == most
    assert out_of_rack <= of_rack
    assert [one.status for one in world.store.all()].count(Status.HELD) == NODES - most


@pytest.mark.parametrize(("limit", "guard", "most", "of_rack"), LIMITS)
async def test_without_the_guard_they_take_out_the_whole_cluster(
    limit: dict[str, Any], guard: Guard, most: int, of_rack: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_out(monkeypatch, guard)
    assert await _most_out(_world(**limit)) == (NODES, NODES // 2)


def _asked_of_every_step(asking: Asking) -> Answer:
    """A breaker that forgets that the rescue has begun, so that its node counts already."""
    steps = tuple(StepState() for _ in asking.rescue.steps)
    return breaker(replace(asking, rescue=replace(asking.rescue, steps=steps)))


def _asks_of_what_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    eager = tuple((guard, _asked_of_every_step if guard is Guard.BREAKER else ask) for guard, ask in admission.GUARDS)
    monkeypatch.setattr(admission, "GUARDS", eager)


def _asks_of_uncordon(monkeypatch: pytest.MonkeyPatch) -> None:
    _asks_of_what_has_begun(monkeypatch)
    monkeypatch.setattr("pipeline.execute.executor._GENTLE", ())
    monkeypatch.setattr(admission, "ActionName", SimpleNamespace(UNCORDON="no step"))


async def _breaker_opens(after: timedelta) -> World:
    """A rescue is under way when somebody sets the limit to none; another one waits."""
    world = World([gpu_node("gpu-1"), gpu_node("gpu-2")])
    await world.store.create(rescue("begun", plan=plan(Cordon(), Reboot(timedelta(minutes=5)), Uncordon())))
    await world.run(until=NOON + after)
    world.guards = world.guards.model_copy(update={"max_nodes": 0})
    world.executor = world.new_executor()
    await world.store.create(rescue("waiting", "gpu-2", world.clock.now()))
    await world.run(until=NOON + 4 * HOUR)
    return world


ROWS = [
    pytest.param(timedelta(minutes=1), _asks_of_what_has_begun, id="before the reboot"),
    pytest.param(timedelta(minutes=6), _asks_of_uncordon, id="before unCordon"),
]


@pytest.mark.parametrize(("after", "breaks"), ROWS)
async def test_an_open_breaker_brings_back_what_is_out_gives_up_what_waits_and_records_both(
    after: timedelta, breaks: Break
) -> None:
    world = await _breaker_opens(after)
    assert world.rescue("begun").status is Status.SUCCEEDED
    assert not world.cluster.nodes()["gpu-1"].unschedulable
    assert (world.rescue("waiting").status, world.rescue("waiting").reason) == (Status.CANCELLED, CancelReason.STALE)
    told = [
        (record.document["event"]["action"], record.document["event"].get("reason")) for record in world.sink.records
    ]
    assert ("rescue-held", HoldReason.MAX_NODES) in told
    assert ("rescue-cancelled", CancelReason.STALE) in told


@pytest.mark.parametrize(("after", "breaks"), ROWS)
async def test_one_that_asks_of_what_has_begun_leaves_its_node_out(
    after: timedelta, breaks: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    world = await _breaker_opens(after)
    assert world.rescue("begun").status is Status.HELD
    assert world.cluster.nodes()["gpu-1"].unschedulable


async def test_one_that_asks_first_gives_up_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    last_first = sorted(admission.GUARDS, key=lambda one: one[0] is not Guard.BREAKER)
    monkeypatch.setattr(admission, "GUARDS", tuple(last_first))
    world = World(guards=GuardSettings(max_nodes=0))
    await world.store.create(rescue())
    await world.run(until=NOON + 5 * HOUR)
    await world.executor.tick()
    assert world.rescue().status is Status.HELD


async def _waits_behind_old_cordons(window: timedelta) -> Status:
    guards = GuardSettings(max_percent=100, max_nodes=1, breaker_window=window)
    world = World([gpu_node("gpu-1"), gpu_node("gpu-2")], guards=guards)
    await world.store.create(rescue("old", plan=plan(Cordon())))
    await world.run()
    await world.store.create(rescue("new", "gpu-2", NOON))
    await world.run()
    return world.rescue("new").status


async def test_it_half_opens_by_itself() -> None:
    assert await _waits_behind_old_cordons(HOUR) is Status.SUCCEEDED


async def test_one_that_never_half_opens_waits_until_the_fault_counts_no_longer() -> None:
    assert await _waits_behind_old_cordons(1000 * HOUR) is Status.CANCELLED
