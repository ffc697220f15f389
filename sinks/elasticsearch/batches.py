"""Writes that come at the same time, made into few requests."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sinks.base import SinkError
from sinks.elasticsearch.connection import RETRY_AFTER
from sinks.elasticsearch.operations import Operation

Send = Callable[[Sequence[Operation]], Awaitable[Sequence[SinkError | None]]]
"""Makes one request; returns for each operation None if it is safe, else why not."""


@dataclass(slots=True)
class _Write:
    """One call: how many of its operations are open, and the first error among those that are not."""

    done: asyncio.Future[None]
    open: int
    error: SinkError | None = None

    def settle(self, error: SinkError | None) -> None:
        self.open -= 1
        self.error = self.error or error
        if self.open == 0 and not self.done.done():
            if self.error is not None:
                self.done.set_exception(self.error)
            else:
                self.done.set_result(None)


class Batches:
    """Groups operations by count, bytes and time, in the order of the calls, one request at a time.

    What comes while a request is under way is the next batch, so that batches grow as the server gets slower.
    """

    def __init__(self, send: Send, most: int, most_bytes: int, wait: float) -> None:
        """*wait* is how many seconds an operation waits for others."""
        self._send = send
        self._most = most
        self._most_bytes = most_bytes
        self._wait = wait
        self._queue: deque[tuple[Operation, _Write]] = deque()
        self._bytes = 0
        self._full = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    async def put(self, operations: Sequence[Operation]) -> None:
        """Return when all are safe; raise the SinkError of the first that is not."""
        if not operations:
            return
        write = _Write(asyncio.get_running_loop().create_future(), len(operations))
        for operation in operations:
            self._queue.append((operation, write))
            self._bytes += len(operation.lines)
        if len(self._queue) >= self._most or self._bytes >= self._most_bytes:
            self._full.set()
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        await write.done

    async def flush(self, most: float) -> None:
        """Return when what was put is sent or, after *most* seconds, given up: then its writes raise SinkError."""
        if self._sending is not None:
            self._full.set()
            sending = {self._sending}
            _, late = await asyncio.wait(sending, timeout=most)
            for task in late:
                task.cancel()
            await asyncio.wait(sending)

    async def _send_all(self) -> None:
        batch: list[tuple[Operation, _Write]] = []
        try:
            while self._queue:
                if self._wait:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._wait):
                            await self._full.wait()
                batch = self._take()
                await self._send_one(batch)
        except asyncio.CancelledError:
            self._fail([*batch, *self._queue], SinkError("the sink was closed before all was sent", RETRY_AFTER))
            self._queue.clear()
            self._bytes = 0
        finally:
            self._sending = None

    async def _send_one(self, batch: Sequence[tuple[Operation, _Write]]) -> None:
        try:
            errors = await self._send([operation for operation, _ in batch])
        except Exception as error:
            self._fail(batch, error)
        else:
            for (_, write), told in zip(batch, errors, strict=True):
                write.settle(told)

    def _take(self) -> list[tuple[Operation, _Write]]:
        batch: list[tuple[Operation, _Write]] = []
        size = 0
        while self._queue and len(batch) < self._most:
            size += len(self._queue[0][0].lines)
            if batch and size > self._most_bytes:
                break
            batch.append(self._queue.popleft())
        self._bytes = sum(len(operation.lines) for operation, _ in self._queue)
        if len(self._queue) < self._most and self._bytes < self._most_bytes:
            self._full.clear()
        return batch

    def _fail(self, batch: Sequence[tuple[Operation, _Write]], error: Exception) -> None:
        """Hand an error to those who wait: a write that nobody answers would wait for ever."""
        for _, write in batch:
            if not write.done.done():
                write.done.set_exception(error)
