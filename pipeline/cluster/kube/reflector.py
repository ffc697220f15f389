"""A copy of all objects of one kind, kept by list and watch."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import structlog

from pipeline.cluster.kube.api import KubeApi, Object, Query
from pipeline.errors import BadInputError, NotFoundError, PermanentError, TemporaryError

_log = structlog.get_logger()

_SILENCE = 90.0
"""Seconds without a word after which a watch is taken for dead: bookmarks come every 60."""

_WATCHED = (240, 480)
"""Seconds after which the server ends a watch: at random, so that the watches of many replicas do not end together."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
"""Seconds, more or less: so long may it take until we see again after the API server is back."""
_NO_QUERY: Query = {}

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Copy(Protocol[T_contra]):
    """Who is shown what a reflector sees, in the server's order, in the event loop's thread."""

    def listed(self, found: Sequence[T_contra]) -> None:
        """Take these for all there is."""
        ...

    def changed(self, found: T_contra) -> None:
        """Take this one for new, or in the place of what it was."""
        ...

    def deleted(self, found: T_contra) -> None:
        """Forget this one; it is given as it was last."""
        ...


class Reflector(Generic[T]):
    """Lists a kind in pages, then watches it; *slim* makes of each object what is kept, so that no page is kept whole.

    A watch that the server has ended goes on from where it was. After anything else (a version that is too old, a
    connection that breaks) all is listed again, since nobody knows what was missed; what the copy shows stays until
    then. Nothing ends it but its cancellation.
    """

    def __init__(
        self, api: KubeApi, path: str, slim: Callable[[Object], T], copy: Copy[T], query: Query = _NO_QUERY
    ) -> None:
        """*path* is the collection; *query* may carry selectors."""
        self._api = api
        self._path = path
        self._slim = slim
        self._copy = copy
        self._query = query
        self._pause = _FIRST_PAUSE
        self._synced = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether the first list is complete."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return when the first list is complete."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                version = await self._list()
                while True:
                    version = await self._watch(version)
            except TemporaryError as error:
                _log.warning("watch.broken", path=self._path, error=str(error))
            except (BadInputError, NotFoundError, PermanentError) as error:
                # Only a person can help (a right that lacks, a kind that is not installed); then it goes on by itself.
                _log.error("watch.refused", path=self._path, error=str(error))
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _list(self) -> str:
        found: list[T] = []
        version = ""
        async for page in self._api.pages(self._path, self._query):
            found += map(self._slim, page["items"])
            version = page["metadata"]["resourceVersion"]
        self._copy.listed(found)
        self._synced.set()
        return version

    async def _watch(self, version: str) -> str:
        """Follow one watch to its end and return from where to go on."""
        query = {**self._query, "resourceVersion": version, "timeoutSeconds": random.randint(*_WATCHED)}
        async for event in self._api.watch(self._path, query, _SILENCE):
            seen = event["object"]
            version = seen["metadata"]["resourceVersion"]
            self._pause = _FIRST_PAUSE
            match event["type"]:
                case "ADDED" | "MODIFIED":
                    self._copy.changed(self._slim(seen))
                case "DELETED":
                    self._copy.deleted(self._slim(seen))
        return version
