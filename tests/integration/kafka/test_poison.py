"""Messages that nobody expects, and batches that nobody can read: the partition goes on after them."""

import asyncio
import base64
import itertools
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.record.util import calc_crc32c

from pipeline.deadletters import DeadLetterFile
from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.telemetry import KAFKA_SET_ASIDE
from tests.integration.kafka.reading import config, eventually, reading
from tests.integration.kafka.replicas import NODES, at, replica
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import Sent, committed, produce
from tests.services.kafka.topics import create_topic

CRC, ATTRIBUTES, RECORDS = 17, 21, 61
ODD: dict[str, bytes | Sent] = {
    "a tombstone": Sent(None, key=b"gpu-1"),
    "an empty one": b"",
    "900 KB": b'{"host":"gpu-1","msg":"' + b"x" * 900_000 + b'NVRM: Xid (PCI:0000:3b:00): 79, fell"}',
    "invalid UTF-8": b"NVRM: \xff\xfe\x80 Xid",
    "a JSON bomb": b'{"a":' * 100_000 + b'"NVRM"',
    "NULs": b"\0" * 5000 + b"NVRM",
}


@pytest.mark.parametrize("codec", [None, "lz4"])
async def test_odd_messages_stop_nothing(kafka: Kafka, topic: str, way: str, codec: str | None) -> None:
    messages: list[bytes | Sent] = [message for odd in ODD.values() for message in (odd, b"NVRM between")]
    settings = config(kafka.address, topic, group_id=f"group-{uuid.uuid4().hex[:12]}")
    await produce(kafka.address, topic, messages, compression_type=codec)
    async with reading(settings) as reader:
        await reader.has(10)
        await eventually(lambda: _is_committed(settings.group_id, kafka.address, topic, len(messages)))
    told = [odd for odd in ODD.values() if isinstance(odd, bytes) and odd]
    assert [payload for payload in reader.payloads if payload != b"NVRM between"] == told
    decoder = Decoder(DecodeSettings())
    for delivery in reader.deliveries:
        assert delivery.time is not None
        assert decoder.decode(delivery.payload, delivery.position, received=delivery.time).lines


POISON: dict[str, bytes | Sent] = {
    "a tombstone": Sent(None, key=b"gpu-1"),
    "an empty one": b"",
    "900 KB around a fault": b'{"host":"gpu-1","msg":"' + b"x" * 900_000 + b'"}',
    "900 KB that are no JSON": b"NVRM " + b"\xf0\x9f" * 450_000,
    "invalid UTF-8": b"NVRM: \xff\xfe\x80 Xid",
    "deep objects": b'{"a":' * 100_000 + b'"NVRM"',
    "deep lists": b"[" * 200_000 + b'"NVRM"' + b"]" * 200_000,
    "a huge number": b'{"msg":"NVRM: huge","n":' + b"9" * 400_000 + b"}",
    "an exponent": b'{"msg":"NVRM: huge","time":1e999999999,"n":-1e-999999999}',
    "many escapes": b'{"msg":"NVRM' + rb"\u0000" * 100_000 + b'"}',
    "what is looked for, and no text": b'{"NVRM: Xid":79}',
    "NULs": b"\0" * 5000,
}
"""What a fault stands between in a topic; no more than one of it is such that nothing can be made of it."""


@pytest.mark.parametrize("codec", [None, "lz4"])
async def test_a_fault_between_any_two_is_rescued_and_only_that_is_kept_aside_of_which_nothing_could_be_made(
    kafka: Kafka, topic: str, way: str, codec: str | None, tmp_path: Path
) -> None:
    aside, nodes = tmp_path / "aside", itertools.cycle(NODES)
    messages = [message for odd in POISON.values() for message in (odd, at(next(nodes)))]
    await produce(kafka.address, topic, messages, compression_type=codec)
    settings = config(kafka.address, topic, group_id=topic)
    async with replica(settings, DeadLetterFile(aside).put) as running:
        running.sink.opened.set()
        await eventually(lambda: _is_committed(topic, kafka.address, topic, len(messages)))
        assert running.decided == set(NODES)
        problems = running.inside.recognition.oddities.problems
        await running.inside.intake.flush()
    assert sum(rescue.count for rescue in running.inside.world.store.all()) == len(POISON)
    (letter,) = [json.loads(line) for line in aside.read_text().splitlines()]
    assert (letter["reason"], base64.b64decode(letter["raw"])) == ("no-line", b'{"NVRM: Xid":79}')
    assert letter["position"] == f"{topic}/0@{2 * list(POISON).index('what is looked for, and no text')}"
    assert problems["no-line"] == 1
    assert {"oversized", "invalid-utf8", "broken-json", "nul-bytes"} <= set(problems)


async def _is_committed(group: str, address: str, topic: str, offset: int) -> bool:
    return await committed(address, group, topic) == offset


def flipped(batch: bytes) -> bytes:
    """One bit is wrong, and so is the checksum."""
    return batch[:-9] + bytes([batch[-9] ^ 4]) + batch[-8:]


def garbled(batch: bytes) -> bytes:
    """What should be compressed is none, although the checksum is right."""
    return with_checksum(batch[:RECORDS] + bytes(range(1, 251)) * (len(batch) // 250 + 1), len(batch))


def misshapen(batch: bytes) -> bytes:
    """It is not compressed, as it says, and its records are none."""
    plain = batch[:ATTRIBUTES] + b"\0\0" + batch[ATTRIBUTES + 2 :]
    return with_checksum(plain[:RECORDS] + b"\x20NVRM\xff\xff\xff\xff\xff\xff" * (len(batch) // 11 + 1), len(batch))


def with_checksum(batch: bytes, size: int) -> bytes:
    batch = batch[:size]
    checksum: bytes = calc_crc32c(batch[ATTRIBUTES:]).to_bytes(4, "big")
    return batch[:CRC] + checksum + batch[ATTRIBUTES:]


@pytest.mark.parametrize("damage", [flipped, garbled, misshapen])
async def test_a_damaged_batch_is_set_aside_and_what_is_behind_it_is_read(
    own_kafka: Kafka, way: str, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    aside = tmp_path / "aside.ndjson"
    topic = f"damaged-{uuid.uuid4().hex[:12]}"
    batch = await _with_a_damaged_batch(own_kafka, topic, damage)
    settings = config(own_kafka.address, topic, group_id=topic, dead_letter_file=aside)
    async with reading(settings) as reader:
        await reader.has(20)
        await eventually(lambda: _is_committed(topic, own_kafka.address, topic, 30))
    assert reader.payloads == [b"NVRM %d" % number for number in (*range(10), *range(20, 30))]
    letters = [json.loads(line) for line in aside.read_text().splitlines()]
    assert KAFKA_SET_ASIDE.labels(topic, topic)._value.get() == len(letters)
    assert (letters[0]["topic"], letters[0]["partition"], letters[0]["offset"]) == (topic, 0, 10)
    assert letters[-1]["following"] == 20
    if way == "fast":
        assert len(letters) == 1
        assert base64.b64decode(letters[0]["raw"]) == batch


async def test_it_is_set_aside_into_a_topic(own_kafka: Kafka) -> None:
    batch = await _with_a_damaged_batch(own_kafka, "lines", flipped)
    await create_topic(own_kafka.address, "aside")
    settings = config(own_kafka.address, "lines", group_id="readers", dead_letter_topic="aside")
    async with reading(settings) as reader:
        await reader.has(20)
        letter = await _first_of(own_kafka.address, "aside")
    headers = {name: value.decode() for name, value in letter.headers}
    assert letter.value == batch
    assert (headers["topic"], headers["offset"], headers["following"]) == ("lines", "10", "20")


async def test_a_place_to_set_aside_that_fails_stops_nothing(own_kafka: Kafka, tmp_path: Path) -> None:
    await _with_a_damaged_batch(own_kafka, "lines", garbled)
    settings = config(own_kafka.address, "lines", group_id="readers", dead_letter_file=tmp_path / "none" / "aside")
    async with reading(settings) as reader:
        await reader.has(20)
    assert len(reader.payloads) == 20


async def _with_a_damaged_batch(broker: Kafka, topic: str, damage: Callable[[bytes], bytes]) -> bytes:
    """Write three batches of ten faults, damage the second on the disk, and return it."""
    await create_topic(broker.address, topic)
    for first in (0, 10, 20):
        numbers = range(first, first + 10)
        await produce(broker.address, topic, [b"NVRM %d" % n for n in numbers], compression_type="lz4", linger_ms=500)
    await asyncio.to_thread(broker.stop)
    segment = broker.folder / "data" / f"{topic}-0" / "00000000000000000000.log"
    content, batches = segment.read_bytes(), []
    while content:
        size = 12 + int.from_bytes(content[8:12], "big")
        batches.append(content[:size])
        content = content[size:]
    assert len(batches) == 3
    batches[1] = damage(batches[1])
    segment.write_bytes(b"".join(batches))
    await asyncio.to_thread(broker.start)
    return batches[1]


async def _first_of(address: str, topic: str) -> Any:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            return await consumer.getone()
    finally:
        await consumer.stop()
