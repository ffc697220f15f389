"""The records of a batch as it was decompressed, of which only those are taken out that a search points to.

The layout of a record: https://kafka.apache.org/documentation/#record
"""

import sys
from collections.abc import Sequence
from functools import cache

from pipeline.sources.port import Search, Wanted

Found = tuple[int, int, bytes | None, bytes]
"""Offset and milliseconds after those of the batch, key, value."""

_NOT_TOLD = 1 << 40
"""More than any batch has bytes."""


def found(block: memoryview, searches: Sequence[Search], test: Wanted) -> list[Found]:
    """Return the wanted messages of a decompressed batch. Raises ValueError or IndexError for one that is damaged."""
    places = sorted(place for search in searches for place in search(block))
    size = len(block)
    # A record's length stands in its first bytes, for all but long ones in two; a record begins at any of them.
    pairs = (block[: size & ~1].cast("H"), block[1 : (size - 1 & ~1) + 1].cast("H"))
    steps, end, wanted = _steps(), 0, []
    for place in places:
        if place < end:
            continue
        start = end
        while True:
            while (end := start + steps[pairs[start & 1][start >> 1]]) <= place:
                start = end
            if end < _NOT_TOLD or (end := start + _step(block, start)) > place:
                break
            start = end
        if end > size:
            raise ValueError("a record ends after its batch")
        record = _record(block, start, end)
        if record is not None and test(record[3]):
            wanted.append(record)
    return wanted


@cache
def _steps() -> list[int]:
    """By a record's first two bytes, as a number of this machine: its length with them, if they tell it."""

    def step(low: int, high: int) -> int:
        twice, size = (low, 1) if low < 128 else (low & 127 | high << 7, 2)
        return _NOT_TOLD if twice & 1 or (size == 2 and high > 127) else (twice >> 1) + size

    pairs = (number.to_bytes(2, sys.byteorder) for number in range(1 << 16))
    return [step(low, high) for low, high in pairs]


def _step(block: memoryview, start: int) -> int:
    length, body = _varint(block, start)
    if length < 0:
        raise ValueError("a record's length is negative")
    return body + length - start


def _record(block: memoryview, start: int, end: int) -> Found | None:
    """Return the record; None if it has no value."""
    _, at = _varint(block, start)
    since, at = _varint(block, at + 1)
    delta, at = _varint(block, at)
    size, at = _varint(block, at)
    key = None if size < 0 else bytes(block[at : at + size])
    size, at = _varint(block, at + max(size, 0))
    if at + size > end:
        raise ValueError("a value ends after its record")
    return None if size < 0 else (delta, since, key, bytes(block[at : at + size]))


def _varint(block: memoryview, at: int) -> tuple[int, int]:
    """Return a number (zigzag, groups of seven bits, the lowest first) and where it ends."""
    octet = block[at]
    twice, shift = octet & 127, 7
    while octet > 127:
        at += 1
        octet = block[at]
        twice |= (octet & 127) << shift
        shift += 7
    return (twice >> 1) ^ -(twice & 1), at + 1
