"""Whoever is let through counts from then on, though it is not saved yet; who has ended meanwhile is not revived."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from pipeline.clock import ManualClock
from pipeline.decide.guards import GuardSettings
from pipeline.errors import TemporaryError
from pipeline.execute import progress
from pipeline.execute.admissions import Admissions
from pipeline.execute.store import update
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.plan import Cordon
from pipeline.model.rescue import CancelReason, HoldReason, Rescue, Status
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.world import World, gpu_node

MOMENT = timedelta(milliseconds=20)
SECOND = timedelta(seconds=1)


class BusyStore(MemoryStore):
    """Answers no save of those that it keeps waiting before it is told to; `asked` are the names of these."""

    def __init__(self, waits: Callable[[Rescue], bool] = lambda one: one.begun) -> None:
        super().__init__()
        self._waits = waits
        self.asked: list[str] = []
        self.answers = asyncio.Event()

    async def save(self, rescue: Rescue) -> Rescue:
        if self._waits(rescue) and not self.answers.is_set():
            self.asked.append(rescue.name)
            await self.answers.wait()
        return await super().save(rescue)


def _world(store: MemoryStore, nodes: int = 2, most: int = 9) -> World:
    return World(
        [gpu_node(f"gpu-{n}") for n in range(1, nodes + 1)],
        store=store,
        guards=GuardSettings(max_percent=100, max_nodes=most),
        clock=ManualClock(NOON),
    )


def _one(number: int) -> Rescue:
    return rescue(f"r-{number}", f"gpu-{number}", plan=plan(Cordon()))


async def test_of_many_that_are_let_through_at_once_no_more_are_than_may_be_though_no_save_comes_back() -> None:
    store = BusyStore()
    world = _world(store, nodes=20, most=3)
    for number in range(1, 21):
        await store.create(_one(number))
    for _ in range(3):
        await world.executor.tick(MOMENT)
    assert len(store.asked) == 3
    held = [one for one in store.all() if one.reason == HoldReason.MAX_NODES]
    assert (len(held), {one.name for one in held}.isdisjoint(store.asked)) == (17, True)
    assert not any(node.unschedulable for node in world.cluster.nodes().values())
    store.answers.set()
    await world.executor.settle()
    await world.executor.tick()
    statuses = [one.status for one in store.all()]
    assert (statuses.count(Status.SUCCEEDED), statuses.count(Status.HELD)) == (3, 17)


def _cancelled(one: Rescue) -> Rescue:
    return progress.cancelled(one, NOON, CancelReason.FOLDED, "somebody else has folded it")


async def test_one_that_is_ended_while_it_is_saved_that_it_starts_stays_ended() -> None:
    store = BusyStore()
    world = _world(store)
    await store.create(_one(1))
    await world.executor.tick(MOMENT)
    assert store.asked == ["r-1"]
    await update(store, "r-1", _cancelled)
    store.answers.set()
    await world.executor.settle()
    await world.executor.tick()
    assert (world.rescue("r-1").status, world.rescue("r-1").begun) == (Status.CANCELLED, False)
    assert not world.cluster.nodes()["gpu-1"].unschedulable
    assert world.actions[-1] == "rescue-cancelled"


@pytest.mark.parametrize(
    ("change", "status", "starts"),
    [
        pytest.param(_cancelled, Status.CANCELLED, 0, id="has ended"),
        pytest.param(lambda one: progress.started(one, 0, NOON), Status.SUCCEEDED, 1, id="has begun"),
    ],
)
async def test_one_that_somebody_has_taken_further_while_it_waited_for_its_turn_is_not_let_through(
    change: Callable[[Rescue], Rescue], status: Status, starts: int
) -> None:
    """Another one, on a node that nobody knows, is being held meanwhile."""
    store = BusyStore(lambda one: one.status is Status.HELD)
    world = _world(store)
    await store.create(rescue("lost", "gpu-9"))
    await store.create(_one(1))
    await world.executor.tick(MOMENT)
    assert store.asked == ["lost"]
    await update(store, "r-1", change)
    store.answers.set()
    await world.executor.settle()
    await world.executor.tick()
    assert world.rescue("r-1").status is status
    assert world.actions.count("step-started") == starts
    assert world.cluster.nodes()["gpu-1"].unschedulable is (starts > 0)


async def test_one_that_is_being_started_is_not_folded_into_another_one_of_its_node() -> None:
    """The younger one begins first, since the older one is seen only now, and takes the older one over."""
    store = BusyStore()
    world = _world(store)
    await store.create(rescue("younger", now=NOON + SECOND, plan=plan(Cordon())))
    world.clock.move_to(NOON + SECOND)
    await world.executor.tick(MOMENT)
    assert store.asked == ["younger"]
    await store.create(rescue("older", plan=plan(Cordon())))
    await world.executor.tick(MOMENT)
    store.answers.set()
    await world.executor.settle()
    await world.run()
    assert {one.name: one.status for one in store.all()} == {
        "younger": Status.SUCCEEDED,
        "older": Status.CANCELLED,
    }
    assert world.rescue("younger").folded == ("older",)


class AwayOnce(MemoryStore):
    """Is away at the first save."""

    def __init__(self) -> None:
        super().__init__()
        self.away = True

    async def save(self, rescue: Rescue) -> Rescue:
        if self.away:
            self.away = False
            raise TemporaryError("no leader")
        return await super().save(rescue)


async def _fails(asking: Callable[[], Awaitable[bool]]) -> None:
    with pytest.raises(TemporaryError):
        await asking()


async def _is_cancelled(asking: Callable[[], Awaitable[bool]]) -> None:
    task = asyncio.ensure_future(asking())
    await asyncio.wait({task}, timeout=0.02)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize(
    ("new_store", "ends"),
    [pytest.param(AwayOnce, _fails, id="fails"), pytest.param(BusyStore, _is_cancelled, id="is cancelled")],
)
async def test_the_place_of_one_whose_save_does_not_come_about_is_free_again(
    new_store: Callable[[], MemoryStore], ends: Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
) -> None:
    store = new_store()
    world = _world(store, most=1)
    first, second = [await store.create(_one(number)) for number in (1, 2)]
    admissions = Admissions(store, world.cluster, world.guards, NOON)
    await ends(lambda: admissions.ask(first, 0, NOON))
    if isinstance(store, BusyStore):
        store.answers.set()
    assert await admissions.ask(second, 0, NOON) is False
    assert [one.begun for one in store.all()] == [False, True]
