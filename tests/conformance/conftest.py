"""Every store, for the suites of what stores promise. A new store adds one row."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.execute.store import RescueStore
from pipeline.execute.store_cache import KEPT_ENDED
from pipeline.execute.store_memory import MemoryStore
from pipeline.execute.store_sqlite import SqliteStore
from tests.fakes.lagging import LaggingStore


class Store(RescueStore, Protocol):
    """A store that a test lets go of."""

    async def close(self) -> None: ...


Opened = Callable[..., RescueStore]
"""Opens an empty store; `kept_ended` is how many ended rescues it keeps."""

STORES: dict[str, Callable[[Path, int], Store]] = {
    "memory": lambda _, kept: MemoryStore(kept),
    "sqlite": lambda folder, kept: SqliteStore(folder / "rescues.db", kept),
    "lagging": lambda _, kept: LaggingStore(kept_ended=kept),
}


@pytest.fixture(params=STORES)
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    stores: list[Store] = []

    def open_one(kept_ended: int = KEPT_ENDED) -> RescueStore:
        stores.append(STORES[request.param](tmp_path, kept_ended))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.close()


@pytest.fixture
def store(opened: Opened) -> RescueStore:
    return opened()
