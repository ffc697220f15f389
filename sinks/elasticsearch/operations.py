"""A record as an operation of a bulk request."""

from dataclasses import dataclass
from hashlib import blake2b

import orjson

from sinks.base import Record
from sinks.ndjson import encode

_LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class Operation:
    """What creates one document: two lines of NDJSON."""

    record: Record
    lines: bytes


def operation(record: Record) -> Operation:
    """Return what creates the record's document. Raises SinkError for a record that is no JSON document.

    `create` never overwrites: of two records with one id the first stays.
    """
    action = orjson.dumps({"create": {"_id": document_id(record)}})
    return Operation(record, b"%b\n%b\n" % (action, encode(record)))


def document_id(record: Record) -> str:
    """Return the record's id or, where Elasticsearch would not take it (over 512 bytes, or none), a digest of it."""
    raw = record.id.encode("utf-8", "replace")
    return raw.decode() if 0 < len(raw) <= _LONGEST_ID else blake2b(raw, digest_size=32).hexdigest()
