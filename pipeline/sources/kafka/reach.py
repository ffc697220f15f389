"""Whether a Kafka source would find all that it needs: the cluster, its topics, and the right to read them."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code

from pipeline.errors import BadInputError, Complaint
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.version import version

ANSWER_LIMIT = 10.0
"""Seconds that the cluster is given for an answer."""
_FETCH_LIMIT = 1.0
"""Seconds in which a fetch that is not allowed is refused; one that is waits for a message."""


async def reached(config: KafkaSourceConfig) -> str:
    """Return what is there, in a few words. Raises KafkaError, TimeoutError, OSError, BadInputError.

    The group is looked at and not joined: that would take partitions from those who read them.
    """
    async with asyncio.timeout(2 * ANSWER_LIMIT):
        cluster = await _cluster(config)
        partitions = await described(config, config.topics)
        missing = [topic for topic, count in partitions.items() if not count]
        if missing:
            raise UnknownTopicOrPartitionError(missing)
        if config.dead_letter_topic is not None:
            await _see_letters(config, config.dead_letter_topic)
        await _try_to_read(config)
    topics = ", ".join(f"{topic} ({count} partition{'s'[: count > 1]})" for topic, count in partitions.items())
    return f"{cluster}, {topics}"


async def described(config: KafkaSourceConfig, topics: Sequence[str]) -> dict[str, int]:
    """Return the number of each topic's partitions: 0 where there is no such topic.

    Raises KafkaError; TopicAuthorizationFailedError for topics that we may not see.
    """
    admin = AIOKafkaAdminClient(**config.connection())
    try:
        async with asyncio.timeout(ANSWER_LIMIT):
            await admin.start()
            found = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    errors = {topic["topic"]: for_code(topic["error_code"]) for topic in found}
    hidden = [name for name, error in errors.items() if error is TopicAuthorizationFailedError]
    if hidden:
        raise TopicAuthorizationFailedError(hidden)
    return {
        topic["topic"]: 0
        if errors[topic["topic"]] is UnknownTopicOrPartitionError
        else max(len(topic["partitions"]), 1)
        for topic in found
    }


async def _cluster(config: KafkaSourceConfig) -> str:
    client = AIOKafkaClient(**config.connection())
    try:
        async with asyncio.timeout(ANSWER_LIMIT):
            await client.bootstrap()
            release, brokers = await version(client), len(client.cluster.brokers())
    finally:
        await client.close()
    return f"{release}, {brokers} broker{'s'[: brokers > 1]}"


async def _see_letters(config: KafkaSourceConfig, topic: str) -> None:
    """Raise BadInputError unless the topic for damaged batches is there."""
    try:
        partitions = await described(config, [topic])
    except TopicAuthorizationFailedError as error:
        hidden = Complaint(config.place, f"this client may not see the dead_letter_topic {topic}", "allow WRITE on it")
        raise BadInputError(hidden) from error
    if not partitions[topic]:
        raise BadInputError(Complaint(config.place, f"there is no dead_letter_topic {topic}", "create it"))


async def _try_to_read(config: KafkaSourceConfig) -> None:
    consumer = AIOKafkaConsumer(
        **config.connection(), group_id=config.group_id, enable_auto_commit=False, auto_offset_reset="latest"
    )
    try:
        await consumer.start()
        first = [TopicPartition(topic, 0) for topic in config.topics]
        consumer.assign(first)
        for tp in first:
            await consumer.committed(tp)
        ends = await consumer.end_offsets(first)
        for tp in first:
            consumer.seek(tp, ends[tp])
        await consumer.getmany(timeout_ms=round(_FETCH_LIMIT * 1000))
    finally:
        await consumer.stop()
