"""The fast way through batches made by hand, beside aiokafka's own; and what it takes to go it."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.settings import shipped
from pipeline.sources.kafka import fast, selftest
from pipeline.sources.kafka.fast import Batches, Sieve, UnsuitableError, check
from pipeline.sources.kafka.messages import Unreadable

TP = TopicPartition("kernel-logs", 3)
MATCHER = Matcher(load_patterns([shipped() / "patterns"]))
FAULT = b"NVRM: Xid (PCI:0000:3b:00): 79"
CONTROL, APPENDED = 0x20, 0x08

values = st.one_of(
    st.none(),
    st.sampled_from(
        [FAULT, FAULT.lower(), b"", b"NVR\0M", b"\0N\0V\0R\0M\0", b"N\x1b[1mVRM", rb"\u004eVRM", b"[78,86"]
    ),
    st.binary(max_size=100),
    st.integers(0, 20_000).map(lambda size: b"." * size + FAULT),
    st.integers(0, 20_000).map(lambda size: b"." * size),
)
records = st.tuples(
    st.sampled_from([None, b"", b"gpu-1", b"NVRM", b"\0" * 70]),
    values,
    st.sampled_from([[], [("agent", b"NVRM\0")], [(f"header-{n}", None) for n in range(70)]]),
    st.integers(-200, 200),
    st.integers(1, 300),
)


def batch(base: int, messages: Sequence[Any], codec: int = 0, attributes: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 24,
    )
    delta = 0
    for key, value, headers, since, step in messages:
        builder.append(delta, timestamp=1_795_500_000_000 + since, key=key, value=value, headers=headers)
        delta += step
    data = bytearray(builder.build())
    data[:8] = base.to_bytes(8, "big")
    data[22] |= attributes
    data[17:21] = calc_crc32c(bytes(data[21:])).to_bytes(4, "big")
    return bytes(data)


def plain(*found: bytes) -> list[Any]:
    return [(None, value, [], 0, 1) for value in found]


def publicly(data: bytes, since: int) -> Any:
    read = PartitionRecords(TP, MemoryRecords(data), None, since, None, None, True, READ_COMMITTED)
    found = [told(record) for record in read if record.value is not None and MATCHER.wanted(record.value)]
    return [each for each in found if is_seen(each[-1])], read.next_fetch_offset


def is_seen(value: bytes) -> bool:
    """Whether it is wanted for more than a NUL or an escape that splits nothing."""
    searches = MATCHER.searches()
    assert searches is not None
    return any(list(search(value)) for search in searches)


def fastly(data: bytes, since: int, sieve: Sieve | None = None) -> Any:
    read = (sieve or Sieve(MATCHER.wanted, MATCHER.searches)).records(
        TP, Batches(data), None, since, None, None, True, READ_COMMITTED
    )
    found = [record for several in read for record in several]
    return found, read.next_fetch_offset


def told(record: Any) -> Any:
    return record.offset, record.timestamp, record.key, record.value


@given(
    st.lists(st.lists(records, min_size=1, max_size=30), min_size=1, max_size=4),
    st.integers(0, 4),
    st.sampled_from([0, APPENDED]),
    st.data(),
)
def test_what_is_found_and_where_it_goes_on_is_what_aiokafka_finds(
    written: list[list[Any]], codec: int, attributes: int, data: st.DataObject
) -> None:
    batches, base = [], 1000
    for messages in written:
        batches.append(batch(base, messages, codec, attributes))
        base += sum(step for *_, step in messages)
    first_end = 1000 + sum(step for *_, step in written[0][:-1])
    since = data.draw(st.integers(1000, first_end))
    found, following = fastly(b"".join(batches), since)
    expected = publicly(b"".join(batches), since)
    assert ([told(each) for each in found if is_seen(each.value)], following) == expected


def test_a_batch_at_the_end_that_is_not_whole_waits_for_the_next_fetch() -> None:
    whole, cut = batch(0, plain(*[FAULT] * 8)), batch(8, plain(*[FAULT] * 8))[:-1]
    found, following = fastly(whole + cut, 0)
    assert (len(found), following) == (8, 8)
    assert not Batches(cut).has_next()
    assert Batches(cut).size_in_bytes() == len(cut)
    assert not Batches(None).has_next()


def test_the_position_moves_on_over_noise_and_all_is_counted() -> None:
    sieve = Sieve(MATCHER.wanted, MATCHER.searches)
    found, following = fastly(batch(5, plain(*[b"noise"] * 20)), 10, sieve)
    assert (found, following, sieve.read) == ([], 25, 15)


def test_a_damaged_batch_is_fetched_again_and_then_passed() -> None:
    good, bad = batch(0, plain(*[FAULT] * 8)), bytearray(batch(8, plain(*[FAULT] * 8)))
    bad[-3] ^= 1
    sieve = Sieve(MATCHER.wanted, MATCHER.searches)
    found, following = fastly(good + bytes(bad), 0, sieve)
    assert (len(found), following) == (8, 8)
    (unreadable,), following = fastly(bytes(bad), 8, sieve)
    assert isinstance(unreadable, Unreadable)
    assert (unreadable.offset, unreadable.following, unreadable.raw, following) == (8, 16, bytes(bad), 16)


@pytest.mark.parametrize("delta", [-1, 8])
def test_a_record_with_an_offset_of_another_batch_is_damage(delta: int) -> None:
    data = bytearray(batch(8, plain(*[FAULT] * 8)))
    # Before a record's offset stand its length, its attributes and its time, a byte each here.
    data[61 + 3] = delta * 2 if delta >= 0 else -delta * 2 - 1
    data[17:21] = calc_crc32c(bytes(data[21:])).to_bytes(4, "big")
    sieve = Sieve(MATCHER.wanted, MATCHER.searches)
    assert fastly(bytes(data), 8, sieve) == ([], 8)
    (unreadable,), following = fastly(bytes(data), 8, sieve)
    assert isinstance(unreadable, Unreadable)
    assert (unreadable.offset, following) == (8, 16)


@given(st.data())
def test_damage_of_any_kind_raises_nothing_and_skips_no_batch_behind_it(data: st.DataObject) -> None:
    bad, good = bytearray(batch(0, plain(*[FAULT] * 8))), batch(8, plain(*[FAULT] * 8))
    for _ in range(data.draw(st.integers(1, 8))):
        bad[data.draw(st.integers(12, len(bad) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        bad[17:21] = calc_crc32c(bytes(bad[21:])).to_bytes(4, "big")
    # Formats that are no more, and what is unknown, are aiokafka's matter.
    bad[16], bad[22] = 2, 0
    bad[23:27] = (7).to_bytes(4, "big")
    sieve = Sieve(MATCHER.wanted, MATCHER.searches)
    for _ in range(2):
        found, following = fastly(bytes(bad) + good, 0, sieve)
    assert [each.offset for each in found if each.offset >= 8] == list(range(8, 16))
    assert following == 16


def test_an_unknown_codec_is_no_damage() -> None:
    with pytest.raises(Exception, match="codec"):
        fastly(batch(0, plain(*[FAULT] * 8), attributes=5), 0)


def test_a_batch_that_is_larger_than_any_before_goes_through_and_makes_room_for_the_next() -> None:
    large = plain(*[b"." * 200_000 + FAULT] * 10)
    sieve = Sieve(MATCHER.wanted, MATCHER.searches)
    for codec in (3, 4, 3, 4):
        found, _ = fastly(batch(0, large, codec), 0, sieve)
        assert [each.value for each in found] == [message[1] for message in large]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TRIED", ("0.1.",), r"aiokafka [\d.]+ was not tried, only 0\.1\.x"),
        ("_METHOD", "_no_such_method", "_no_such_method is not what it was"),
        ("_PARAMETERS", ("tp",), "PartitionRecords is not what it was"),
        ("_FEW", "nonsense", "its batches are read otherwise: codec 0, from offset 0 on"),
        ("DefaultRecordBatchBuilder", None, "it cannot be tried"),
    ],
)
def test_another_aiokafka_is_told_apart(monkeypatch: pytest.MonkeyPatch, name: str, value: object, words: str) -> None:
    monkeypatch.setattr(fast if hasattr(fast, name) else selftest, name, value)
    check.cache_clear()
    with pytest.raises(UnsuitableError, match=words):
        check()


def test_this_one_is_suitable() -> None:
    check.cache_clear()
    check()
