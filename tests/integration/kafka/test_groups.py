"""Replicas that come and go, and a broker that dies: nothing is missed, and nothing that was safe comes again."""

import asyncio
import uuid
from collections import Counter
from datetime import timedelta

import pytest

from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.watch import StuckError
from pipeline.telemetry import KAFKA_REBALANCES
from tests.integration.kafka.reading import Reader, config, eventually, reading
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import Sent, committed, end_of, produce
from tests.services.kafka.topics import create_topic

PARTITIONS = 4


async def shared(address: str, partitions: int = PARTITIONS) -> KafkaSourceConfig:
    topic = f"shared-{uuid.uuid4().hex[:12]}"
    await create_topic(address, topic, partitions)
    return config(address, topic, group_id=topic)


async def keep_producing(settings: KafkaSourceConfig, messages: list[bytes]) -> None:
    """Write a fault and some noise to every partition, again and again."""
    (address,), (topic,) = settings.bootstrap_servers, settings.topics
    while True:
        wave = [
            Sent(value, partition=partition)
            for partition in range(PARTITIONS)
            for value in (b"noise", b"NVRM %d" % (len(messages) + partition), b"noise")
        ]
        await produce(address, topic, wave)
        messages += [sent.value for sent in wave if sent.value and b"NVRM" in sent.value]
        await asyncio.sleep(0.05)


async def test_a_rebalance_from_one_to_two_to_one_misses_nothing_and_repeats_nothing_that_was_safe(
    kafka: Kafka,
) -> None:
    settings = await shared(kafka.address)
    sent: list[bytes] = []
    producing = asyncio.create_task(keep_producing(settings, sent))
    async with reading(settings) as first:
        await first.has(20)
        async with reading(settings) as second:
            await second.has(20)
            before = len(first.deliveries)
            await first.has(before + 20)
        alone = len(first.deliveries)
        await first.has(alone + 20)
        producing.cancel()
        await asyncio.wait({producing})
        await eventually(lambda: set(sent) <= {*first.payloads, *second.payloads})
    counts = Counter([*first.positions, *second.positions])
    assert max(counts.values()) == 1
    (topic,) = settings.topics
    for partition in range(PARTITIONS):
        assert await committed(kafka.address, topic, topic, partition) == await end_of(kafka.address, topic, partition)


async def test_a_rebalance_waits_for_what_is_in_hand(kafka: Kafka) -> None:
    settings = await shared(kafka.address, partitions=1)
    (topic,) = settings.topics
    await produce(kafka.address, topic, [b"NVRM 1"])
    async with reading(settings, lambda _: False) as first:
        await first.has(1)
        async with reading(settings, lambda _: False) as second:
            await asyncio.sleep(2)
            assert second.deliveries == []
            await first.deliveries[0].ack()
            await eventually(lambda: _committed(settings, 1))
            await produce(kafka.address, topic, [b"NVRM 2"])
            await eventually(lambda: len(first.deliveries) + len(second.deliveries) > 1)
    assert [*first.payloads, *second.payloads] == [b"NVRM 1", b"NVRM 2"]


async def test_what_is_not_safe_by_then_is_delivered_again_and_its_late_acknowledgement_does_nothing(
    kafka: Kafka,
) -> None:
    settings = (await shared(kafka.address, partitions=2)).model_copy(update={"handover": timedelta(seconds=1)})
    (topic,) = settings.topics
    await produce(kafka.address, topic, [Sent(b"NVRM %d" % partition, partition=partition) for partition in (0, 1)])
    async with reading(settings, lambda _: False) as first:
        await first.has(2)
        async with reading(settings, lambda _: False) as second:
            await eventually(lambda: len(first.deliveries) + len(second.deliveries) == 4)
            for delivery in first.deliveries[:2]:
                await delivery.ack()
    assert Counter([*first.positions, *second.positions]) == {f"{topic}/0@0": 2, f"{topic}/1@0": 2}
    assert [await committed(kafka.address, topic, topic, partition) for partition in (0, 1)] == [0, 0]


async def _committed(settings: KafkaSourceConfig, offset: int) -> bool:
    (address,), (topic,) = settings.bootstrap_servers, settings.topics
    return await committed(address, settings.group_id, topic) == offset


async def test_a_replica_with_a_name_of_its_own_comes_back_without_a_rebalance(kafka: Kafka) -> None:
    settings = (await shared(kafka.address, partitions=2)).model_copy(update={"group_instance_id": "replica-0"})
    other = settings.model_copy(update={"group_instance_id": "replica-1"})
    (topic,) = settings.topics
    async with reading(other) as staying:
        async with reading(settings) as leaving:
            await eventually(lambda: owned(staying) == owned(leaving) == 1)
        before = given_out(topic)
        await produce(kafka.address, topic, [Sent(b"NVRM %d" % partition, partition=partition) for partition in (0, 1)])
        async with reading(settings) as returned:
            await returned.has(1)
            await staying.has(1)
            assert {*staying.payloads, *returned.payloads} == {b"NVRM 0", b"NVRM 1"}
            # To the one that has returned its partition, and to nobody else.
            assert given_out(topic) == before + 1


def owned(reader: Reader) -> int:
    session = reader.source._session
    return len(session.partitions) if session else 0


def given_out(group: str) -> float:
    return float(KAFKA_REBALANCES.labels(group)._value.get())


@pytest.mark.parametrize("ways", ["stopped", "killed"])
async def test_a_broker_that_goes_away_and_comes_back_is_told_and_costs_nothing(own_kafka: Kafka, ways: str) -> None:
    settings = await shared(own_kafka.address)
    (topic,) = settings.topics
    await produce(own_kafka.address, topic, [Sent(b"NVRM %d" % n, partition=n % PARTITIONS) for n in range(40)])
    async with reading(settings) as reader:
        await reader.has(40)
        await eventually(lambda: reader.source.trouble is None)
        await asyncio.to_thread(own_kafka.kill if ways == "killed" else own_kafka.stop)
        await reader.until(lambda: "nobody listens there" in str(reader.source.trouble))
        await asyncio.to_thread(own_kafka.start)
        await produce(own_kafka.address, topic, [Sent(b"NVRM %d" % n, partition=n % PARTITIONS) for n in range(40, 80)])
        await eventually(lambda: {*reader.payloads} == {b"NVRM %d" % n for n in range(80)})
        await eventually(lambda: reader.source.trouble is None)
    for partition in range(PARTITIONS):
        assert await committed(own_kafka.address, topic, topic, partition) == 20


async def test_a_session_that_is_stuck_is_replaced_by_another(kafka: Kafka, topic: str) -> None:
    settings = config(kafka.address, topic, group_id=topic)
    async with reading(settings) as reader:
        await produce(kafka.address, topic, [b"NVRM 1"])
        await reader.has(1)
        session = reader.source._session
        reader.source._restart(StuckError("it is stuck"))
        await reader.until(lambda: reader.source._session not in (session, None))
        await produce(kafka.address, topic, [b"NVRM 2"])
        await reader.has(2)
    assert reader.payloads == [b"NVRM 1", b"NVRM 2"]


async def test_a_source_closes_although_the_broker_is_away(own_kafka: Kafka) -> None:
    settings = await shared(own_kafka.address)
    (topic,) = settings.topics
    await produce(own_kafka.address, topic, [b"NVRM"])
    async with reading(settings) as reader:
        await reader.has(1)
        await asyncio.to_thread(own_kafka.kill)
    assert reader.payloads == [b"NVRM"]
