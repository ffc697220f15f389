"""A copy of all objects of one kind, kept by list and watch."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog

from pipeline.cluster.kube.api import KubeApi, Object, Query
from pipeline.errors import BadInputError, PermanentError, TemporaryError
from pipeline.telemetry import WATCH_FAILURES, WATCH_SEEN

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
        self._trouble: str | None = None
        self._told: str | None = None
        self._resource = path.rpartition("/")[2]

    @property
    def synced(self) -> bool:
        """Whether the first list is complete."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return when the first list is complete."""
        await self._synced.wait()

    @property
    def trouble(self) -> str | None:
        """Why the copy shows nothing, or nothing new; None when it follows."""
        return self._trouble if self._trouble or self.synced else f"GET {self._path}: not answered yet"

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                version = await self.list()
                while True:
                    version = await self._watch(version)
            except TemporaryError as error:
                self._failed("broken", _log.warning, error)
            except (BadInputError, PermanentError) as error:
                # Only a person can help (a right that lacks, a kind that is not installed); then it goes on by itself.
                self._failed("refused", _log.error, error)
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def list(self) -> str:
        """Show the copy all there is, and return its version; raises as KubeApi does."""
        found: list[T] = []
        version = ""
        async for page in self._api.pages(self._path, self._query):
            found += map(self._slim, page["items"])
            version = page["metadata"]["resourceVersion"]
        self._copy.listed(found)
        self._synced.set()
        self._trouble = None
        self._heard()
        return version

    async def _watch(self, version: str) -> str:
        """Follow one watch to its end and return from where to go on."""
        query = {**self._query, "resourceVersion": version, "timeoutSeconds": random.randint(*_WATCHED)}
        async for event in self._api.watch(self._path, query, _SILENCE):
            seen = event["object"]
            version = seen["metadata"]["resourceVersion"]
            self._pause = _FIRST_PAUSE
            self._told = None
            self._heard()
            match event["type"]:
                case "ADDED" | "MODIFIED":
                    self._copy.changed(self._slim(seen))
                case "DELETED":
                    self._copy.deleted(self._slim(seen))
        return version

    def _heard(self) -> None:
        WATCH_SEEN.labels(self._resource).set(time.time())

    def _failed(self, outcome: str, log: Callable[..., None], error: Exception) -> None:
        """Tell it, once as long as it stays the same: who waits for a person waits long."""
        WATCH_FAILURES.labels(self._resource, outcome).inc()
        self._trouble = str(error)
        if self._told != self._trouble:
            self._told = self._trouble
            log(f"watch.{outcome}", path=self._path, error=self._trouble)


def troubles(reflectors: Iterable[Reflector[Any]]) -> str | None:
    """Return what ails those that do not follow; None when all do."""
    return "; ".join(filter(None, (reflector.trouble for reflector in reflectors))) or None
