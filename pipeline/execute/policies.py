"""The policies in force, replaced as a whole when their files or resources change."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from pipeline.clock import Clock, WallClock
from pipeline.cluster.port import Cluster
from pipeline.decide.findings import Findings, find, unknown_labels
from pipeline.decide.policy import PolicySet
from pipeline.decide.policystatus import policy_status
from pipeline.decide.resources import Manifest, Reading, key_of, read_resources, without_status
from pipeline.errors import NotFoundError, PermanentError, TemporaryError

_log = structlog.get_logger()

_AGAIN = timedelta(minutes=1)
"""How often the labels of the nodes are looked through again, and how long a refused write is not repeated."""

_POLL = 0.2
"""Seconds between two looks at the cache; a look that finds nothing new is one comparison."""
_NO_READING = Reading()
_WALL = WallClock()


class PolicyBook:
    """Holds the policy set that decisions are made by, and tells those who listen when it is another one."""

    def __init__(
        self, policies: PolicySet, cluster: Cluster, clock: Clock = _WALL, reading: Reading = _NO_READING
    ) -> None:
        """*cluster* is where people read the policies' status; *reading* says what became of resources."""
        self._current = policies
        self._reading = reading
        self._cluster = cluster
        self._clock = clock
        self._listeners: list[Callable[[], None]] = []
        self._findings: Findings | None = None
        self._again: datetime | None = None

    @property
    def current(self) -> PolicySet:
        """The policy set in force."""
        return self._current

    def replace(self, policies: PolicySet, reading: Reading = _NO_READING) -> None:
        """Put another policy set in force; of resources, *reading* says what became of each."""
        self._current = policies
        self._reading = reading
        self._findings = None
        self._again = None
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have *listener* called after each replacement."""
        self._listeners.append(listener)

    async def report(self) -> None:
        """Write into each policy's status what people should know of it, where that is not what it says already.

        After a replacement at once, then once a minute, since labels of nodes come and go. An API server that is away
        or refuses is no error: it is asked again a minute later.
        """
        now = self._clock.now()
        if not self._cluster.synced or (self._again is not None and now < self._again):
            return
        self._again = now + _AGAIN
        known = {*self._reading.refused, *self._read_keys()}
        findings = self._found()
        for manifest in self._cluster.policies():
            # What is newer than the set in force is reported with the set that it is part of.
            if key_of(manifest) not in known:
                continue
            status = policy_status(manifest, self._reading, findings, now)
            if manifest.get("status") != status and not await self._written(manifest, status):
                return

    def _found(self) -> Findings:
        if self._findings is None:
            self._findings = find(self._current)
        nodes = [node.labels for node in self._cluster.nodes().values()]
        return replace(self._findings, unknown_labels=unknown_labels(self._current, nodes))

    def _read_keys(self) -> set[tuple[str, str]]:
        rescue = {("RescuePolicy", rule.policy) for rule in self._current.rules}
        return rescue | {("WarmStandbyPolicy", policy.metadata.name) for policy in self._current.standby}

    async def _written(self, manifest: Manifest, status: dict[str, object]) -> bool:
        """Write a status and return whether it is worth going on to the next."""
        kind, name = key_of(manifest)
        try:
            await self._cluster.set_policy_status(kind, name, status)
        except NotFoundError:
            # Deleted a moment ago: there is no status to write to.
            return True
        except (TemporaryError, PermanentError) as error:
            _log.warning("policy.status_unwritten", kind=kind, name=name, error=str(error))
            return False
        return True


class PolicyWatch:
    """Keeps a policy book at what the cluster's resources say."""

    def __init__(self, cluster: Cluster, book: PolicyBook, rehearsed: bool = False) -> None:
        """With *rehearsed* all that they plan is rehearsed only (the global dry run)."""
        self._cluster = cluster
        self._book = book
        self._rehearsed = rehearsed
        self._seen: Sequence[Manifest] | None = None
        self._read: object = None

    def refresh(self) -> None:
        """Put in force what the cluster's cache shows, if it is not in force yet; a status decides nothing."""
        manifests = self._cluster.policies()
        if manifests is self._seen:
            return
        self._seen = manifests
        if (deciding := without_status(manifests)) == self._read:
            return
        self._read = deciding
        policies, reading = read_resources(manifests)
        for (kind, name), problem in reading.refused.items():
            _log.error("policy.refused", kind=kind, name=name, problem=problem)
        self._book.replace(policies.rehearsed() if self._rehearsed else policies, reading)

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            self.refresh()
            await asyncio.sleep(_POLL)
