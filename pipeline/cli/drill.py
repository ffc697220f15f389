"""The line of a drill: written as a shipper delivers it, and read by the pipeline's own stages before it goes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.errors import BadInputError, Complaint
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Drill, Fault
from pipeline.model.line import LogLine


class Envelope(StrEnum):
    """How the line is wrapped."""

    SYSLOG = "syslog"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class DrillLine:
    """What the line is to say; `pci` is normalised, `time` aware."""

    node: str
    code: int
    pci: str
    message: str
    drill: Drill
    time: datetime

    @property
    def text(self) -> str:
        """The kernel's text, and the mark before it."""
        return f"{self.drill.mark} NVRM: Xid (PCI:{self.pci}): {self.code}, {self.message}"

    def wrapped(self, envelope: Envelope, settings: DecodeSettings) -> bytes:
        """Return the line in its envelope: rsyslog's file format, or JSON with the fields that the settings read."""
        if envelope is Envelope.SYSLOG:
            return f"{self.time.isoformat()} {self.node} kernel: {self.text}".encode()
        record: dict[str, Any] = {}
        _put(record, _field(settings.time_fields, "@timestamp"), self.time.isoformat())
        _put(record, _field(settings.node_fields, "hostname"), self.node)
        record["SYSLOG_IDENTIFIER"] = "kernel"
        _put(record, _field(settings.message_fields, "message"), self.text)
        return orjson.dumps(record)


def checked(payload: bytes, wanted: DrillLine, settings: DecodeSettings, matcher: Matcher) -> bytes:
    """Return *payload* if a pipeline with these settings reads off it just what is wanted; else raise BadInputError.

    A drill that is read as anything else would be worse than none: as a fault of another node, or as a real one.
    """
    lines = Decoder(settings).decode(payload, "drill", received=wanted.time).lines if matcher.wanted(payload) else ()
    read = [_told(line, matcher) for line in lines]
    asked = (wanted.node, wanted.time, "xid", wanted.code, wanted.pci, wanted.message, wanted.drill)
    if read == [asked]:
        return payload
    problem = f"a pipeline with this configuration would not read this drill off it: {payload.decode()}"
    raise BadInputError(Complaint("the line", problem, "keep to plain words in --node and --message; try --envelope"))


def _told(line: LogLine, matcher: Matcher) -> tuple[object, ...] | None:
    fault = matcher.match(line)
    if not isinstance(fault, Fault):
        return None
    return line.node, line.time, fault.kind, fault.code, fault.pci, fault.message, fault.drill


def _field(fields: Sequence[str], liked: str) -> str:
    return liked if liked in fields else fields[0]


def _put(record: dict[str, Any], path: str, value: str) -> None:
    *folders, last = path.split(".")
    for folder in folders:
        record = record.setdefault(folder, {})
    record[last] = value
