"""Octet-counted syslog (RFC 6587, section 3.4.1): `LENGTH <PRI>...`, one message after the other with nothing between.

A frame may hold line breaks, and its successor begins wherever it ends. A single frame whose length is not its own, for
a relay changed its text, is left to `headers`.
"""

import re
from collections.abc import Sequence

_LENGTH = re.compile(rb"[1-9]\d{0,6} (?=<\d{1,3}>)")
_BREAKS = b"\r\n\0"


def frames(payload: bytes) -> Sequence[bytes]:
    """Return the messages of *payload*; none at all unless its lengths, in octets, account for all of it."""
    found: list[bytes] = []
    position = 0
    while position < len(payload):
        length = _LENGTH.match(payload, position)
        if length is None:
            return ()
        end = length.end() + int(length[0])
        if end > len(payload):
            return ()
        found.append(payload[length.end() : end])
        position = end
        while position < len(payload) and payload[position] in _BREAKS:
            position += 1
    return found
