"""The way through what a consumer has fetched by aiokafka's public interface alone: a record of every message."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException, KafkaError

from pipeline.sources.kafka.fast import Sieve
from pipeline.sources.kafka.messages import Message, Unreadable

_REFETCHED = 0.3
_ROUNDS = 5
_WITHOUT_PAUSE = 256


class PublicWay:
    """Takes the wanted messages, and gets by damaged batches an offset at a time: aiokafka does not tell their end."""

    def __init__(self, consumer: AIOKafkaConsumer, sieve: Sieve) -> None:
        self._consumer = consumer
        self._sieve = sieve

    async def take(self) -> list[Message | Unreadable]:
        """Return the next wanted message, or an offset that cannot be read. Raises KafkaError."""
        while True:
            try:
                message: Message = await self._consumer.getone()
            except CorruptRecordException as error:
                found = await self._by_partition(error)
            except (KafkaError, ConsumerStoppedError, MemoryError):
                raise
            except Exception as error:
                found = await self._by_partition(error)
            else:
                found = await self._wanted(message)
            if found is not None:
                return [found]

    async def _wanted(self, message: Message) -> Message | None:
        self._sieve.read += 1
        if self._sieve.read % _WITHOUT_PAUSE == 0:
            await asyncio.sleep(0)
        return message if message.value is not None and self._sieve.test(message.value) else None

    async def _by_partition(self, error: Exception) -> Message | Unreadable | None:
        """Find the partition that raised *error*, which does not say; it is fetched again and raises again."""
        for _ in range(_ROUNDS):
            await asyncio.sleep(_REFETCHED)
            for tp in self._consumer.assignment():
                try:
                    taken = await self._consumer.getmany(tp, max_records=1)
                except (ConsumerStoppedError, MemoryError):
                    raise
                except Exception as again:
                    if isinstance(again, KafkaError) and not isinstance(again, CorruptRecordException):
                        raise
                    return await self._pass(tp, again)
                for message in taken.get(tp, ()):
                    if found := await self._wanted(message):
                        return found
        raise error

    async def _pass(self, tp: TopicPartition, error: Exception) -> Unreadable:
        offset = await self._consumer.position(tp)
        self._consumer.seek(tp, offset + 1)
        return Unreadable(tp.topic, tp.partition, offset, offset + 1, f"{type(error).__name__}: {error}", None)
