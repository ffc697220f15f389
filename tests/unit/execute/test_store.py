"""A change is applied to the newest state of a rescue, whoever else writes it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.errors import ConflictError, NotFoundError
from pipeline.execute.store import update
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.rescue import Rescue
from tests.fakes.faults import NOON, rescue
from tests.fakes.lagging import LaggingStore


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


async def test_update_reads_behind_a_cache_that_lags() -> None:
    theirs = MemoryStore()
    mine = LaggingStore(theirs)
    created = await mine.create(rescue())
    await theirs.save(replace(created, count=2))
    assert mine.get(created.name) == created
    changed = await update(mine, created.name, lambda found: replace(found, count=found.count + 1))
    assert changed.count == 3
    assert mine.get(created.name) == changed == theirs.get(created.name)


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
