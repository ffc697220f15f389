"""Records as lines of JSON, and lines of JSON as records."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from sinks.base import Query, Record, SinkError


def encode(record: Record) -> bytes:
    """Return the document as one line of JSON, its fields in their order, without the end of the line.

    Raises SinkError for a document that JSON cannot hold.
    """
    try:
        return orjson.dumps(record.document, default=_plain)
    except TypeError:
        return _encode_slowly(record)


def decode(line: bytes) -> Record | None:
    """Return the record that the line holds; None if it holds none, or only a part of one."""
    try:
        return as_record(orjson.loads(line))
    except ValueError:
        return None


def as_record(document: Any) -> Record | None:
    """Return the record whose document this is; None if it is none."""
    try:
        time = datetime.fromisoformat(document["@timestamp"])
        record = Record(document["event"]["id"], time, document)
    except (ValueError, KeyError, TypeError):
        return None
    return record if isinstance(record.id, str) and time.tzinfo else None


def matches(query: Query, record: Record) -> bool:
    """Tell whether a record is one of those that the query asks for."""
    return (
        (query.node is None or _field(record, "host", "name") == query.node)
        and (query.action is None or _field(record, "event", "action") == query.action)
        and (query.since is None or record.time >= query.since)
    )


def _field(record: Record, group: str, name: str) -> Any:
    fields = record.document.get(group)
    return fields.get(name) if isinstance(fields, Mapping) else None


def _encode_slowly(record: Record) -> bytes:
    """What orjson refuses and a log line may well hold: text that is not Unicode, numbers beyond 64 bits."""
    try:
        text = json.dumps(record.document, default=_plain)
        # NaN and the infinities, of which JSON knows none, become null, as orjson has it.
        document = json.loads(text, parse_constant=lambda _: None)
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise SinkError(f"record {record.id} is no JSON document: {error}") from error
    return text.encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a type of JSON")
