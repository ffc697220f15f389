"""Batches made by hand, read by aiokafka's own way and by the fast one."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from pipeline.sources.kafka.fast import Batches, Sieve

_NEEDLE = b"needle"
_TP = TopicPartition("self-test", 7)
_STAMP = 1_795_500_000_000
_PRODUCER = 4
_HEADERS: list[tuple[str, bytes | None]] = [("agent", b"\x00needle"), ("empty", None)]
_MESSAGES: Sequence[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
    (None, b"hay", []),
    (b"node-1", b"a needle", []),
    (None, None, _HEADERS),
    (b"needle", b"hay", _HEADERS),
    (b"", b"needle" + b"." * 20_000, _HEADERS),
    (None, b"", []),
    (None, b"." * 130 + b"\x00needle\x00", []),
    (None, b"hay" * 30, _HEADERS),
]


def differences() -> str | None:
    """Return in a few words what the fast way reads otherwise; None if nothing."""
    for name, data, offsets in _batches():
        for since in offsets:
            expected, ours = _publicly(data, since), _fast(data, since)
            if expected != ours:
                return f"{name}, from offset {since} on"
    return None


def _batches() -> Iterator[tuple[str, bytes, Sequence[int]]]:
    """Yield what it is called, the bytes, and the offsets from which a broker would send them."""
    for codec in range(5):
        yield f"codec {codec}", _batch(0, codec) + _batch(100, codec), (0, 2, 9)
    transactions = _batch(0, 0, producer=_PRODUCER) + _batch(50, 3) + _batch(100, 0, producer=_PRODUCER + 1)
    yield "transactions", transactions, (0, 2, 9)
    for magic in (0, 1):
        yield f"format {magic}", _legacy(magic), (0,)


def _batch(base: int, codec: int, producer: int = -1) -> bytes:
    transactional = int(producer >= 0)
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=transactional,
        producer_id=producer,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 20,
    )
    for number, (key, value, headers) in enumerate(_MESSAGES):
        # Of a compacted topic every other offset is gone.
        builder.append(2 * number, timestamp=_STAMP + number * 101, key=key, value=value, headers=headers)
    data = bytes(builder.build())
    return base.to_bytes(8, "big") + data[8:]


def _legacy(magic: int) -> bytes:
    builder = LegacyRecordBatchBuilder(magic=magic, compression_type=0, batch_size=1 << 20)
    for number, (key, value, _) in enumerate(_MESSAGES):
        builder.append(number, timestamp=_STAMP, key=key, value=value)
    return bytes(builder.build())


def _publicly(data: bytes, since: int) -> Any:
    records = PartitionRecords(_TP, MemoryRecords(data), [(_PRODUCER, 0)], since, None, None, True, READ_COMMITTED)
    return [_told(record) for record in records if record.value and _NEEDLE in record.value], records.next_fetch_offset


def _fast(data: bytes, since: int) -> Any:
    sieve = Sieve(lambda value: _NEEDLE in value, lambda: [_places])
    records = sieve.records(_TP, Batches(data), [(_PRODUCER, 0)], since, None, None, True, READ_COMMITTED)
    return [_told(record) for found in records for record in found], records.next_fetch_offset


def _places(block: bytes | memoryview) -> list[int]:
    return [found.start() for found in re.finditer(_NEEDLE, block)]


def _told(record: Any) -> Any:
    return record.topic, record.partition, record.offset, record.timestamp, record.key, record.value
