"""The store compares and sets, keeps order, and wakes who waits."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.errors import ConflictError, NotFoundError
from pipeline.execute import store_memory
from pipeline.execute.store import update
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.rescue import Rescue, Status
from tests.fakes.faults import NOON, rescue


async def test_a_created_rescue_is_found_by_name_and_node() -> None:
    store = MemoryStore()
    saved = await store.create(rescue())
    assert saved.revision == 1
    assert store.get(saved.name) == saved
    assert list(store.on_node("gpu-1")) == [saved] == list(store.open()) == list(store.all())
    assert store.get("another") is None
    assert list(store.on_node("gpu-2")) == []


async def test_creating_it_again_returns_what_is_there() -> None:
    store = MemoryStore()
    first = await store.save(replace(await store.create(rescue()), count=7))
    assert await store.create(rescue()) == first


async def test_a_save_over_somebody_elses_is_a_conflict() -> None:
    store = MemoryStore()
    mine = theirs = await store.create(rescue())
    await store.save(replace(theirs, count=2))
    with pytest.raises(ConflictError, match="revision 2, not 1"):
        await store.save(replace(mine, count=3))
    assert store.open()[0].count == 2


async def test_a_save_of_what_is_gone_says_so() -> None:
    with pytest.raises(NotFoundError, match="is gone"):
        await MemoryStore().save(rescue())


async def test_an_ended_rescue_is_open_no_more_but_kept() -> None:
    store = MemoryStore()
    ended = await store.save(replace(await store.create(rescue()), status=Status.FAILED))
    assert list(store.open()) == []
    assert list(store.on_node("gpu-1")) == [ended]


async def test_rescues_come_oldest_first() -> None:
    store = MemoryStore()
    for minutes, name in ((2, "b"), (0, "c"), (2, "a")):
        await store.create(replace(rescue(name), created=NOON + timedelta(minutes=minutes)))
    assert [found.name for found in store.open()] == ["c", "a", "b"]


async def test_the_rescues_of_a_node_are_the_same_sequence_until_one_of_them_changes() -> None:
    store = MemoryStore()
    for minutes, name in ((2, "b"), (0, "c"), (1, "a")):
        await store.create(replace(rescue(name), created=NOON + timedelta(minutes=minutes)))
    before = store.on_node("gpu-1")
    await store.create(rescue("d", "gpu-2"))
    assert store.on_node("gpu-1") is before
    saved = await store.save(replace(before[1], count=2))
    assert [found.name for found in store.on_node("gpu-1")] == ["c", "a", "b"]
    assert store.on_node("gpu-1")[1] is saved
    assert store.on_node("gpu-3") is store.on_node("gpu-3")


async def test_only_so_many_ended_rescues_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_memory, "_KEPT_ENDED", 2)
    store = MemoryStore()
    await store.create(rescue("open"))
    for name in ("1", "2", "3"):
        await store.save(replace(await store.create(rescue(name)), status=Status.SUCCEEDED, recorded=2))
    assert {found.name for found in store.all()} == {"open", "2", "3"}
    assert {found.name for found in store.on_node("gpu-1")} == {"open", "2", "3"}


async def test_none_is_forgotten_before_its_records_are_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_memory, "_KEPT_ENDED", 1)
    store = MemoryStore()
    for name in ("1", "2", "3"):
        await store.save(replace(await store.create(rescue(name)), status=Status.SUCCEEDED))
    assert {found.name for found in store.all()} == {"1", "2", "3"}
    for ended in store.all()[:2]:
        await store.save(replace(ended, recorded=2))
    assert {found.name for found in store.all()} == {"3"}


async def test_those_that_ended_lately_are_found() -> None:
    store = MemoryStore()
    for minutes in range(3):
        ended = replace(rescue(str(minutes)), status=Status.FAILED, ended=NOON + timedelta(minutes=minutes))
        await store.save(replace(await store.create(ended), revision=1))
    assert [found.name for found in store.ended_since(NOON + timedelta(minutes=1))] == ["1", "2"]


async def test_changed_wakes_at_the_next_write() -> None:
    store = MemoryStore()
    waiting = asyncio.ensure_future(store.changed())
    await asyncio.sleep(0)
    assert not waiting.done()
    await store.create(rescue())
    await asyncio.wait_for(waiting, 1)
    assert waiting.done()


class _Contended(MemoryStore):
    """Somebody else writes before each of the first saves."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def save(self, rescue: Rescue) -> Rescue:
        if self.times:
            self.times -= 1
            stored = self.get(rescue.name)
            assert stored is not None
            await super().save(replace(stored, last_seen=stored.last_seen + timedelta(seconds=1)))
        return await super().save(rescue)


async def test_update_applies_the_change_to_what_others_wrote() -> None:
    store = _Contended(3)
    await store.create(rescue())
    changed = await update(store, "gpu-1-xid-79-abc", lambda found: replace(found, count=5))
    assert changed.count == 5
    assert changed.last_seen == NOON + timedelta(seconds=3)


async def test_update_gives_up_after_so_many_conflicts() -> None:
    store = _Contended(99)
    await store.create(rescue())
    with pytest.raises(ConflictError, match="10 times in a row"):
        await update(store, "gpu-1-xid-79-abc", lambda found: replace(found, count=5))


async def test_update_that_changes_nothing_writes_nothing() -> None:
    store = MemoryStore()
    saved = await store.create(rescue())
    assert await update(store, saved.name, lambda found: found) is saved


async def test_update_of_what_is_gone_says_so() -> None:
    with pytest.raises(NotFoundError):
        await update(MemoryStore(), "gone", lambda found: found)
