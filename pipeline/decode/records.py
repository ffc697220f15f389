"""Records: the JSON object that a shipper makes of a line, and what its fields say."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.decode.facts import Facts
from pipeline.decode.problems import Problem
from pipeline.decode.settings import DecodeSettings
from pipeline.decode.stamps import Stamps

Record = Mapping[str, Any]
Tell = Callable[[Facts, Any], None]
Way = tuple[str, ...]

# What the fields tell whose names the formats themselves fix: the journal's (systemd.journal-fields(7)), those that
# Filebeat, Vector and rsyslog give to the same, and what only the log of a container has.
_FIXED: tuple[tuple[Tell, tuple[str, ...]], ...] = (
    (Facts.printed_on, ("stream",)),
    (Facts.printed_by, ("CONTAINER_ID", "kubernetes.pod_name", "kubernetes.pod.name", "kubernetes.container_name")),
    (Facts.transport, ("_TRANSPORT", "systemd.transport")),
    (Facts.facility, ("SYSLOG_FACILITY", "syslogfacility", "syslogfacility-text", "facility", "syslog.facility")),
    (Facts.facility, ("log.syslog.facility.code", "log.syslog.facility.name")),
    (Facts.identifier, ("SYSLOG_IDENTIFIER", "syslogtag", "programname", "app-name", "appname", "ident")),
    (Facts.identifier, ("syslog.identifier", "log.syslog.appname")),
    (Facts.boot, ("_BOOT_ID", "boot_id", "host.boot_id", "journald.host.boot_id")),
    (Facts.monotonic, ("_SOURCE_MONOTONIC_TIMESTAMP",)),
)


class RecordReader:
    """Reads records by the fields that the settings name, and by those that the formats themselves fix."""

    def __init__(self, settings: DecodeSettings) -> None:
        paths = [*settings.message_fields, *settings.time_fields]
        self._first_time, self._first_told = len(settings.message_fields), len(paths)
        self._tells: dict[int, Tell] = {}
        for tell, named in ((Facts.named, settings.node_fields), *_FIXED):
            self._tells |= dict.fromkeys(range(len(paths), len(paths) + len(named)), tell)
            paths += named
        # All lists in one, so that a record's keys are looked through once; a path's rank is its place.
        self._by_key: dict[str, list[tuple[int, Way]]] = {}
        for rank, path in enumerate(paths):
            for way in _ways(path):
                self._by_key.setdefault(way[0], []).append((rank, way))

    def read(self, record: Record, facts: Facts, stamps: Stamps, problems: set[Problem]) -> Any:
        """Tell *facts* what the fields say of node, time, boot and who wrote the line; return the text.

        The text is that of the first message field that holds any, be it as the journal's array of bytes; None without.
        """
        by_key, message, undated = self._by_key, None, False
        for rank, way in sorted([ranked for key in record if key in by_key for ranked in by_key[key]]):
            value = _follow(record, way)
            if value is None:
                continue
            if rank >= self._first_told:
                self._tells[rank](facts, value)
            elif rank < self._first_time:
                message = message or _text(value)
            elif facts.time is None:
                facts.time = stamps.moment(value)
                undated = facts.time is None
        if undated:
            problems.add(Problem.BAD_TIME)
        if "usec" in record:
            facts.in_kmsg(record.get("sec"), record["usec"])
        return message


def _ways(path: str) -> list[Way]:
    """Return the ways to read a dotted path: as one key (Loki's labels, KLog's joined keys), or into nested objects."""
    return [(path,), tuple(path.split("."))] if "." in path else [(path,)]


def _follow(record: Record, way: Way) -> Any:
    value: Any = record
    for key in way:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _text(value: Any) -> str | list[Any] | None:
    """Return *value* if it is text: a string, the journal's array of bytes, or its array of several of either."""
    if isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], int | str | list)):
        return value or None
    return None


def pushed(record: Record) -> list[tuple[Record, Any, str]]:
    """Return labels, stamp (ns since 1970, as text) and line of each entry of a push to Loki; else nothing.

    The format is that of Loki's HTTP API, `POST /loki/api/v1/push`; an entry's own metadata join its stream's labels.
    """
    entries: list[tuple[Record, Any, str]] = []
    streams = record.get("streams")
    for stream in streams if isinstance(streams, list) else ():
        match stream:
            case {"stream": dict(labels), "values": list(values)}:
                for value in values:
                    match value:
                        case [stamp, str(line)]:
                            entries.append((labels, stamp, line))
                        case [stamp, str(line), dict(metadata)]:
                            entries.append(({**labels, **metadata}, stamp, line))
                        case _:
                            return []
            case _:
                return []
    return entries
