"""The journal's export format (systemd, JOURNAL_EXPORT_FORMATS): lines of `NAME=value`, entries parted by an empty one.

A value that is not plain text stands after a line with the name alone: its size in bytes as 64 bits, little-endian,
then the value and a line break.
"""

import re
from collections.abc import Mapping, Sequence

_NAME = re.compile(rb"[A-Z_][A-Z0-9_]{0,63}(?=[=\n])")
_SIZE = 8


def entries(payload: bytes) -> Sequence[Mapping[str, bytes]]:
    """Return the entries of an export; none at all unless *payload* is one to its end and every entry has a message."""
    found: list[dict[str, bytes]] = []
    entry: dict[str, bytes] = {}
    position = 0
    while position < len(payload):
        if payload.startswith(b"\n", position):
            position += 1
            if entry:
                found.append(entry)
            entry = {}
            continue
        name = _NAME.match(payload, position)
        if name is None:
            return ()
        value, position = _value(payload, name.end())
        if value is None:
            return ()
        field = name[0].decode("ascii")
        if field == "MESSAGE" and field in entry:
            # A field may be repeated; of the text none may be lost, of the others the first stands.
            value = entry.pop(field) + b"\n" + value
        entry.setdefault(field, value)
    if entry:
        found.append(entry)
    return found if all("MESSAGE" in entry for entry in found) else ()


def _value(payload: bytes, position: int) -> tuple[bytes | None, int]:
    """Return the value that begins after a field's name, None where it is cut off, and where the next line begins."""
    start = position + 1
    if payload.startswith(b"=", position):
        end = payload.find(b"\n", start)
        end = len(payload) if end < 0 else end
    else:
        start += _SIZE
        end = start + int.from_bytes(payload[start - _SIZE : start], "little")
    if end > len(payload):
        return None, end
    return payload[start:end], end + 1
