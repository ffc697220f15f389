"""Each part of the pipeline by itself, to see whether it can be reached."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Protocol

from pipeline.app.ports import open_local_store, open_sink, open_source, recall_cluster
from pipeline.app.sites import open_site
from pipeline.clock import WallClock
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.execute.store_lock import InUseError, not_yet
from pipeline.settings import Settings, SimulatedClusterConfig, SqliteStoreConfig, StoreConfig


class Part(Protocol):
    """A part of the pipeline that can be reached, or not."""

    async def reach(self) -> str:
        """Return in a few words what answered; raise the part's own error, which says what is missing."""
        ...


class StoreOnCall:
    """A store that is opened when it is reached, and let go of again; none is made."""

    def __init__(self, config: StoreConfig) -> None:
        self._config = config

    async def reach(self) -> str:
        """Tell what is in it, or that a pipeline works with it; raise BadInputError if it cannot serve."""
        if isinstance(self._config, SqliteStoreConfig) and not self._config.path.exists():
            return not_yet(self._config.path)
        try:
            store = open_local_store(self._config)
        except InUseError:
            return "in use by a process that runs"
        try:
            return await store.reach()
        finally:
            await store.close()


def parts(settings: Settings, stack: AsyncExitStack) -> Iterator[tuple[str, Part]]:
    """Open every source, the cluster and every sink, one after the other, to be reached; *stack* closes them."""
    for number, source in enumerate(settings.sources):
        opened = open_source(source, lambda _: True)
        stack.push_async_callback(opened.close)
        yield f"sources.{number} ({source.type})", opened
    match settings.cluster:
        case SimulatedClusterConfig() as config:
            yield f"cluster ({config.type})", recall_cluster(config, WallClock())
            yield f"store ({settings.store.type})", StoreOnCall(settings.store)
        case KubernetesClusterConfig() as config:
            site = open_site(settings, WallClock(), stack)
            yield f"cluster ({config.type})", site.cluster
            yield f"store ({settings.store.type})", site.store
    for number, sink in enumerate(settings.sinks):
        taking = open_sink(sink)
        stack.push_async_callback(taking.close)
        yield f"sinks.{number} ({sink.type})", taking
