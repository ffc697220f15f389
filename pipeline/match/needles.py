"""The cheap test on a message's raw bytes: one pass for every literal of every rule, before anything is decoded.

It may say yes to noise, never no to a line that a rule matches. So each literal is cut down to a part that no envelope
writes otherwise, and whatever an envelope does write otherwise is let through: text as an array of bytes, as the
journal ships what is not UTF-8, letters as JSON escapes, and the NULs and colours that no rule gets to see.

One RE2 set beats every other way that was tried (a `find` for each literal on the lowered bytes, `re`): its time hardly
depends on how many literals there are.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import re2

_PLAIN = re.compile(r"[ !#-.0-\[\]-~]+")
"""What JSON never writes behind a backslash: printable ASCII without quotation mark, slash and backslash."""

_BYTES = rb"\[\s*\d{1,3}\s*,\s*\d{1,3}"
_ESCAPES = rb"\\u00[0-7]"
_COLOURS = rb"\x1b\["
_WRITTEN_OTHERWISE = rb"%b\b|%b|[\x00\x1b]" % (_BYTES, _ESCAPES)

_MEMORY = 64 * 1024 * 1024
"""Bytes that the set may take: room for thousands of rules, of which a few need some kilobytes."""

_MOST_BEGINS = 16
"""Beyond so many different beginnings one expression for all literals takes less time than one for each."""

Test = Callable[[bytes], Any]
"""True in a condition for a message that is worth decoding."""


Search = Callable[[bytes | memoryview], Iterable[int]]
"""Return the places of a block of messages at which something stands."""

_NUL_THEN_TEXT = rb"\x00[ -~]{3}"
_SHORTEST = 3
_RARE_FIRST = "jqzxvwkyhgpulmnorsitbfdcae"
"""Letters as they are frequent in logs, in which hexadecimal numbers abound; other characters are more frequent."""


def cheap_test(rules: Iterable[Iterable[str]]) -> Test:
    """Return the test for rules of which each is given by the literals that its lines hold, all of them.

    A rule without any lets everything through.
    """
    needles = {needle_of(literals) for literals in rules}
    return (lambda _: True) if None in needles else _any_of(needles, _WRITTEN_OTHERWISE)


def plain_test(rules: Iterable[Iterable[str]]) -> Test:
    """Return the test for messages in which a literal of one of the rules stands just so, as plain text."""
    return _any_of({needle_of(literals) for literals in rules})


def _any_of(needles: Iterable[str | None], *patterns: bytes) -> Test:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MEMORY
    options.case_sensitive = False
    options.encoding = re2.Options.Encoding.LATIN1
    found = re2.Set.SearchSet(options)
    for pattern in (*sorted(re2.escape(needle.encode()) for needle in needles if needle), *patterns):
        found.Add(pattern)
    found.Compile()
    test: Test = found.Match
    return test


def needle_of(literals: Iterable[str]) -> str | None:
    """Return the longest part of a rule's literals that stands in the raw bytes just so; None if there is none."""
    plain = [part for literal in literals for part in _PLAIN.findall(literal)]
    return max(plain, key=len, default=None)


def searches(rules: Iterable[Iterable[str]]) -> Sequence[Search] | None:
    """Return what finds, in a block of many messages with anything between them, each that can hold a fault.

    Every message that passes `cheap_test`, and not merely for a NUL or an escape that splits no literal, holds a place
    that one of these finds; so does some noise. None if a rule has no literal: then every message is wanted.

    Each search is for parts of literals that begin with one rare character: RE2 leaves the looking for it to memchr,
    and so goes through noise ten times as fast as with one expression for all. What lies between messages may be full
    of NULs, so a NUL is only looked at for what follows it: three characters of text, or the end of a literal that it
    has split.
    """
    needles = {needle_of(literals) for literals in rules}
    if None in needles:
        return None
    whole = {_odd_at_its_end(needle.lower()) for needle in needles if needle}
    begins: dict[str, set[str]] = defaultdict(set)
    for needle in whole:
        part = _from_its_rarest(needle)
        for begin in {part[0], part[0].upper()}:
            begins[begin].add(part[1:])
    literals = [_beginning(begin, rests) for begin, rests in sorted(begins.items())]
    if len(literals) > _MOST_BEGINS:
        literals = [rb"(?i:%b)" % _either(whole)]
    split = rb"%b|\x00(?i:%b)" % (_NUL_THEN_TEXT, _either(needle[-length:] for needle in whole for length in (1, 2)))
    return [_search(pattern) for pattern in (*literals, _BYTES, _ESCAPES, _COLOURS, split)]


def _odd_at_its_end(needle: str) -> str:
    """Return a part of a needle that ends with an odd character, if one is long enough.

    The numbers that Kafka writes between messages are mostly even and stand after a NUL: they are then not taken for
    the end of a needle that the NUL has split.
    """
    last = max((at for at, letter in enumerate(needle) if ord(letter) % 2), default=0)
    return needle[: last + 1] if last >= _SHORTEST - 1 else needle


def _from_its_rarest(needle: str) -> str:
    """Return a part of a needle that begins with the character that is rarest in logs, and is long enough."""
    starts = range(max(len(needle) - _SHORTEST, 0) + 1)
    return needle[min(starts, key=lambda at: _RARE_FIRST.find(needle[at]) % (len(_RARE_FIRST) + 1)) :]


def _beginning(begin: str, rests: Iterable[str]) -> bytes:
    return rb"%b(?i:%b)" % (re2.escape(begin).encode(), _either(rests))


def _either(literals: Iterable[str]) -> bytes:
    return "|".join(re2.escape(literal) for literal in sorted(set(literals))).encode()


def _search(pattern: bytes) -> Search:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MEMORY
    options.encoding = re2.Options.Encoding.LATIN1
    every = re2.compile(pattern, options).finditer

    def places(block: bytes | memoryview) -> Iterable[int]:
        return [found.start() for found in every(block)]

    return places
