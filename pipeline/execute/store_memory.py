"""The store's twin in memory: for the embedded run, dry runs and tests, with the same compare-and-set."""

from dataclasses import replace
from datetime import datetime

from pipeline.errors import ConflictError, NotFoundError
from pipeline.execute.store_cache import StoreCache
from pipeline.model.occurrence import Occurrence
from pipeline.model.rescue import Rescue


class MemoryStore(StoreCache):
    """A store that is nothing but its cache: what it holds is gone when the process ends."""

    async def reach(self) -> str:
        """Tell that it keeps nothing."""
        return "in memory: a restart forgets every rescue"

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def fetch(self, name: str) -> Rescue | None:
        """Return the same as `get`: nothing lags here."""
        return self.get(name)

    async def clean_up(self, now: datetime) -> None:
        """There is nothing to do: what the cache forgets is gone."""

    async def create(self, rescue: Rescue) -> Rescue:
        """Save a new rescue, or return the one that has its name."""
        return self.get(rescue.name) or self._put(rescue)

    async def save(self, rescue: Rescue) -> Rescue:
        """Replace the rescue if nobody else has since it was read."""
        stored = self.get(rescue.name)
        if stored is None:
            raise NotFoundError(f"rescue {rescue.name} is gone")
        if stored.revision != rescue.revision:
            raise ConflictError(f"rescue {rescue.name} is at revision {stored.revision}, not {rescue.revision}")
        return self._put(rescue)

    async def note(self, occurrence: Occurrence) -> None:
        """Remember an occurrence; one of its name spans the time of both from then on."""
        self.show_occurrence(occurrence)

    def _put(self, rescue: Rescue) -> Rescue:
        saved = replace(rescue, revision=rescue.revision + 1)
        self.show(saved)
        return saved
