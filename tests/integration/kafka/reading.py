"""A Kafka source that is read in the background of a test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Any

from pipeline.sources.kafka import fast
from pipeline.sources.kafka import session as sessions
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.source import KafkaSource
from pipeline.sources.port import Delivery

LIMIT = 60


def is_fault(message: bytes) -> bool:
    return b"NVRM" in message


def places(block: bytes | memoryview) -> list[int]:
    found, start = [], bytes(block).find(b"NVRM")
    while start >= 0:
        found.append(start)
        start = bytes(block).find(b"NVRM", start + 1)
    return found


def config(address: str, *topics: str, **settings: Any) -> KafkaSourceConfig:
    brisk = {"commit_every": timedelta(seconds=1), "handover": timedelta(seconds=5)}
    return KafkaSourceConfig(bootstrap_servers=[address], topics=list(topics), **{**brisk, **settings})


def source_of(settings: KafkaSourceConfig) -> KafkaSource:
    return KafkaSource(settings, is_fault, lambda: [places], begin=lambda: None)


class Reader:
    """Takes what a source delivers and acknowledges what *acknowledged* says at once."""

    def __init__(self, source: KafkaSource, acknowledged: Callable[[Delivery], bool]) -> None:
        self.source = source
        self.deliveries: list[Delivery] = []
        self._acknowledged = acknowledged
        self._task = asyncio.create_task(self._read())

    @property
    def payloads(self) -> list[bytes]:
        return [delivery.payload for delivery in self.deliveries]

    @property
    def positions(self) -> list[str]:
        return [delivery.position for delivery in self.deliveries]

    async def has(self, count: int) -> None:
        """Return once so many messages were delivered."""
        await self.until(lambda: len(self.deliveries) >= count)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self.source.close()
        async with asyncio.timeout(LIMIT):
            await self._task

    async def _read(self) -> None:
        async for delivery in self.source.deliveries():
            self.deliveries.append(delivery)
            if self._acknowledged(delivery):
                await delivery.ack()


@asynccontextmanager
async def reading(
    settings: KafkaSourceConfig, acknowledged: Callable[[Delivery], bool] = lambda _: True
) -> AsyncIterator[Reader]:
    reader = Reader(source_of(settings), acknowledged)
    try:
        yield reader
    finally:
        await reader.close()


async def eventually(condition: Callable[[], Any]) -> None:
    """Return once an awaitable's result, or what is returned, is true."""
    async with asyncio.timeout(LIMIT):
        while True:
            with suppress(AssertionError):
                found = condition()
                if await found if asyncio.iscoroutine(found) else found:
                    return
            await asyncio.sleep(0.1)


@contextmanager
def going(way: str) -> Iterator[None]:
    """Let sources go one of the two ways through what was fetched; the slow one as with an aiokafka that is unknown."""
    tried = fast.TRIED
    fast.TRIED = tried if way == "fast" else ()
    fast.check.cache_clear()
    sessions.warn_once.cache_clear()
    try:
        yield
    finally:
        fast.TRIED = tried
        fast.check.cache_clear()


async def at_the_end(reader: Reader, end: int) -> None:
    """Return once the source has gone through all of a topic of one partition."""

    async def reached() -> bool:
        session = reader.source._session
        partitions = list(session.partitions) if session else []
        return bool(session and partitions and await session.consumer.position(partitions[0]) == end)

    await eventually(reached)
