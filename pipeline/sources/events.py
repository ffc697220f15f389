"""Events about nodes in a Kubernetes cluster, which an agent on each node writes: a message each time one happens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.cluster.announcer import COMPONENT
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.reflector import Reflector
from pipeline.cluster.kube.settings import NAMESPACE, KubernetesClusterConfig
from pipeline.documents import Strict
from pipeline.sources.event_lines import NodeEventSeen, seen
from pipeline.sources.port import Delivery, Wanted


class EventsSourceConfig(Strict):
    """Events that an agent on each node writes when it finds a fault in the kernel's log."""

    type: Literal["events"]
    reasons: list[str] = Field(
        ["XidError"], min_length=1, description="Reasons of the events to read; others are not asked for."
    )
    namespace: str | None = Field(
        NAMESPACE,
        min_length=1,
        description="Where they are; an agent's are in `default` unless it is told otherwise. null: in every "
        "namespace, and then whoever may write events in any of them can have a node rescued.",
    )
    kubeconfig: Path | None = Field(
        None,
        description="File that says where the cluster is and who we are; none: inside a pod its service account, "
        "elsewhere what kubectl uses ($KUBECONFIG, ~/.kube/config).",
    )
    context: str | None = Field(None, description="Context of the kubeconfig; none: its current one.")


class EventsSource:
    """Follows the events about nodes by list and watch: each new one is a message, and each time that its count grows.

    Our own are not read. `Delivery.position` is `events:NAMESPACE/NAME:COUNT@UID`, so that what a restart finds in the
    list is known again. The server forgets events after an hour, and nothing is committed: what was missed while
    nobody read is its last count.
    """

    def __init__(self, settings: EventsSourceConfig, wanted: Wanted) -> None:
        """Needs the rights to list and watch events, in the namespace or in all of them."""
        self.read = 0
        self._settings = settings
        self._test = wanted
        self._api = KubeApi(
            KubernetesClusterConfig(type="kubernetes", kubeconfig=settings.kubeconfig, context=settings.context)
        )
        where = f"/namespaces/{settings.namespace}" if settings.namespace else ""
        self._path = f"/api/v1{where}/events"
        self._arrivals = Arrivals()
        self._reflectors = [self._reflector(reason) for reason in dict.fromkeys(settings.reasons)]
        self._following: list[asyncio.Task[None]] = []
        self._closed = False

    @property
    def live(self) -> bool:
        """True: the cluster goes on."""
        return True

    async def reach(self) -> str:
        """Ask for an event; raise what says why none may be read."""
        await self._api.get(self._path, {"limit": 1})
        return f"events {', '.join(self._settings.reasons)} in {self._settings.namespace or 'every namespace'}"

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield the wanted messages; what happened before the start comes first, the oldest at first."""
        self._following = [asyncio.create_task(reflector.run()) for reflector in self._reflectors]
        while not self._closed:
            event = self._arrivals.take()
            if event is None:
                await self._wait()
                continue
            self.read += 1
            payload = event.envelope()
            if self._test(payload):
                yield Delivery(payload, event.position, _nothing, event.time, event.node)

    async def close(self) -> None:
        """Let go of the cluster."""
        if not self._closed:
            self._closed = True
            self._arrivals.wake()
            for task in self._following:
                task.cancel()
            await asyncio.gather(*self._following, return_exceptions=True)
            await self._api.close()

    async def _wait(self) -> None:
        await self._arrivals.wait()

    def _reflector(self, reason: str) -> Reflector[NodeEventSeen]:
        selector = f"involvedObject.kind=Node,reason={reason},source!={COMPONENT}"
        return Reflector(self._api, self._path, seen, Followed(self._arrivals), {"fieldSelector": selector})


class Arrivals:
    """What has happened and was not read yet: of each event what was seen of it first, and what was seen last.

    So it holds no more than twice what the cluster does, however long nobody reads. What opened an event is kept
    because it names the incident, for every replica alike.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, bool], NodeEventSeen] = {}
        self._there = asyncio.Event()

    def put(self, event: NodeEventSeen, *, first: bool) -> None:
        """Add what has happened; *first* is whether nothing was seen of the event before."""
        self._waiting[event.uid, first] = event
        self.wake()

    def take(self) -> NodeEventSeen | None:
        """Return what came first, None when all is read."""
        if not self._waiting:
            self._there.clear()
            return None
        return self._waiting.pop(next(iter(self._waiting)))

    def wake(self) -> None:
        """Have whoever waits look again."""
        self._there.set()

    async def wait(self) -> None:
        """Return when something is there."""
        await self._there.wait()


class Followed:
    """Tells what has happened since it was last looked at; the counts of what the cluster holds tell it."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._counts: dict[str, int] = {}

    def listed(self, found: Sequence[NodeEventSeen]) -> None:
        """Take what is new or has grown, and forget what is gone."""
        there = {event.uid for event in found}
        self._counts = {uid: count for uid, count in self._counts.items() if uid in there}
        for event in sorted(found, key=lambda event: event.time):
            self.changed(event)

    def changed(self, found: NodeEventSeen) -> None:
        """Take it if it has happened again."""
        known = self._counts.get(found.uid, 0)
        if found.count > known:
            self._counts[found.uid] = found.count
            self._arrivals.put(found, first=not known)

    def deleted(self, found: NodeEventSeen) -> None:
        """Forget it; that the server does has no meaning."""
        self._counts.pop(found.uid, None)


async def _nothing() -> None:
    """There is nothing to go back to."""
