"""The store of several replicas: rescues and occurrences are resources of the cluster, read from a cache."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import structlog

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.reflector import Reflector, troubles
from pipeline.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from pipeline.execute.saved import UnreadableError
from pipeline.execute.store_cache import KEPT_ENDED, StoreCache
from pipeline.execute.store_kube_objects import RescueObjects, Seen, is_done
from pipeline.execute.store_kube_occurrences import OccurrenceObjects
from pipeline.execute.store_kube_seen import SeenOccurrences, SeenRescues, occurrence_seen
from pipeline.execute.store_kube_settings import KubernetesStoreConfig
from pipeline.model.occurrence import Occurrence
from pipeline.model.rescue import Rescue

_log = structlog.get_logger()
_PAUSE = 1.0
_AT_ONCE = 100
"""The most objects of a kind that one clean-up touches, so that it ends soon."""


class KubernetesStore(StoreCache):
    """Rescues and occurrences that outlive every replica; compare-and-set is the API server's.

    The cache shows what this process has written at once, and what others write as soon as the watch tells of it. A
    write that ends with TemporaryError may have been made: a create made again finds its own, a save made again is a
    ConflictError. An object that cannot be read (damaged by hand, or a later version's) does not show.
    """

    def __init__(
        self, config: KubernetesStoreConfig, api: KubeApi, namespace: str, kept_ended: int = KEPT_ENDED
    ) -> None:
        super().__init__(kept_ended)
        self._kept = config.kept
        self._namespace = namespace
        self._rescue_objects = RescueObjects(api, namespace)
        self._occurrence_objects = OccurrenceObjects(api, namespace)
        self._seen = SeenRescues(self)
        self._seen_occurrences = SeenOccurrences(self)
        self._reflectors = (
            Reflector(api, self._rescue_objects.path, self._seen.slim, self._seen),
            Reflector(api, self._occurrence_objects.path, occurrence_seen, self._seen_occurrences),
        )

    async def run(self) -> None:
        """Follow what others write, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(reflector.run())
            tasks.create_task(self._ask_again())

    @property
    def synced(self) -> bool:
        """Whether all that is on the server shows; until then nothing may be decided by what does not."""
        return all(reflector.synced for reflector in self._reflectors)

    async def wait_synced(self) -> None:
        """Return when that is so."""
        for reflector in self._reflectors:
            await reflector.wait_synced()

    @property
    def trouble(self) -> str | None:
        """Why rescues or occurrences are not known, or not followed; None when they are."""
        return troubles(self._reflectors)

    async def reach(self) -> str:
        """Tell where rescues are; raise what the API server answers where they cannot be listed."""
        await self._rescue_objects.list_one()
        return f"rescues in namespace {self._namespace}"

    async def close(self) -> None:
        """There is nothing to let go of: the connections are the API's."""

    async def fetch(self, name: str) -> Rescue | None:
        """Return the rescue as the server holds it now, and show it."""
        found = await self._rescue_objects.get(name)
        if found is None:
            self._seen.gone(name)
        else:
            self._seen.changed(found)
        return self.get(name)

    async def create(self, rescue: Rescue) -> Rescue:
        """Save a new rescue, or return the one that has its name.

        One that is there and cannot be read counts as the same: the line that caused it was dealt with.
        """
        created = await self._rescue_objects.create(rescue)
        if created is not None:
            self._seen.made(created)
            return created
        there = await self._rescue_objects.get(rescue.name)
        if there is None:
            raise TemporaryError(f"rescue {rescue.name} was there, and is gone")
        self._seen.changed(there)
        return self.get(rescue.name) or there.rescue or replace(rescue, revision=there.revision)

    async def save(self, rescue: Rescue) -> Rescue:
        """Replace the rescue if nobody else has since it was read."""
        try:
            saved = await self._rescue_objects.save(rescue)
        except NotFoundError:
            self._seen.gone(rescue.name)
            raise
        self._seen.saved(saved)
        return saved

    async def note(self, occurrence: Occurrence) -> None:
        """Save an occurrence; one of its name spans the time of both from then on."""
        try:
            noted = await self._occurrence_objects.note(occurrence)
        except UnreadableError as error:
            # Nothing waits for a person to mend it: this process counts what it has seen itself.
            _log.error("occurrence.unreadable", name=occurrence.name, error=str(error))
            noted = occurrence
        self._seen_occurrences.noted(noted)

    async def clean_up(self, now: datetime) -> None:
        """Take our finalizer off rescues that are done, and delete what is kept no longer."""
        done = [name for name in self._seen.guarded if is_done(self.get(name))]
        for name in done[:_AT_ONCE]:
            await self._let_go(name)
        over = {**dict.fromkeys(self.ended_before(now - self._kept)), **self._seen.over}
        for name in list(over)[:_AT_ONCE]:
            await self._delete(name)
        for name in list(self._seen_occurrences.over)[:_AT_ONCE]:
            await self._occurrence_objects.delete(name)
            self._seen_occurrences.gone(name)

    async def _let_go(self, name: str) -> Seen | None:
        """Take our finalizer off a rescue that is done; return it as it is then, None if it is not, or is gone."""
        found = await self._rescue_objects.get(name)
        if found is None:
            self._seen.gone(name)
            return None
        if found.is_done and found.is_guarded:
            with suppress(ConflictError, NotFoundError):
                found = await self._rescue_objects.let_go(found)
        self._seen.changed(found)
        return found if found.is_done and not found.is_guarded else None

    async def _delete(self, name: str) -> None:
        found = await self._let_go(name)
        if found is None:
            self._seen.over.pop(name, None)
            return
        try:
            await self._rescue_objects.delete(name, found.revision)
        except ConflictError:
            return
        except NotFoundError:
            pass
        self._seen.gone(name)

    async def _ask_again(self) -> None:
        """Ask for each rescue that a list did not name: it is gone, or younger than the list."""
        while True:
            name = await self._seen.doubted.get()
            try:
                await self.fetch(name)
            except (TemporaryError, PermanentError) as error:
                _log.warning("rescue.not-asked", rescue=name, error=str(error))
                self._seen.doubted.put_nowait(name)
                await asyncio.sleep(_PAUSE)
