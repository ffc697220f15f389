"""A store whose cache learns late what others write, as that of a store on a server does."""

from datetime import datetime

from pipeline.execute.store_cache import KEPT_ENDED, StoreCache
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.occurrence import Occurrence
from pipeline.model.rescue import Rescue


class LaggingStore(StoreCache):
    """One process's cache before a store that several may share: it shows its own writes, others' when it is told."""

    def __init__(self, server: MemoryStore | None = None, kept_ended: int = KEPT_ENDED) -> None:
        super().__init__(kept_ended)
        self.server = server or MemoryStore(kept_ended)

    async def reach(self) -> str:
        """Tell what it is."""
        return "in memory, and its cache lags"

    async def close(self) -> None:
        """The server lives on."""

    def catch_up(self) -> None:
        """Learn what others have written by now."""
        for rescue in self.server.all():
            self.show(rescue)

    async def fetch(self, name: str) -> Rescue | None:
        found = await self.server.fetch(name)
        if found is not None:
            self.show(found)
        return self.get(name)

    async def clean_up(self, now: datetime) -> None:
        await self.server.clean_up(now)

    async def create(self, rescue: Rescue) -> Rescue:
        return self._shown(await self.server.create(rescue))

    async def save(self, rescue: Rescue) -> Rescue:
        return self._shown(await self.server.save(rescue))

    async def note(self, occurrence: Occurrence) -> None:
        await self.server.note(occurrence)
        self.show_occurrence(occurrence)

    def _shown(self, saved: Rescue) -> Rescue:
        self.show(saved)
        return saved
