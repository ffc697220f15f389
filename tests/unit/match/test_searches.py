"""Searches over a block of messages: no message that can hold a fault is without a place, and noise has few."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.match.matcher import Matcher
from pipeline.match.needles import cheap_test, searches
from pipeline.match.patterns import load_patterns
from pipeline.settings import shipped

SHIPPED = Matcher(load_patterns([shipped() / "patterns"]))
RULES = [("NVRM",), ("fallen off the bus",), ("nvidia-nvswitch",), ("x",), ("Hi",), ("disk", "a much longer one")]
BETWEEN = b"\0\x8a\x05\0\x10\x9a\x01\x01\xfe\x04"
"""What may stand between two messages: the end of one, lengths, times and offsets."""

letters = st.sampled_from("NVRMfallenoffthebusnvidia-nvswitch xHi\\u004e[7,8]")
pieces = st.one_of(
    letters.map(str.encode),
    st.sampled_from([b"\0", b"\0\0", b"\x1b[31m", b"\x1b[0m", b"\xff", b"{", b'"', b"\xe2\x98\x83"]),
    st.sampled_from([literal.encode() for rule in RULES for literal in rule]),
)
payloads = st.lists(pieces, max_size=30).map(b"".join)


def split(literal: str, between: list[bytes]) -> bytes:
    parts = [letter.encode() + gap for letter, gap in zip(literal, between, strict=False)]
    return b"".join(parts) + literal[len(parts) :].encode()


def has_place(message: bytes, rules: Sequence[tuple[str, ...]]) -> bool:
    block = BETWEEN + message + BETWEEN
    found = searches(rules)
    assert found is not None
    inside = range(len(BETWEEN), len(BETWEEN) + len(message))
    return any(place in inside for search in found for place in search(memoryview(block)))


def seen(message: bytes) -> bytes:
    """A message as rules get to see it."""
    return re.sub(rb"\x1b\[[\d;]*[A-Za-z]", b"", message.replace(b"\0", b"")).lower()


@given(payloads)
def test_every_message_in_which_a_rule_sees_its_literal_has_a_place(message: bytes) -> None:
    for rule in RULES:
        if all(literal.lower().encode() in seen(message) for literal in rule):
            assert has_place(message, [rule])
            assert cheap_test([rule])(message)


@given(
    st.sampled_from([rule[-1] for rule in RULES]),
    st.lists(st.sampled_from([b"", b"", b"\0", b"\0\0\0", b"\x1b[1m", b"\0\x1b[31;1m\0"]), max_size=20),
    payloads,
    payloads,
)
def test_a_literal_that_is_split_has_a_place_whatever_is_around_it(
    literal: str, between: list[bytes], before: bytes, after: bytes
) -> None:
    assert has_place(before + split(literal, between) + after, [(literal,)])


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"NVRM: Xid", id="plain"),
        pytest.param(b"nvrm: xid", id="in small letters"),
        pytest.param(b"the GPU has Fallen Off The Bus", id="in capitals"),
        pytest.param(b'{"MESSAGE":[78,86,82,77]}', id="as an array of bytes"),
        pytest.param(b'{"MESSAGE": [ 78 , 86]}', id="as an array with blanks"),
        pytest.param(rb'{"msg":"\u004eVRM"}', id="with an escape"),
        pytest.param("NVRM: Xid".encode("utf-16-le"), id="as UTF-16"),
        pytest.param(b"NVR\0M", id="a NUL before the last letter, at the end"),
        pytest.param(b"N\x1b[31mVRM", id="with a colour"),
    ],
)
def test_what_is_a_fault_in_another_writing_has_a_place(message: bytes) -> None:
    assert has_place(message, RULES)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"docker0: port 1(veth0a1b2c) entered blocking state", id="noise"),
        pytest.param(b"[ 3023.054882] usb 1-1: new device", id="a kernel stamp"),
        pytest.param(b"a NUL at the end\0", id="a NUL that splits nothing"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_noise_has_no_place(message: bytes) -> None:
    found = SHIPPED.searches()
    assert found is not None
    assert not any(list(search(BETWEEN + message + BETWEEN)) for search in found)


def test_a_rule_without_literals_leaves_nothing_to_search_for() -> None:
    assert searches([("NVRM",), ()]) is None


def test_many_rules_are_searched_for_in_one() -> None:
    many = [(first * 5,) for first in "abcdefghijklmnopqrstuvwxyz"]
    found = searches(many)
    assert found is not None
    assert len(found) < 10
    assert all(has_place(f"some {literal} here".encode(), many) for (literal,) in many)
