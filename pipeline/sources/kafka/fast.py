"""The fast way through what a consumer has fetched: most messages are noise, and no object is made of noise.

aiokafka (0.14) makes a record of each message, in 2.5 µs. Here the cheap test's searches go over a whole batch as it
was decompressed, and only the messages in which they find something are taken out. For that a consumer's fetcher is
given other names for two of aiokafka's classes, in a copy of the one method that makes them; nothing of aiokafka itself
is changed, and no other consumer. Whatever is not a plain batch of the present format (old formats, transactions,
control batches), or is a small one, goes through aiokafka's own classes, a batch at a time.

`install` first tries all this on batches made by hand, beside aiokafka's own way. It raises UnsuitableError where the
two differ, or where aiokafka is none that was tried: its public interface then serves.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from types import FunctionType, MethodType
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from pipeline.sources.kafka.blocks import found
from pipeline.sources.kafka.codecs import Decompressor
from pipeline.sources.kafka.messages import Unreadable, Wanted
from pipeline.sources.port import Search
from pipeline.sources.port import Wanted as Test

TRIED: tuple[str, ...] = ("0.14.",)
"""Beginnings of the versions of aiokafka that this was tried with."""

_METHOD = "_proc_fetch_request"
_PARAMETERS = (
    "tp",
    "records",
    "aborted_transactions",
    "fetch_offset",
    "key_deserializer",
    "value_deserializer",
    "check_crcs",
    "isolation_level",
)
# The layout of a batch: https://kafka.apache.org/documentation/#recordbatch
_LENGTH, _MAGIC, _ATTRIBUTES, _LAST_OFFSET, _COUNT, _RECORDS = 8, 16, 22, 23, 57, 61
_OVERHEAD = 12
_CODEC, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20
_FEW = 6
"""Messages of a batch for fewer of which the searches cost more than they spare."""
_MOST_OFFSETS = 1_000_000
"""Offsets in a batch: a damaged header may say any number, and none is believed that skips more than this."""


class UnsuitableError(Exception):
    """The installed aiokafka is not one that this works with; the message says why."""


class Sieve:
    """What a consumer's messages go through. `read` counts them all, noise included."""

    def __init__(self, test: Test, searches: Callable[[], Sequence[Search] | None]) -> None:
        """*searches* are asked for with each batch, since patterns may be replaced."""
        self.read = 0
        self.test = test
        self.searches = searches
        self.decompressed = Decompressor()
        self._suspects: dict[TopicPartition, int] = {}

    def suspected(self, tp: TopicPartition, base: int) -> bool:
        """Tell whether the batch at *base* was seen to be damaged before; it is from now on."""
        again = self._suspects.get(tp) == base
        self._suspects[tp] = base
        return again

    def records(self, *arguments: Any) -> "SievedRecords":
        """Stand in for the constructor of aiokafka's PartitionRecords."""
        return SievedRecords(self, *arguments)


class Batches:
    """The batches of a fetched partition, each as it came; stands in for aiokafka's MemoryRecords."""

    def __init__(self, fetched: bytes | None) -> None:
        self._fetched = fetched or b""

    def size_in_bytes(self) -> int:
        """Return how much was fetched, the part of a batch that is last included."""
        return len(self._fetched)

    def has_next(self) -> bool:
        """Tell whether there is a whole batch."""
        return self._end(0) is not None

    def __iter__(self) -> Iterator[bytes]:
        start = 0
        while (end := self._end(start)) is not None:
            yield self._fetched[start:end]
            start = end

    def _end(self, start: int) -> int | None:
        length = int.from_bytes(self._fetched[start + _LENGTH : start + _OVERHEAD], "big")
        end = start + _OVERHEAD + length
        return end if start + _OVERHEAD <= len(self._fetched) and end <= len(self._fetched) else None


class SievedRecords(PartitionRecords):  # type: ignore[misc]
    """The wanted messages of a fetched partition, in order; those of a batch together.

    `next_fetch_offset` is always behind what was taken last, and moves on over noise.
    """

    def __init__(self, sieve: Sieve, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.next_fetch_offset: int
        self._sieve = sieve

    def _unpack_records(self) -> Iterator[Any]:
        batches = list(self._records)
        for data, after in zip(batches, [*batches[1:], b""], strict=True):
            try:
                yield from self._plain(data) if self._is_plain(data) else self._public(data)
            except (UnsupportedCodecError, MemoryError):
                raise
            except Exception as error:
                if not self._sieve.suspected(self._tp, _base(data)):
                    # It may have been damaged on its way: it is fetched once more.
                    return
                yield [self._set_aside(data, after, error)]

    def _is_plain(self, data: bytes) -> bool:
        ordinary = data[_MAGIC] == 2 and not data[_ATTRIBUTES] & (_TRANSACTIONAL | _CONTROL)
        return ordinary and int.from_bytes(data[_COUNT:_RECORDS], "big") >= _FEW

    def _plain(self, data: bytes) -> Iterator[Any]:
        searches = self._sieve.searches()
        if searches is None:
            yield from self._public(data)
            return
        batch = DefaultRecordBatch(data)
        if not batch.validate_crc():
            raise CorruptRecordException("its checksum is wrong")
        first, base, following = self.next_fetch_offset, batch.base_offset, batch.next_offset
        with self._sieve.decompressed(data[_ATTRIBUTES] & _CODEC, data[_RECORDS:]) as block:
            records = found(block, searches, self._sieve.test)
        if any(not 0 <= delta < following - base for delta, *_ in records):
            raise CorruptRecordException("a record is none of the batch's")
        self.next_fetch_offset = max(first, following)
        self._sieve.read += min(int.from_bytes(data[_COUNT:_RECORDS], "big"), max(following - first, 0))
        topic, partition = self._tp
        begun, appended = batch.first_timestamp, batch.max_timestamp if batch.timestamp_type else None
        wanted = [
            Wanted(topic, partition, base + delta, begun + since if appended is None else appended, key, value)
            for delta, since, key, value in records
            if base + delta >= first
        ]
        if wanted:
            yield wanted

    def _public(self, data: bytes) -> Iterator[Any]:
        offset = self.next_fetch_offset
        public = PartitionRecords(
            self._tp, MemoryRecords(data), None, offset, None, None, self._check_crcs, self._isolation_level
        )
        # What was aborted is known for the whole fetch, and a transaction goes over several batches.
        public._aborted_transactions = self._aborted_transactions
        public._aborted_producers = self._aborted_producers
        for record in public:
            self._sieve.read += 1
            self.next_fetch_offset = public.next_fetch_offset
            if record.value is not None and self._sieve.test(record.value):
                yield [record]
        self.next_fetch_offset = max(self.next_fetch_offset, public.next_fetch_offset)

    def _set_aside(self, data: bytes, after: bytes, error: Exception) -> Unreadable:
        offset = self.next_fetch_offset
        last = int.from_bytes(data[_LAST_OFFSET : _LAST_OFFSET + 4], "big") if len(data) > _MAGIC else 0
        believed = _base(after) if after else _base(data) + (last if last < _MOST_OFFSETS else 0) + 1
        self.next_fetch_offset = max(believed, offset + 1)
        problem = f"{type(error).__name__}: {error}"
        return Unreadable(self._tp.topic, self._tp.partition, offset, self.next_fetch_offset, problem, data)


def _base(data: bytes) -> int:
    return int.from_bytes(data[:_LENGTH], "big")


def install(consumer: AIOKafkaConsumer, sieve: Sieve) -> None:
    """Let a started consumer that has no partitions yet give only what passes the sieve.

    It then gives lists of them: `Wanted`, ConsumerRecord, or `Unreadable`. Raises UnsuitableError.
    """
    check()
    fetcher = consumer._fetcher
    method = getattr(Fetcher, _METHOD)
    names = {**method.__globals__, "MemoryRecords": Batches, "PartitionRecords": sieve.records}
    copied = FunctionType(method.__code__, names, _METHOD, method.__defaults__, method.__closure__)
    setattr(fetcher, _METHOD, MethodType(copied, fetcher))


async def close_connections(consumer: AIOKafkaConsumer) -> None:
    """Close what a consumer whose `stop` has given up half-way leaves open."""
    await consumer._client.close()


@cache
def check() -> None:
    """Raise UnsuitableError unless the installed aiokafka is one that this was tried with, and behaves as it did."""
    from pipeline.sources.kafka.selftest import differences  # noqa: PLC0415 it needs this module

    installed = version("aiokafka")
    if not installed.startswith(TRIED):
        raise UnsuitableError(f"aiokafka {installed} was not tried, only {', '.join(f'{tried}x' for tried in TRIED)}")
    method = getattr(Fetcher, _METHOD, None)
    used = getattr(getattr(method, "__code__", None), "co_names", ())
    if not {"MemoryRecords", "PartitionRecords"} <= set(used):
        raise UnsuitableError(f"aiokafka's {_METHOD} is not what it was")
    if tuple(inspect.signature(PartitionRecords).parameters) != _PARAMETERS:
        raise UnsuitableError("aiokafka's PartitionRecords is not what it was")
    try:
        told = differences()
    except Exception as error:
        raise UnsuitableError(f"it cannot be tried: {error!r}") from error
    if told:
        raise UnsuitableError(f"its batches are read otherwise: {told}")
