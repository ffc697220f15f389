"""The other end of a Kafka source: the topic, to which a shipper writes and a drill is sent."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from pipeline.errors import BadInputError, Complaint, TemporaryError
from pipeline.sources.kafka.reach import ANSWER_LIMIT, described
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.trouble import Listener, explained

_AT_ONCE = 1_000


class KafkaInlet:
    """Sends messages to the first topic of a source, under the node's name as their key: one node, one partition."""

    def __init__(self, config: KafkaSourceConfig) -> None:
        self._config = config
        self._topic = config.topics[0]

    @property
    def place(self) -> str:
        """The topic and the brokers."""
        return f"the topic {self._topic} of {self._config.place}"

    async def inject(self, messages: Sequence[bytes], node: str | None = None) -> None:
        """Return when every in-sync replica has the messages. The topic must be there; none is made.

        Raises BadInputError for what a person has to mend, TemporaryError when the cluster does not answer.
        """
        listener = Listener()
        with listener.listening():
            try:
                await self._see_the_topic()
                await self._send(messages, node.encode() if node else None)
            except TopicAuthorizationFailedError as error:
                problem, remedy = f"this client may not write to the topic {self._topic}", "allow WRITE on the topic"
                raise BadInputError(Complaint(self._config.place, problem, remedy)) from error
            except (KafkaError, OSError, TimeoutError, TemporaryError) as error:
                raise explained(self._config, listener.instead_of(error)) from error

    async def _see_the_topic(self) -> None:
        """Raise UnknownTopicOrPartitionError unless it is there: a broker may make one for whoever writes to it."""
        partitions = await described(self._config, [self._topic])
        if not partitions[self._topic]:
            raise UnknownTopicOrPartitionError(self._topic)

    async def _send(self, messages: Sequence[bytes], key: bytes | None) -> None:
        producer = AIOKafkaProducer(**self._config.connection(), acks="all")
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                await producer.start()
            for start in range(0, len(messages), _AT_ONCE):
                block = messages[start : start + _AT_ONCE]
                await asyncio.gather(*[await producer.send(self._topic, message, key=key) for message in block])
        finally:
            await producer.stop()
