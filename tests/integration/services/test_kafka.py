"""A real broker: what is produced is consumed, what was acknowledged outlives it, who is not allowed stays out."""

import asyncio
import ssl
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from tests.services.certificates import Certificate
from tests.services.kafka.broker import Kafka
from tests.services.kafka.rights import Operation, Resource, allow
from tests.services.kafka.topics import create_topic

LINE = b"NVRM: Xid (PCI:0000:03:00): 62, Channel 00000001"
LIMIT = 60

WAYS_IN = [
    pytest.param("SASL_PLAINTEXT", "PLAIN", id="PLAIN"),
    pytest.param("SASL_PLAINTEXT", "SCRAM-SHA-256", id="SCRAM"),
    pytest.param("SASL_SSL", "PLAIN", id="PLAIN over TLS"),
    pytest.param("SASL_SSL", "SCRAM-SHA-256", id="SCRAM over TLS"),
]


def login(kafka: Kafka, protocol: str, mechanism: str, user: str, password: str) -> dict[str, Any]:
    trusted = ssl.create_default_context(cafile=str(kafka.certificate.authority)) if kafka.certificate else None
    return {
        "bootstrap_servers": kafka.addresses[protocol],
        "security_protocol": protocol,
        "ssl_context": trusted if protocol.endswith("SSL") else None,
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


async def produce(topic: str, *values: bytes, **settings: Any) -> None:
    producer = AIOKafkaProducer(acks="all", **settings)
    try:
        async with asyncio.timeout(LIMIT):
            await producer.start()
            for value in values:
                await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def consume(topic: str, count: int, **settings: Any) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, auto_offset_reset="earliest", **settings)
    try:
        async with asyncio.timeout(LIMIT):
            await consumer.start()
            return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_what_is_produced_is_consumed(kafka: Kafka, topic: str) -> None:
    await produce(topic, LINE, b"", bootstrap_servers=kafka.address)
    assert await consume(topic, 2, bootstrap_servers=kafka.address, group_id="readers") == [LINE, b""]


async def test_what_was_acknowledged_outlives_a_kill_and_the_address_stays(own_kafka: Kafka) -> None:
    address, lines = own_kafka.address, [b"%d" % number for number in range(100)]
    await create_topic(address, "lines", partitions=1)
    await produce("lines", *lines, bootstrap_servers=address)
    await asyncio.to_thread(own_kafka.kill)
    with pytest.raises(KafkaConnectionError):
        await produce("lines", b"lost", bootstrap_servers=address)
    await asyncio.to_thread(own_kafka.start)
    await produce("lines", b"after", bootstrap_servers=address)
    assert await consume("lines", 101, bootstrap_servers=address) == [*lines, b"after"]


async def test_what_was_acknowledged_outlives_a_stop_and_a_second_start_changes_nothing(own_kafka: Kafka) -> None:
    await create_topic(own_kafka.address, "lines", partitions=1)
    await produce("lines", LINE, bootstrap_servers=own_kafka.address)
    await asyncio.to_thread(own_kafka.stop)
    assert (own_kafka.folder / "data" / ".kafka_cleanshutdown").exists()
    await asyncio.to_thread(own_kafka.start)
    serving = own_kafka.process
    await asyncio.to_thread(own_kafka.start)
    assert own_kafka.process is serving
    assert await consume("lines", 1, bootstrap_servers=own_kafka.address) == [LINE]


@pytest.mark.parametrize(("protocol", "mechanism"), WAYS_IN)
async def test_a_user_comes_in(kafka: Kafka, topic: str, protocol: str, mechanism: str) -> None:
    alice = login(kafka, protocol, mechanism, "alice", kafka.users["alice"].password)
    await produce(topic, LINE, **alice)
    assert await consume(topic, 1, **alice) == [LINE]


@pytest.mark.parametrize(("protocol", "mechanism"), WAYS_IN)
async def test_a_wrong_password_is_refused(
    kafka: Kafka, topic: str, protocol: str, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    with pytest.raises(KafkaConnectionError):
        await produce(topic, LINE, **login(kafka, protocol, mechanism, "alice", "wrong"))
    assert time.monotonic() - began < LIMIT
    # The client raises the same error for a closed port; the reason is in its log alone.
    assert "SaslAuthenticationFailed" in caplog.text


async def test_a_user_without_rights_is_refused_until_they_are_given(kafka: Kafka, topic: str) -> None:
    bob = login(kafka, "SASL_PLAINTEXT", "PLAIN", "bob", kafka.users["bob"].password)
    with pytest.raises(TopicAuthorizationFailedError):
        await produce(topic, LINE, **bob)
    await allow(kafka.address, "bob", Operation.WRITE, Resource.TOPIC, topic)
    await produce(topic, LINE, **bob)
    with pytest.raises(TopicAuthorizationFailedError):
        await consume(topic, 1, **bob)


async def test_tls_needs_the_authority(kafka: Kafka, topic: str, certificate: Certificate) -> None:
    trusted = ssl.create_default_context(cafile=str(certificate.authority))
    there = {"bootstrap_servers": kafka.addresses["SSL"], "security_protocol": "SSL"}
    await produce(topic, LINE, **there, ssl_context=trusted)
    with pytest.raises(KafkaConnectionError):
        await produce(topic, LINE, **there, ssl_context=ssl.create_default_context())


async def test_a_topic_is_not_made_by_asking_for_it(kafka: Kafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    async with asyncio.timeout(LIMIT):
        await admin.start()
    try:
        (described,) = await admin.describe_topics(["never-made"])
        assert described["error_code"] == UnknownTopicOrPartitionError.errno
        assert "never-made" not in await admin.list_topics()
    finally:
        await admin.close()
