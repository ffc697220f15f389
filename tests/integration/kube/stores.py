"""A store on a real API server, as a replica has it: it follows what others write."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from pipeline.cluster.kube.api import KubeApi
from pipeline.execute.store_kube import KubernetesStore
from pipeline.execute.store_kube_settings import KubernetesStoreConfig
from tests.services.kube.waiting import until


@asynccontextmanager
async def replica(
    api: KubeApi, namespace: str, kept: timedelta = timedelta(days=30), kept_ended: int = 100
) -> AsyncIterator[KubernetesStore]:
    """A store that shows all there is."""
    store = KubernetesStore(KubernetesStoreConfig(type="kubernetes", kept=kept), api, namespace, kept_ended)
    following = asyncio.create_task(store.run())
    try:
        await asyncio.wait_for(store.wait_synced(), 30)
        yield store
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        # To close TLS in good form, what was broken off needs the other side.
        await asyncio.sleep(0.05)


async def cleaned_up(store: KubernetesStore, name: str, now: datetime) -> None:
    """Clean up as whoever executes does, every moment, until the rescue shows no more."""

    async def gone() -> bool:
        await store.clean_up(now)
        return store.get(name) is None

    await until(gone)
