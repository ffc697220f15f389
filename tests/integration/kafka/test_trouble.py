"""What a Kafka source says when it cannot read: in words for people, and it tries on."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadInputError, TemporaryError
from pipeline.sources.kafka.settings import KafkaSaslConfig, KafkaSourceConfig, KafkaTlsConfig
from tests.integration.kafka.reading import config, reading, source_of
from tests.services.certificates import Certificate, make_certificate
from tests.services.kafka.artifact import KAFKA
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import produce
from tests.services.kafka.rights import Operation, Resource, allow
from tests.services.kafka.topics import create_topic
from tests.services.ports import free_port

RELEASE = f"Kafka {KAFKA.version.rpartition('.')[0]}"


def sasl(user: str, password: str, mechanism: str = "PLAIN") -> KafkaSaslConfig:
    return KafkaSaslConfig.model_validate({"mechanism": mechanism, "username": user, "password": password})


def settings(kafka: Kafka, topic: str, way_in: str, **others: Any) -> KafkaSourceConfig:
    return config(kafka.addresses[way_in], topic, group_id=f"group-{uuid.uuid4().hex[:12]}", **others)


async def told(reached: KafkaSourceConfig) -> str:
    """What `reach` raises; reading must raise nothing, and say the same."""
    source = source_of(reached)
    with pytest.raises((BadInputError, TemporaryError)) as raised:
        await source.reach()
    await source.close()
    async with reading(reached) as reader:
        await reader.until(lambda: (reader.source.trouble or "") == str(raised.value))
    return str(raised.value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("way_in", ["SASL_PLAINTEXT", "SASL_SSL"])
async def test_a_wrong_password(
    kafka: Kafka, topic: str, certificate: Certificate, mechanism: str, way_in: str
) -> None:
    tls = KafkaTlsConfig(ca=certificate.authority) if way_in == "SASL_SSL" else None
    words = await told(settings(kafka, topic, way_in, sasl=sasl("alice", "wrong", mechanism), tls=tls))
    place = f"kafka {kafka.addresses[way_in]}"
    assert words == f"{place}: does not let alice in ({mechanism}); check sasl.username and sasl.password"


async def test_a_mechanism_that_the_listener_does_not_have(kafka: Kafka, topic: str) -> None:
    words = await told(settings(kafka, topic, "SASL_PLAINTEXT", sasl=sasl("alice", "alice-secret", "SCRAM-SHA-512")))
    assert "does not take the mechanism SCRAM-SHA-512; set sasl.mechanism to one that the listener has" in words


async def test_a_certificate_of_an_unknown_authority(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "somebody else")
    words = await told(settings(kafka, topic, "SSL", tls=KafkaTlsConfig(ca=other.authority)))
    assert "its certificate is not trusted" in words
    assert "set tls.ca to the certificate of its authority" in words


async def test_tls_to_a_listener_without(kafka: Kafka, topic: str, certificate: Certificate) -> None:
    words = await told(settings(kafka, topic, "PLAINTEXT", tls=KafkaTlsConfig(ca=certificate.authority)))
    assert "the connection was closed; see that the cluster is up, and whether tls and sasl are as this" in words


async def test_no_tls_to_a_listener_with_it(kafka: Kafka, topic: str) -> None:
    words = await told(settings(kafka, topic, "SSL"))
    assert "see that the cluster is up, and whether tls and sasl are as this listener wants them" in words


async def test_a_port_at_which_nobody_listens() -> None:
    words = await told(config(f"127.0.0.1:{free_port()}", "kernel-logs"))
    assert "nobody listens there; see that the broker runs, and check bootstrap_servers" in words


async def test_a_name_that_nobody_knows() -> None:
    words = await told(config("kafka.invalid:9092", "kernel-logs"))
    assert "check bootstrap_servers" in words


async def test_a_missing_topic_is_read_once_it_is_there(kafka: Kafka) -> None:
    topic = f"late-{uuid.uuid4().hex[:12]}"
    late = settings(kafka, topic, "PLAINTEXT")
    async with reading(late) as reader:
        await reader.until(
            lambda: f"there is no topic {topic}; create it, or mend topics" in str(reader.source.trouble)
        )
        await create_topic(kafka.address, topic)
        await produce(kafka.address, topic, [b"NVRM"])
        await reader.has(1)
        await reader.until(lambda: reader.source.trouble is None)


async def test_of_several_topics_those_that_are_there_are_read(kafka: Kafka, topic: str) -> None:
    missing = f"missing-{uuid.uuid4().hex[:12]}"
    both = config(kafka.address, topic, missing, group_id=f"group-{uuid.uuid4().hex[:12]}")
    await produce(kafka.address, topic, [b"NVRM"])
    source = source_of(both)
    with pytest.raises(BadInputError, match=f"there is no topic {missing};"):
        await source.reach()
    await source.close()
    async with reading(both) as reader:
        await reader.has(1)


async def test_rights_that_are_missing_are_named_one_after_the_other(kafka: Kafka, topic: str) -> None:
    mine = settings(kafka, topic, "SASL_PLAINTEXT", sasl=sasl("bob", "bob-secret"))
    assert f"bob may not read the topic {topic}; allow READ on the topic" in await told(mine)
    await allow(kafka.address, "bob", Operation.DESCRIBE, Resource.TOPIC, topic)
    assert f"bob may not use the group {mine.group_id}; allow READ on the group" in await told(mine)
    await allow(kafka.address, "bob", Operation.READ, Resource.GROUP, mine.group_id)
    assert f"bob may not read the topic {topic}; allow READ on the topic" in await told(mine)
    await allow(kafka.address, "bob", Operation.READ, Resource.TOPIC, topic)
    source = source_of(mine)
    assert await source.reach() == f"{RELEASE}, 1 broker, {topic} (1 partition)"
    await source.close()


async def test_a_topic_for_damaged_batches_that_is_missing(kafka: Kafka, topic: str) -> None:
    aside = f"aside-{uuid.uuid4().hex[:12]}"
    source = source_of(settings(kafka, topic, "PLAINTEXT", dead_letter_topic=aside))
    with pytest.raises(BadInputError, match=f"there is no dead_letter_topic {aside}; create it"):
        await source.reach()
    await create_topic(kafka.address, aside)
    assert await source.reach() == f"{RELEASE}, 1 broker, {topic} (1 partition)"
    await source.close()


async def test_a_topic_for_damaged_batches_that_we_may_not_see(kafka: Kafka, topic: str) -> None:
    known = sasl("bob", "bob-secret")
    aside = f"aside-{uuid.uuid4().hex[:12]}"
    source = source_of(settings(kafka, topic, "SASL_PLAINTEXT", sasl=known, dead_letter_topic=aside))
    await allow(kafka.address, "bob", Operation.DESCRIBE, Resource.TOPIC, topic)
    with pytest.raises(BadInputError, match=f"may not see the dead_letter_topic {aside}; allow WRITE on it"):
        await source.reach()
    await source.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_who_is_let_in_reads(
    kafka: Kafka, topic: str, certificate: Certificate, mechanism: str, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("alice-secret\n")
    known = {"mechanism": mechanism, "username": "alice", "password_file": secret}
    tls = KafkaTlsConfig(ca=certificate.authority)
    safe = settings(kafka, topic, "SASL_SSL", sasl=KafkaSaslConfig.model_validate(known), tls=tls)
    await produce(kafka.address, topic, [b"NVRM"])
    async with reading(safe) as reader:
        await reader.has(1)
        assert reader.payloads == [b"NVRM"]


async def test_a_file_of_the_settings_that_cannot_be_read_ends_the_reading_at_once(tmp_path: Path) -> None:
    source = source_of(config("127.0.0.1:1", "kernel-logs", tls=KafkaTlsConfig(ca=tmp_path / "none.pem")))
    with pytest.raises(BadInputError, match=r"none\.pem: cannot be used for TLS"):
        await anext(source.deliveries())
    await source.close()


async def test_a_source_is_closed_while_it_waits_for_a_cluster() -> None:
    async with reading(config(f"127.0.0.1:{free_port()}", "kernel-logs")) as reader:
        await asyncio.sleep(0.5)
    assert reader.deliveries == []
