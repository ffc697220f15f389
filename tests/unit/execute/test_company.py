"""What a poll of held rescues costs does not grow with what has ended, nor with nodes for each of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.decide import census
from pipeline.decide.guards import GroupLimit, GuardSettings
from pipeline.decide.incidents import Incidents
from pipeline.decide.out_of_service import out_of_service
from pipeline.errors import ConflictError
from pipeline.execute import progress
from pipeline.execute.company import Company, FleetCopy
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.node import Node
from pipeline.model.plan import Cordon
from pipeline.model.rescue import CancelReason, HoldReason, Rescue, Status
from tests.fakes.faults import NOON, node_fault, plan, rescue
from tests.fakes.intake import OFF_THE_BUS, Inside
from tests.fakes.world import World, gpu_node

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
CLIQUE = "nvidia.com/gpu.clique"


def _ended(name: str, node: str, now: datetime = NOON) -> Rescue:
    one = rescue(name, node, now, cause=node_fault(63, node, now), plan=plan(Cordon()))
    return replace(one, status=Status.SUCCEEDED, ended=now, recorded=len(one.journal))


class Calls:
    """Counts the calls of a function, and has it answer all the same."""

    def __init__(self, function: Any) -> None:
        self.function, self.made = function, 0

    def __call__(self, *given: Any) -> Any:
        self.made += 1
        return self.function(*given)


async def _poll(held: int, monkeypatch: pytest.MonkeyPatch, **guards: Any) -> tuple[int, World]:
    """How often all nodes are counted when so many rescues are held, have told so, and ask again."""
    nodes = [gpu_node(f"gpu-{n}", labels={"rack": f"r{n % 3}"}) for n in range(held + 10)]
    world = World(nodes, guards=GuardSettings(max_percent=100, max_nodes=len(nodes), **guards))
    for number in range(held):
        await world.store.create(rescue(f"r{number}", f"gpu-{number}"))
    for _ in range(2):
        due = await world.executor.tick()
        assert due is not None
        world.clock.move_to(due)
    assert {one.reason for one in world.store.all()} == {HoldReason.MAX_PER_GROUP}
    calls = Calls(out_of_service)
    monkeypatch.setattr(census, "out_of_service", calls)
    await world.executor.tick()
    return calls.made, world


@pytest.mark.parametrize("held", [3, 60])
async def test_all_nodes_are_counted_once_for_all_that_are_held(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    none = (GroupLimit(label="rack", max_nodes=0),)
    assert (await _poll(held, monkeypatch, groups=none))[0] == 1


async def test_what_is_let_through_counts_for_the_next_that_asks() -> None:
    world = World([gpu_node(f"gpu-{n}") for n in range(10)], guards=GuardSettings(max_percent=100, max_nodes=2))
    for number in range(10):
        await world.store.create(rescue(f"r{number}", f"gpu-{number}", plan=plan(Cordon())))
    await world.executor.tick()
    statuses = [one.status for one in world.store.all()]
    assert (statuses.count(Status.SUCCEEDED), statuses.count(Status.HELD)) == (2, 8)


class Looked:
    """Nodes that remember how often they were looked up."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.synced, self.generation, self.looked = True, 1, 0
        self._nodes = {node.name: node for node in nodes}

    def nodes(self) -> Mapping[str, Node]:
        self.looked += 1
        return self._nodes

    def changed_since(self, generation: int) -> Iterable[str]:
        return self._nodes


async def test_the_company_is_looked_up_again_when_a_rescue_or_a_node_has_changed() -> None:
    store, nodes = MemoryStore(), Looked([gpu_node()])
    first = await store.create(rescue("first"))
    company = Company(store, FleetCopy(nodes), GuardSettings(), NOON, {})
    before = company.census(False)
    assert company.census(False) is before
    await store.save(replace(first, count=2))
    after = company.census(False)
    assert (after is before, after.fleet is before.fleet) == (False, True)
    nodes.generation += 1
    assert company.census(False).fleet is not before.fleet
    assert company.census(True) is not company.census(False)


async def test_the_company_of_a_rescue_are_the_open_ones_those_of_its_node_and_those_that_ended_lately() -> None:
    store = MemoryStore()
    mine = await store.create(rescue("mine"))
    await store.create(rescue("open", "gpu-2"))
    await store.create(_ended("here", "gpu-1", NOON - 60 * MINUTE))
    await store.create(_ended("there", "gpu-3", NOON - 60 * MINUTE))
    await store.create(_ended("lately", "gpu-3", NOON - MINUTE))
    company = Company(store, FleetCopy(Looked([])), GuardSettings(), NOON, {})
    assert {one.name for one in company.of(mine)} == {"mine", "open", "here", "lately"}


async def test_of_what_has_ended_before_only_what_shares_a_label_is_looked_at() -> None:
    store, days = MemoryStore(), timedelta(days=3)
    nodes = [gpu_node(f"gpu-{n}", labels={CLIQUE: f"c{n % 100}"}) for n in range(500)]
    mine = await store.create(rescue("mine", "gpu-0", cause=node_fault(63, "gpu-0")))
    for number in range(1, 500):
        await store.create(_ended(f"e{number}", f"gpu-{number}", NOON + number * SECOND))
    company = Company(store, FleetCopy(Looked(nodes)), GuardSettings(), NOON + days, {})
    shared = company.census(False)
    assert [one.name for one in company.of(mine)] == ["mine"]
    assert [one.name for one in shared.sharing(CLIQUE, "c0")] == ["e100", "e200", "e300", "e400", "mine"]


@pytest.mark.parametrize("ended", [10, 500])
async def test_a_repeated_line_looks_at_none_of_what_has_ended_on_its_node(
    ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Inside()
    for number in range(ended):
        await inside.world.store.create(_ended(f"e{number}", "gpu-1", NOON - timedelta(days=1) + number * SECOND))
    await inside.take(OFF_THE_BUS)
    closed: list[Rescue] = []
    real = Incidents.close

    def close(self: Incidents, *rescues: Rescue) -> None:
        closed.extend(rescues)
        real(self, *rescues)

    monkeypatch.setattr(Incidents, "close", close)
    lines = 1000
    for number in range(lines):
        await inside.take(OFF_THE_BUS, NOON + (number + 1) * timedelta(milliseconds=1))
    changes = 10
    assert len(closed) <= (changes + 1) * (ended + 1)
    assert len(inside.world.store.all()) == ended + 1


class Contested(MemoryStore):
    """Somebody else has written the rescue *name* just before us, once."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.fetched = name, list[str]()

    async def save(self, rescue: Rescue) -> Rescue:
        if rescue.name == self.name and not self.fetched and rescue.status.ended:
            stored = self.get(rescue.name)
            assert stored is not None
            await super().save(replace(stored, count=stored.count + 1))
            raise ConflictError("changed by somebody else")
        return await super().save(rescue)

    async def fetch(self, name: str) -> Rescue | None:
        self.fetched.append(name)
        return await super().fetch(name)


async def test_a_rescue_that_is_folded_while_somebody_writes_it_is_read_again_itself() -> None:
    world = World(store=Contested("second"))
    await world.store.create(rescue("first", plan=plan(Cordon())))
    await world.store.create(rescue("second", now=NOON + SECOND, cause=node_fault(64), plan=plan(Cordon())))
    world.clock.move_to(NOON + SECOND)
    await world.executor.tick()
    assert isinstance(world.store, Contested)
    assert world.store.fetched == ["second"]
    second = world.rescue("second")
    assert (second.status, second.reason, second.count) == (Status.CANCELLED, CancelReason.FOLDED, 2)


async def test_who_was_let_through_counts_before_the_store_shows_it() -> None:
    store, starting = MemoryStore(), dict[str, Rescue]()
    mine, other = await store.create(rescue("mine")), await store.create(rescue("other", node="gpu-2"))
    company = Company(store, FleetCopy(Looked([])), GuardSettings(), NOON, starting)
    assert (company.census(False).out.all, company.census(False).out.busy) == (frozenset(), {})
    starting["other"] = progress.started(other, 0, NOON)
    assert company.census(False).out.busy == {"other": "gpu-2"}
    assert [one.begun for one in company.of(mine) if one.name == "other"] == [True]
    del starting["other"]
    assert company.census(False).out.busy == {}
