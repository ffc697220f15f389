"""Follows the events of a cluster by list and watch."""

import asyncio
from collections.abc import AsyncIterator

from pipeline.cluster.announcer import COMPONENT
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.reflector import Reflector, troubles
from pipeline.cluster.kube.rights import Need, missing_rights
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.errors import PermanentError
from pipeline.sources.events.arrivals import Arrivals, Followed
from pipeline.sources.events.lines import NodeEventSeen, seen
from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.port import Delivery, Wanted


class EventsSource:
    """Follows the events about nodes by list and watch: each new one is a message, and each time that its count grows.

    Our own are not read. `Delivery.position` is `events:NAMESPACE/NAME:COUNT@UID`, so that what a restart finds in the
    list is known again. The server forgets events after an hour, and nothing is committed: what was missed while
    nobody read is its last count.
    """

    def __init__(self, settings: EventsSourceConfig, wanted: Wanted) -> None:
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

    @property
    def trouble(self) -> str | None:
        """Why events are not followed; None when they are."""
        return troubles(self._reflectors)

    async def reach(self) -> str:
        """Ask whether events may be read; PermanentError names the rights that lack."""
        if lacking := await missing_rights(self._api, [reading(self._settings)]):
            raise PermanentError(f"we may not: {', '.join(lacking)}")
        return f"events {', '.join(self._settings.reasons)} in {self._settings.namespace or 'every namespace'}"

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield the wanted messages; what happened before the start comes first, the oldest at first."""
        self._following = [asyncio.create_task(reflector.run()) for reflector in self._reflectors]
        for task in self._following:
            task.add_done_callback(lambda _: self._arrivals.wake())
        while not self._closed:
            event = self._arrivals.take()
            if event is None:
                self._check()
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

    def _check(self) -> None:
        """Raise what has ended the following, which goes on for ever: else nothing would be read and nobody told."""
        for task in self._following:
            if task.done():
                task.result()

    async def _wait(self) -> None:
        await self._arrivals.wait()

    def _reflector(self, reason: str) -> Reflector[NodeEventSeen]:
        selector = f"involvedObject.kind=Node,reason={reason},source!={COMPONENT}"
        return Reflector(self._api, self._path, seen, Followed(self._arrivals), {"fieldSelector": selector})


def reading(settings: EventsSourceConfig) -> Need:
    """Return the right that it takes: in the namespace, or in all of them."""
    return Need("", "events", ("list", "watch"), settings.namespace or "")


async def _nothing() -> None:
    """There is nothing to go back to."""
