"""Drills into a real topic: all of them, under the node's name, and never into a topic that is not there."""

import asyncio
import uuid

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from pipeline.errors import BadInputError, TemporaryError
from pipeline.sources.kafka.inlet import KafkaInlet
from pipeline.sources.kafka.settings import KafkaSaslConfig
from tests.integration.kafka.reading import config, reading
from tests.services.kafka.broker import Kafka
from tests.services.kafka.rights import Operation, Resource, allow
from tests.services.ports import free_port


async def test_a_storm_is_sent_whole_in_order_and_under_the_nodes_name(kafka: Kafka, topic: str) -> None:
    settings = config(kafka.address, topic, f"{topic}-other", group_id=topic)
    messages = [b"NVRM %d" % number for number in range(2_500)]
    await KafkaInlet(settings).inject(messages, "gpu-7")
    async with reading(settings) as reader:
        await reader.has(2_500)
    assert reader.payloads == messages
    assert {delivery.key for delivery in reader.deliveries} == {"gpu-7"}


async def test_a_topic_that_is_not_there_is_not_made(kafka: Kafka) -> None:
    missing = f"missing-{uuid.uuid4().hex[:12]}"
    with pytest.raises(BadInputError, match=f"there is no topic {missing}; create it, or mend topics"):
        await KafkaInlet(config(kafka.address, missing)).inject([b"NVRM"], "gpu-7")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    assert missing not in await admin.list_topics()
    await admin.close()


async def test_whoever_may_only_read_is_told_so(kafka: Kafka, topic: str) -> None:
    bob = KafkaSaslConfig.model_validate({"mechanism": "PLAIN", "username": "bob", "password": "bob-secret"})
    await allow(kafka.address, "bob", Operation.READ, Resource.TOPIC, topic)
    with pytest.raises(BadInputError, match=f"may not write to the topic {topic}; allow WRITE on the topic"):
        await KafkaInlet(config(kafka.addresses["SASL_PLAINTEXT"], topic, sasl=bob)).inject([b"NVRM"], "gpu-7")


async def test_a_cluster_that_is_away_is_told_and_not_waited_for() -> None:
    async with asyncio.timeout(30):
        with pytest.raises(TemporaryError, match="nobody listens there"):
            await KafkaInlet(config(f"127.0.0.1:{free_port()}", "kernel-logs")).inject([b"NVRM"], "gpu-7")
