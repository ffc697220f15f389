"""Messages in topics: what a test writes, and what a group has committed."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

LIMIT = 60
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as its producer sends it; `timestamp` in milliseconds of the epoch."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None
    timestamp: int | None = None


async def produce(address: str, topic: str, messages: Iterable[bytes | Sent], **settings: Any) -> None:
    """Write messages, in order; *settings* are the producer's."""
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", max_request_size=1 << 24, **settings)
    async with asyncio.timeout(LIMIT):
        await producer.start()
        try:
            pending = [await _send(producer, topic, message) for message in messages]
            for future in pending:
                await future
        finally:
            await producer.stop()


async def _send(producer: AIOKafkaProducer, topic: str, message: bytes | Sent) -> Any:
    sent = message if isinstance(message, Sent) else Sent(message)
    return await producer.send(
        topic,
        sent.value,
        key=sent.key,
        headers=list(sent.headers),
        partition=sent.partition,
        timestamp_ms=sent.timestamp,
    )


async def committed(address: str, group: str, topic: str, partition: int = 0) -> int | None:
    """Return the offset that a group has committed."""
    tp = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
    async with asyncio.timeout(LIMIT):
        await consumer.start()
        try:
            consumer.assign([tp])
            found: int | None = await consumer.committed(tp)
            return found
        finally:
            await consumer.stop()


async def end_of(address: str, topic: str, partition: int = 0) -> int:
    """Return the offset of the message that is written next."""
    tp = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=address)
    async with asyncio.timeout(LIMIT):
        await consumer.start()
        try:
            found: int = (await consumer.end_offsets([tp]))[tp]
            return found
        finally:
            await consumer.stop()


def apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from within another loop, on a thread and a loop of its own."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(coroutine)))
    thread.start()
    thread.join(LIMIT)
    return found[0]
