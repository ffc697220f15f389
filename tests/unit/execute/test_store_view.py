"""A view of the store shows some of its rescues, and for whoever uses it there are no others."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.repeat import occurrence_of
from pipeline.errors import ConflictError, NotFoundError
from pipeline.execute.store import update
from pipeline.execute.store_memory import MemoryStore
from pipeline.execute.store_view import Shows, StoreView, acts, is_drill, is_rehearsed
from pipeline.model.fault import Drill
from pipeline.model.occurrence import Gpu
from pipeline.model.rescue import Member, Rescue, Status
from tests.fakes.faults import NOON, fault, node_fault, plan, rescue

SECOND = timedelta(seconds=1)


def of(name: str, *, dry_run: bool = False, drill: Drill | None = None, after: int = 0) -> Rescue:
    cause = node_fault(fault=fault(drill=drill))
    return rescue(name, cause=cause, plan=replace(plan(), dry_run=dry_run), now=NOON + after * SECOND)


REAL, DRY = of("real"), of("dry", dry_run=True, after=1)
DRILL, EARNEST = of("drill", dry_run=True, drill=Drill.DRY, after=2), of("earnest", drill=Drill.REAL, after=3)
# Of the global dry run.
HELD_BACK = of("held-back", dry_run=True, drill=Drill.REAL, after=4)


async def store() -> MemoryStore:
    made = MemoryStore()
    for one in (REAL, DRY, DRILL, EARNEST, HELD_BACK):
        await made.create(one)
    return made


@pytest.mark.parametrize(
    ("shows", "names"),
    [
        pytest.param(acts, ["real", "earnest"], id="what is done"),
        pytest.param(is_rehearsed, ["dry"], id="what policies want rehearsed"),
        pytest.param(is_drill, ["drill", "held-back"], id="drills"),
    ],
)
async def test_every_rescue_shows_in_one_view_and_in_its_order(shows: Shows, names: list[str]) -> None:
    whole = await store()
    view = StoreView(whole, shows)
    assert [one.name for one in view.all()] == names
    assert [one.name for one in view.open()] == names
    assert [one.name for one in view.on_node("gpu-1")] == names
    assert view.on_node("gpu-2") == []
    for one in whole.all():
        found = one if one.name in names else None
        assert (view.get(one.name), await view.fetch(one.name)) == (found, found)
    for one in whole.open():
        await view.save(replace(one, status=Status.SUCCEEDED, ended=NOON + timedelta(minutes=1)))
    assert [one.name for one in view.ended_since(NOON + timedelta(minutes=1))] == names
    assert view.ended_since(NOON + timedelta(minutes=2)) == []


async def test_who_works_with_a_view_changes_no_rescue_that_it_does_not_show() -> None:
    whole = await store()
    with pytest.raises(NotFoundError):
        await update(StoreView(whole, acts), "dry", lambda one: replace(one, count=9))
    changed = await update(StoreView(whole, is_rehearsed), "dry", lambda one: replace(one, count=9))
    assert (changed.count, whole.get("dry")) == (9, changed)


async def test_a_name_that_a_rescue_of_another_kind_has_is_taken() -> None:
    view = StoreView(await store(), acts)
    assert (await view.create(replace(REAL, count=7))).count == 1
    assert (await view.create(of("new"))).revision == 1
    with pytest.raises(ConflictError, match="dry"):
        await view.create(replace(DRY, dry_run=False))


async def test_a_view_tells_of_every_change_of_the_store() -> None:
    whole = await store()
    view = StoreView(whole, acts)
    changed, generation = asyncio.ensure_future(view.changed()), view.generation
    await asyncio.sleep(0)
    assert not changed.done()
    await whole.create(of("another", dry_run=True))
    await asyncio.wait_for(changed, 1)
    assert view.generation == whole.generation > generation


async def test_occurrences_are_those_of_the_store() -> None:

    whole = await store()
    view = StoreView(whole, acts)
    found = node_fault()
    occurrence = occurrence_of(Member("one", found, 1, NOON, NOON), None)
    await view.note(occurrence)
    assert view.occurrence("one") == whole.occurrence("one") == occurrence
    assert list(view.occurrences(Gpu.of(found))) == [occurrence]
