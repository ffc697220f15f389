"""The watch on the simulated cluster's nodes."""

import asyncio
from collections.abc import Iterable

from pipeline.cluster.port import NodeEvent
from pipeline.errors import TemporaryError

BACKLOG = 10_000
"""How many events a reader may fall behind before its watch ends, as an API server ends the watch of a slow client."""


class Watch:
    """An endless iterator over events, from the moment of its creation on.

    It starts with ADDED for every node that is there, as a watch without a resource version does. What happens by
    itself is told when somebody next looks at the cluster. A reader that falls more than `BACKLOG` events behind gets
    TemporaryError after the last one that was kept: watch again from the start.
    """

    def __init__(self, first: Iterable[NodeEvent]) -> None:
        self._events: asyncio.Queue[NodeEvent] = asyncio.Queue()
        self._behind = False
        for event in first:
            self._events.put_nowait(event)
        self._limit = self._events.qsize() + BACKLOG

    def offer(self, event: NodeEvent) -> None:
        """Hand an event to the reader."""
        if self._events.qsize() >= self._limit:
            self._behind = True
        if not self._behind:
            self._events.put_nowait(event)

    def __aiter__(self) -> "Watch":
        return self

    async def __anext__(self) -> NodeEvent:
        if self._behind and self._events.empty():
            raise TemporaryError("the watch fell behind and was closed; list again and watch from there")
        return await self._events.get()
