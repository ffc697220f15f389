"""What every store promises of rescues: it compares and sets, keeps order, and wakes who waits."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.errors import ConflictError, NotFoundError
from pipeline.execute.progress import cancelled
from pipeline.execute.store import RescueStore
from pipeline.model.rescue import CancelReason, Rescue, Status
from tests.conformance.conftest import Opened
from tests.fakes.faults import NOON, rescue

_MINUTE = timedelta(minutes=1)


async def _ended(store: RescueStore, name: str, recorded: int = 2, after: timedelta = timedelta(0)) -> Rescue:
    """A rescue that has ended *after* noon; its journal has two entries."""
    created = await store.create(rescue(name))
    return await store.save(replace(created, status=Status.FAILED, ended=NOON + after, recorded=recorded))


async def test_a_new_store_is_empty(store: RescueStore) -> None:
    assert store.get("gpu-1-xid-79-abc") is None
    assert await store.fetch("gpu-1-xid-79-abc") is None
    assert [*store.all(), *store.open(), *store.unfinished(), *store.on_node("gpu-1"), *store.ended_since(NOON)] == []


async def test_a_created_rescue_is_found_by_name_and_node(store: RescueStore) -> None:
    saved = await store.create(rescue())
    assert saved == replace(rescue(), revision=saved.revision)
    assert saved.revision > 0
    assert store.get(saved.name) == saved == await store.fetch(saved.name)
    assert list(store.on_node("gpu-1")) == [saved] == list(store.open()) == list(store.all())
    assert store.get("another") is None
    assert list(store.on_node("gpu-2")) == []


async def test_creating_it_again_returns_what_is_there(store: RescueStore) -> None:
    first = await store.save(replace(await store.create(rescue()), count=7))
    assert await store.create(rescue()) == first
    assert store.get(first.name) == first


async def test_one_of_several_that_create_it_at_once_is_the_first_and_all_get_that(store: RescueStore) -> None:
    made = await asyncio.gather(*(store.create(replace(rescue(), count=count)) for count in (1, 2, 3)))
    assert list(made) == [store.get("gpu-1-xid-79-abc")] * 3


async def test_a_save_replaces_what_was_there(store: RescueStore) -> None:
    created = await store.create(rescue())
    saved = await store.save(cancelled(created, NOON, CancelReason.STALE, "it counts no longer"))
    assert (saved.revision > created.revision, saved.status) == (True, Status.CANCELLED)
    assert store.get(saved.name) == saved == await store.fetch(saved.name)


async def test_a_save_over_somebody_elses_is_a_conflict(store: RescueStore) -> None:
    mine = theirs = await store.create(rescue())
    await store.save(replace(theirs, count=2))
    with pytest.raises(ConflictError, match=f"revision.*, not {mine.revision}"):
        await store.save(replace(mine, count=3))
    assert store.open()[0].count == 2


async def test_of_several_saves_at_once_one_wins(store: RescueStore) -> None:
    created = await store.create(rescue())
    saves = (store.save(replace(created, count=count)) for count in range(2, 10))
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, Rescue)]
    assert all(isinstance(outcome, ConflictError) for outcome in outcomes if outcome is not winner)
    assert store.get(created.name) == winner


async def test_writes_that_are_made_at_once_all_show(store: RescueStore) -> None:
    made = await asyncio.gather(*(store.create(rescue(f"r-{number}")) for number in range(100)))
    assert {one.name: one for one in store.all()} == {one.name: one for one in made}


async def test_a_save_of_what_is_gone_says_so(store: RescueStore) -> None:
    with pytest.raises(NotFoundError, match="is gone"):
        await store.save(rescue())


async def test_an_ended_rescue_is_open_no_more_but_kept(store: RescueStore) -> None:
    ended = await _ended(store, "a")
    assert list(store.open()) == []
    assert list(store.on_node("gpu-1")) == [ended] == list(store.all())


@pytest.mark.parametrize(
    ("change", "unfinished"),
    [
        pytest.param(lambda one: replace(one, recorded=2), True, id="an open one whose records are safe"),
        pytest.param(lambda one: replace(one, status=Status.FAILED), True, id="an ended one that is not recorded"),
        pytest.param(lambda one: replace(one, status=Status.FAILED, recorded=1), True, id="one that is in part"),
        pytest.param(lambda one: replace(one, status=Status.FAILED, recorded=2), False, id="one that is as a whole"),
    ],
)
async def test_what_is_unfinished(store: RescueStore, change: Callable[[Rescue], Rescue], unfinished: bool) -> None:
    saved = await store.save(change(await store.create(rescue())))
    assert list(store.unfinished()) == ([saved] if unfinished else [])


async def test_rescues_come_oldest_first(store: RescueStore) -> None:
    for minutes, name in ((2, "b"), (0, "c"), (2, "a")):
        await store.create(replace(rescue(name), created=NOON + minutes * _MINUTE))
    for found in (store.all(), store.open(), store.unfinished(), store.on_node("gpu-1")):
        assert [one.name for one in found] == ["c", "a", "b"]


async def test_the_rescues_of_a_node_are_the_same_sequence_until_one_of_them_changes(store: RescueStore) -> None:
    for minutes, name in ((2, "b"), (0, "c"), (1, "a")):
        await store.create(replace(rescue(name), created=NOON + minutes * _MINUTE))
    before = store.on_node("gpu-1")
    await store.create(rescue("d", "gpu-2"))
    await store.create(rescue("a"))
    assert store.on_node("gpu-1") is before
    saved = await store.save(replace(before[1], count=2))
    assert [found.name for found in store.on_node("gpu-1")] == ["c", "a", "b"]
    assert store.on_node("gpu-1")[1] == saved
    assert store.on_node("gpu-3") is store.on_node("gpu-3")


async def test_only_so_many_ended_rescues_are_kept(opened: Opened) -> None:
    store = opened(kept_ended=2)
    await store.create(rescue("open"))
    for name in ("1", "2", "3"):
        await _ended(store, name)
    assert {found.name for found in store.all()} == {"open", "2", "3"}
    assert {found.name for found in store.on_node("gpu-1")} == {"open", "2", "3"}
    assert store.get("1") is None


async def test_none_is_forgotten_before_its_records_are_safe(opened: Opened) -> None:
    store = opened(kept_ended=1)
    for name in ("1", "2", "3"):
        await _ended(store, name, recorded=0)
    assert {found.name for found in store.all()} == {"1", "2", "3"}
    for ended in store.all()[:2]:
        await store.save(replace(ended, recorded=2))
    assert {found.name for found in store.all()} == {"3"}


async def test_one_that_was_forgotten_can_come_again(opened: Opened) -> None:
    store = opened(kept_ended=1)
    for name in ("1", "2", "3"):
        await _ended(store, name)
    await store.clean_up(NOON)
    again = await store.create(rescue("1"))
    assert again == replace(rescue("1"), revision=again.revision)
    await _ended(store, "4")
    assert await store.save(replace(again, count=2)) == store.get("1")


async def test_those_that_ended_lately_are_found(store: RescueStore) -> None:
    for minutes in range(3):
        await _ended(store, str(minutes), after=minutes * _MINUTE)
    assert [found.name for found in store.ended_since(NOON + _MINUTE)] == ["1", "2"]
    assert list(store.ended_since(NOON + 3 * _MINUTE)) == []


async def test_those_that_ended_lately_are_found_though_the_clock_was_set_back_since(store: RescueStore) -> None:
    for minutes in (0, 50, 10):
        await _ended(store, str(minutes), after=minutes * _MINUTE)
    assert [found.name for found in store.ended_since(NOON + 30 * _MINUTE)] == ["50"]


async def test_of_the_ended_those_that_ended_last_are_kept_whatever_was_saved_last(opened: Opened) -> None:
    store = opened(kept_ended=2)
    for minutes in (3, 1, 2):
        await _ended(store, str(minutes), after=minutes * _MINUTE)
    assert {found.name for found in store.all()} == {"3", "2"}


async def test_the_generation_grows_with_each_write_that_shows(store: RescueStore) -> None:
    seen = [store.generation]
    created = await store.create(rescue())
    seen.append(store.generation)
    await store.save(replace(created, count=2))
    seen.append(store.generation)
    assert seen == sorted(set(seen))


async def test_a_write_that_fails_shows_nothing(store: RescueStore) -> None:
    created = await store.create(rescue())
    before = store.generation
    with pytest.raises(ConflictError):
        await store.save(replace(created, revision=7, count=2))
    assert (store.generation, store.get(created.name)) == (before, created)


@pytest.mark.parametrize("write", ["create", "save"])
async def test_changed_wakes_at_the_next_write(store: RescueStore, write: str) -> None:
    created = await store.create(rescue())
    waiting = asyncio.ensure_future(store.changed())
    await asyncio.sleep(0)
    assert not waiting.done()
    await (store.create(rescue("another")) if write == "create" else store.save(created))
    await asyncio.wait_for(waiting, 1)
    assert waiting.done()
