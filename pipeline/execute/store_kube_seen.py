"""What the watches over rescues and occurrences tell, and what of it the store's cache shows."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from pipeline.cluster.kube.api import Object
from pipeline.execute.saved import UnreadableError
from pipeline.execute.store_cache import StoreCache
from pipeline.execute.store_kube_form import occurrence_of
from pipeline.execute.store_kube_objects import Seen, seen
from pipeline.model.occurrence import Occurrence
from pipeline.model.rescue import Rescue
from pipeline.telemetry import UNREADABLE_RESCUES

_log = structlog.get_logger()


class SeenRescues:
    """Shows rescues to the cache, and knows besides which of them have our finalizer, and which are kept no longer.

    `guarded` names objects that have it; `over` those that the cache has forgotten; `doubted` those that a list of all
    did not name: each of them is gone, or younger than the list.
    """

    def __init__(self, cache: StoreCache) -> None:
        self._cache = cache
        self.guarded: dict[str, None] = {}
        self.over: dict[str, None] = {}
        self.doubted: asyncio.Queue[str] = asyncio.Queue()
        # Those that cannot be read, and whether they have not ended.
        self._unreadable: dict[str, bool] = {}

    def slim(self, found: Object) -> Seen:
        """Return what is kept of an object; one that has not changed since is not read again."""
        return seen(found, self._cache.get(found["metadata"]["name"]))

    def listed(self, found: Sequence[Seen]) -> None:
        """Show all that there is."""
        for one in found:
            self.changed(one)
        names = {one.name for one in found}
        for name in [name for name in self._unreadable if name not in names]:
            self._is_readable(name)
        for rescue in self._cache.all():
            if rescue.name not in names:
                self.doubted.put_nowait(rescue.name)

    def changed(self, found: Seen) -> None:
        """Show an object, unless something newer shows."""
        known = self._cache.get(found.name)
        if known is not None and known.revision > found.revision:
            return
        if found.rescue is None:
            self._is_unreadable(found)
            return
        self._is_readable(found.name)
        self._mark(found.name, found.is_guarded)
        self.saved(found.rescue)
        if found.condemned:
            self._cache.condemn(found.name)

    def deleted(self, found: Seen) -> None:
        """Forget an object, unless there is a newer one of its name."""
        known = self._cache.get(found.name)
        if known is None or known.revision <= found.revision:
            self.gone(found.name)

    def made(self, created: Rescue) -> None:
        """Show a rescue that we have created."""
        self._mark(created.name, True)
        self.saved(created)

    def saved(self, rescue: Rescue) -> None:
        """Show a rescue as it was saved."""
        self.over.pop(rescue.name, None)
        self.over.update(dict.fromkeys(self._cache.show(rescue)))

    def gone(self, name: str) -> None:
        """Forget the rescue of that name: it is deleted."""
        self._cache.forget(name)
        self._mark(name, False)
        self.over.pop(name, None)
        self._is_readable(name)

    def _mark(self, name: str, guarded: bool) -> None:
        if guarded:
            self.guarded[name] = None
        else:
            self.guarded.pop(name, None)

    def _is_unreadable(self, found: Seen) -> None:
        if found.name not in self._unreadable:
            _log.error("rescue.unreadable", rescue=found.name, open=found.open, error=found.problem)
        self._cache.forget(found.name)
        self._mark(found.name, False)
        self._unreadable[found.name] = found.open
        UNREADABLE_RESCUES.set(sum(self._unreadable.values()))

    def _is_readable(self, name: str) -> None:
        if self._unreadable.pop(name, None) is not None:
            UNREADABLE_RESCUES.set(sum(self._unreadable.values()))


@dataclass(frozen=True, slots=True)
class SeenOccurrence:
    """An Occurrence object; `occurrence` is None where it cannot be read, and `problem` says why."""

    name: str
    occurrence: Occurrence | None
    problem: str = ""


def occurrence_seen(found: Object) -> SeenOccurrence:
    """Return what is kept of an object."""
    try:
        occurrence = occurrence_of(found)
    except UnreadableError as error:
        return SeenOccurrence(found["metadata"]["name"], None, str(error))
    return SeenOccurrence(occurrence.name, occurrence)


class SeenOccurrences:
    """Shows occurrences to the cache, and knows besides which are kept no longer: `over` names them."""

    def __init__(self, cache: StoreCache) -> None:
        self._cache = cache
        self.over: dict[str, None] = {}
        self._told: set[str] = set()

    def listed(self, found: Sequence[SeenOccurrence]) -> None:
        """Show all that there is, in the order in which they would have been noted.

        One that shows and is not in the list stays: it counts until it is too old, as all do.
        """
        for one in sorted(found, key=_last_seen):
            self.changed(one)

    def changed(self, found: SeenOccurrence) -> None:
        """Show an object; one that cannot be read counts for nothing."""
        if found.occurrence is not None:
            self.noted(found.occurrence)
        elif found.name not in self._told:
            self._told.add(found.name)
            _log.error("occurrence.unreadable", name=found.name, error=found.problem)

    def deleted(self, found: SeenOccurrence) -> None:
        """Forget an object."""
        self.gone(found.name)

    def noted(self, occurrence: Occurrence) -> None:
        """Show an occurrence as it was saved."""
        self.over.pop(occurrence.name, None)
        self.over.update(dict.fromkeys(self._cache.show_occurrence(occurrence)))

    def gone(self, name: str) -> None:
        """Forget the occurrence of that name: it is deleted."""
        self._cache.forget_occurrence(name)
        self.over.pop(name, None)


def _last_seen(found: SeenOccurrence) -> datetime:
    return found.occurrence.last_seen if found.occurrence is not None else datetime.max.replace(tzinfo=UTC)
