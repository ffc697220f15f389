"""Offsets on a real broker: committed past what is acknowledged and no further, and where reading begins."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from tests.integration.kafka.reading import config, eventually, going, reading, source_of
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import Sent, committed, end_of, produce

MESSAGES = [b"noise 0", b"NVRM 1", b"noise 2", b"NVRM 3", b"NVRM 4", b"noise 5"]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def group() -> str:
    return f"group-{uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize(
    ("acknowledged", "expected"),
    [
        pytest.param({1, 3, 4}, 6, id="all is acknowledged: past the noise at the end"),
        pytest.param({1, 3}, 4, id="the last one is not: up to it"),
        pytest.param({3, 4}, 1, id="the first one is not: up to it, past the noise before it"),
        pytest.param(set(), 1, id="none is"),
    ],
)
async def test_commits_stop_before_what_is_not_acknowledged(
    kafka: Kafka, topic: str, acknowledged: set[int], expected: int
) -> None:
    await produce(kafka.address, topic, MESSAGES)
    settings = config(kafka.address, topic, group_id=group())
    async with reading(settings, lambda delivery: int(delivery.position.split("@")[1]) in acknowledged) as reader:
        await reader.has(3)
    assert reader.positions == [f"{topic}/0@{offset}" for offset in (1, 3, 4)]
    assert await committed(kafka.address, settings.group_id, topic) == expected


async def test_noise_is_committed_while_it_is_read(kafka: Kafka, topic: str) -> None:
    settings = config(kafka.address, topic, group_id=group())
    async with reading(settings) as reader:
        await produce(kafka.address, topic, [b"noise"] * 50)
        await eventually(lambda: _is_committed(kafka, settings.group_id, topic, 50))
        assert (reader.source.read, reader.deliveries) == (50, [])


async def _is_committed(kafka: Kafka, group_id: str, topic: str, offset: int) -> bool:
    return await committed(kafka.address, group_id, topic) == offset


async def test_a_late_acknowledgement_counts_once_those_before_it_are_there(kafka: Kafka, topic: str) -> None:
    await produce(kafka.address, topic, MESSAGES)
    settings = config(kafka.address, topic, group_id=group())
    async with reading(settings, lambda _: False) as reader:
        await reader.has(3)
        for delivery in reversed(reader.deliveries):
            await delivery.ack()
        await reader.deliveries[0].ack()
    assert await committed(kafka.address, settings.group_id, topic) == 6


async def test_a_restart_goes_on_where_the_acknowledgements_ended(kafka: Kafka, topic: str) -> None:
    await produce(kafka.address, topic, MESSAGES)
    settings = config(kafka.address, topic, group_id=group())
    async with reading(settings, lambda delivery: delivery.payload == b"NVRM 1") as first:
        await first.has(3)
    async with reading(settings) as second:
        await second.has(2)
        assert [(d.position, d.payload) for d in second.deliveries] == [
            (d.position, d.payload) for d in first.deliveries[1:]
        ]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        pytest.param("earliest", [b"NVRM 0", b"NVRM 1", b"NVRM 2", b"NVRM new"], id="the earliest"),
        pytest.param("latest", [b"NVRM new"], id="the latest"),
        pytest.param(NOON + timedelta(minutes=1), [b"NVRM 1", b"NVRM 2", b"NVRM new"], id="a time that has a message"),
        pytest.param(NOON + timedelta(seconds=61), [b"NVRM 2", b"NVRM new"], id="a time between two messages"),
        pytest.param(NOON + timedelta(days=1), [b"NVRM new"], id="a time after the last message"),
    ],
)
async def test_where_nothing_is_committed_reading_begins_as_the_settings_say(
    kafka: Kafka, topic: str, start: str | datetime, expected: list[bytes]
) -> None:
    stamps = [int((NOON + timedelta(minutes=minute)).timestamp() * 1000) for minute in range(3)]
    await produce(kafka.address, topic, [Sent(b"NVRM %d" % n, timestamp=stamp) for n, stamp in enumerate(stamps)])
    settings = config(kafka.address, topic, group_id=group(), start=start)
    async with reading(settings) as reader:
        await eventually(lambda: reader.source.trouble is None)
        # The place is kept at once: what comes while nobody reads is not skipped by a second look for the latest.
        await eventually(lambda: _is_committed(kafka, settings.group_id, topic, 3))
    await produce(kafka.address, topic, [b"NVRM new"])
    async with reading(settings.model_copy(update={"start": "latest"})) as again:
        await again.has(1)
        assert reader.payloads + again.payloads == expected
    assert all(delivery.time == NOON + timedelta(minutes=int(delivery.payload[-1:])) for delivery in reader.deliveries)


async def test_what_is_gone_before_it_was_read_is_told_and_reading_goes_on(kafka: Kafka, topic: str) -> None:
    settings = config(kafka.address, topic, group_id=group(), start="latest")
    await produce(kafka.address, topic, [b"NVRM old"])
    async with reading(settings):
        await eventually(lambda: _is_committed(kafka, settings.group_id, topic, 1))
    await produce(kafka.address, topic, [b"NVRM %d" % number for number in range(10)])
    await _delete_before(kafka, topic, 5)
    async with reading(settings) as reader:
        await reader.has(6)
        assert reader.payloads == [b"NVRM %d" % number for number in range(4, 10)]


async def _delete_before(kafka: Kafka, topic: str, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def test_a_key_that_looks_like_a_host_name_is_the_node(kafka: Kafka, topic: str) -> None:
    keys = [b"gpu-7", b"10.0.2.193", None, b"\xff\xfe", b"not a host", b"", b"x" * 300]
    await produce(kafka.address, topic, [Sent(b"NVRM", key=key) for key in keys])
    async with reading(config(kafka.address, topic, group_id=group())) as reader:
        await reader.has(7)
        assert [delivery.key for delivery in reader.deliveries] == ["gpu-7", "10.0.2.193", None, None, None, None, None]
    async with reading(config(kafka.address, topic, group_id=group(), node_from_key=False)) as reader:
        await reader.has(7)
        assert {delivery.key for delivery in reader.deliveries} == {None}


async def test_a_reader_that_is_slow_holds_back_what_is_fetched(kafka: Kafka, topic: str) -> None:
    value = b"NVRM" + b"." * 50_000
    await produce(kafka.address, topic, [value] * 100)
    settings = config(kafka.address, topic, group_id=group(), fetch_bytes=64 * 1024, partition_fetch_bytes=64 * 1024)
    source = source_of(settings)
    first = await anext(source.deliveries())
    await asyncio.sleep(2)
    assert first.payload == value
    assert source.read < 20
    await source.close()
    assert await end_of(kafka.address, topic) == 100


async def test_an_unknown_aiokafka_is_told_once_and_read_by_its_public_interface(kafka: Kafka, topic: str) -> None:
    await produce(kafka.address, topic, MESSAGES)
    with going("slow"), structlog.testing.capture_logs() as told:
        for _ in range(2):
            async with reading(config(kafka.address, topic, group_id=group())) as reader:
                await reader.has(3)
    assert [each["log_level"] for each in told if each["event"] == "kafka.slow-intake"] == ["warning"]
