"""Every store, for the suites of what stores promise. A new store adds one row."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.cluster.kube.api import KubeApi
from pipeline.execute.store import RescueStore
from pipeline.execute.store_cache import KEPT_ENDED
from pipeline.execute.store_kube import KubernetesStore
from pipeline.execute.store_kube_settings import KubernetesStoreConfig
from pipeline.execute.store_memory import MemoryStore
from pipeline.execute.store_sqlite import SqliteStore
from tests.fakes.lagging import LaggingStore


class Store(RescueStore, Protocol):
    """A store that a test lets go of."""

    async def close(self) -> None: ...


Opened = Callable[..., RescueStore]
"""Opens an empty store; `kept_ended` is how many ended rescues it keeps."""

Opening = Callable[[Path, int], Store]

STORES: dict[str, Opening] = {
    "memory": lambda _, kept: MemoryStore(kept),
    "sqlite": lambda folder, kept: SqliteStore(folder / "rescues.db", kept),
    "lagging": lambda _, kept: LaggingStore(kept_ended=kept),
}
KUBERNETES = "kubernetes"


@pytest.fixture
async def kubernetes(rescue_api: KubeApi, namespace: str) -> AsyncIterator[Opening]:
    """Opens stores in a new namespace of a real API server, which follow it."""
    following: list[asyncio.Task[None]] = []

    def open_one(_: Path, kept_ended: int) -> Store:
        config = KubernetesStoreConfig(type="kubernetes")
        store = KubernetesStore(config, rescue_api, namespace, kept_ended)
        following.append(asyncio.create_task(store.run()))
        return store

    yield open_one
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    # To close TLS in good form, what was broken off needs the other side.
    await asyncio.sleep(0.05)


@pytest.fixture(params=[*STORES, "kubernetes"])
def opening(request: pytest.FixtureRequest) -> Opening:
    found: Opening = STORES.get(request.param) or request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def opened(opening: Opening, tmp_path: Path) -> AsyncIterator[Opened]:
    stores: list[Store] = []

    def open_one(kept_ended: int = KEPT_ENDED) -> RescueStore:
        stores.append(opening(tmp_path, kept_ended))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.close()


@pytest.fixture
async def store(opened: Opened) -> RescueStore:
    return opened()
