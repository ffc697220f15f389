"""Which of several processes acts: the one that holds a Lease (coordination.k8s.io/v1)."""

import asyncio
import math
import os
import random
import socket
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from pipeline.cluster.kube.answers import AlreadyExistsError
from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.settings import LeaseSettings
from pipeline.errors import BadInputError, ConflictError, NotFoundError, PermanentError, TemporaryError

_log = structlog.get_logger()
_API = "/apis/coordination.k8s.io/v1/namespaces"


def identity() -> str:
    """Return a name for this process that no other has, nor has had: the pod's, and something random."""
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:12]}"


class Lease:
    """One candidate for a lease.

    Clocks of other machines don't matter: another's hold is over when this process has seen its record unchanged for
    as long as the record says. Ours is over `renew_deadline` after the last renewal was *asked for*, which is before
    anybody else may think so.
    """

    def __init__(self, api: KubeApi, namespace: str, settings: LeaseSettings, name: str | None = None) -> None:
        """*name* is this candidate's; none: one that nobody else has."""
        self._api = api
        self._namespace = namespace
        self._settings = settings
        self._name = name or identity()
        self._collection = f"{_API}/{namespace}/leases"
        self._path = f"{self._collection}/{settings.name}"
        self._duration = settings.duration.total_seconds()
        self._deadline = settings.renew_deadline.total_seconds()
        self._retry = settings.retry_period.total_seconds()
        # What the lease said when it was seen to change last, and when that was.
        self._record: Object = {}
        self._record_at = float("-inf")
        self._renewed_at = float("-inf")
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why the API server does not say who holds it; None when it does, whoever that is."""
        return self._trouble

    @property
    def leading(self) -> bool:
        """Whether it is this process that may act, now."""
        return _now() < self._renewed_at + self._deadline

    async def lead(self, body: Callable[[], Awaitable[None]]) -> None:
        """Run *body* each time that the lease is ours, until it returns by itself; raise what it raises.

        When the lease could not be renewed in time, or is another's, *body* is cancelled, and it is tried to win the
        lease again. On the way out it is let go of, so that another one need not wait.
        """
        while True:
            await self._win()
            _log.info("lease.won", lease=self._path, name=self._name)
            if await self._hold(body):
                return
            _log.warning("lease.lost", lease=self._path, name=self._name)

    async def _win(self) -> None:
        while True:
            if await self._tried():
                return
            await asyncio.sleep(self._retry * random.uniform(1.0, 1.2))

    async def _hold(self, body: Callable[[], Awaitable[None]]) -> bool:
        """Run *body* as long as the lease is ours; return whether it came to its end by itself."""
        work = asyncio.ensure_future(body())
        # It goes on while the body, cancelled from outside, comes to its end.
        renewing = asyncio.create_task(self._renew())
        try:
            await asyncio.wait({work, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            by_itself = work.done()
            await _ended(work)
            await _ended(renewing)
            await self._release()
        if not work.cancelled():
            work.result()
        return by_itself

    async def _renew(self) -> None:
        """Renew until that has not worked for as long as the deadline allows, or the lease is another's."""
        while self.leading:
            await asyncio.sleep(min(self._retry, self._left()))
            with suppress(TimeoutError):
                async with asyncio.timeout(min(2 * self._retry, self._left())):
                    if not await self._tried() and self._is_anothers():
                        self._renewed_at = float("-inf")

    def _left(self) -> float:
        return max(0.0, self._renewed_at + self._deadline - _now())

    async def _tried(self) -> bool:
        """Try once to get or to renew the lease, and return whether that is sure to have worked."""
        taken, trouble = False, None
        try:
            taken = await self._taken()
        except (AlreadyExistsError, ConflictError):
            # Somebody else was faster; or a call of ours was, whose answer was lost.
            pass
        except TemporaryError as error:
            trouble = self._failed("lease.away", _log.warning, error)
        except (BadInputError, PermanentError) as error:
            # Only a person can help (a right that lacks, a namespace); then it goes on by itself.
            trouble = self._failed("lease.refused", _log.error, error)
        self._trouble = trouble
        return taken

    def _failed(self, event: str, log: Callable[..., None], error: Exception) -> str:
        """Tell it, once as long as it stays the same, and return what was told."""
        if (told := str(error)) != self._trouble:
            log(event, lease=self._path, error=told)
        return told

    async def _taken(self) -> bool:
        asked_at = _now()
        try:
            found = await self._api.get(self._path)
        except NotFoundError:
            await self._api.create(self._collection, self._with({}, {}))
            self._renewed_at = asked_at
            return True
        record = found.get("spec") or {}
        self._observe(record)
        if not self._is_free(record):
            return False
        asked_at = _now()
        renewed = await self._api.replace(self._path, self._with(found["metadata"], record))
        self._observe(renewed["spec"])
        self._renewed_at = asked_at
        return True

    def _observe(self, record: Object) -> None:
        if record != self._record:
            self._record, self._record_at = record, _now()

    def _is_free(self, record: Object) -> bool:
        """Whether we may write ourselves into it: it is ours, nobody's, or of somebody who has not renewed it."""
        if record.get("holderIdentity") in (None, "", self._name):
            return True
        return _now() >= self._record_at + max(self._duration, record.get("leaseDurationSeconds") or 0)

    def _is_anothers(self) -> bool:
        return self._record.get("holderIdentity") not in (None, "", self._name)

    def _with(self, metadata: Object, record: Object) -> Object:
        now = _stamp()
        ours = record.get("holderIdentity") == self._name
        spec = {
            "holderIdentity": self._name,
            "leaseDurationSeconds": math.ceil(self._duration),
            "acquireTime": record.get("acquireTime", now) if ours else now,
            "renewTime": now,
            "leaseTransitions": (record.get("leaseTransitions") or 0) + (not ours and bool(record)),
        }
        return self._object(metadata, spec)

    def _object(self, metadata: Object, spec: Object) -> Object:
        named = {**metadata, "name": self._settings.name, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": named, "spec": spec}

    async def _release(self) -> None:
        """Say that it is nobody's, if it is ours still; when that fails, others have to wait until it is over."""
        self._renewed_at = float("-inf")
        try:
            async with asyncio.timeout(self._retry):
                found = await self._api.get(self._path)
                record = found.get("spec") or {}
                if record.get("holderIdentity") == self._name:
                    freed = {**record, "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _stamp()}
                    await self._api.replace(self._path, self._object(found["metadata"], freed))
        except (BadInputError, TemporaryError, PermanentError, TimeoutError) as error:
            _log.warning("lease.not-released", lease=self._path, error=str(error))


async def _ended(task: asyncio.Future[None]) -> None:
    """Cancel a task and return when it has ended, whatever it raises then."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _stamp() -> str:
    # The API server wants microseconds.
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
