"""Records: the JSON object that a shipper makes of a line, and what its fields say."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipeline.decode.eventtime import UNKNOWN
from pipeline.decode.facts import Facts
from pipeline.decode.origin import Origin, mentions_driver
from pipeline.decode.problems import Problem
from pipeline.decode.settings import DecodeSettings
from pipeline.decode.stamps import Stamps

Record = Mapping[str, Any]
Tell = Callable[[Facts, Any], None]
Way = tuple[str, ...]


def _origin(tell: Callable[[Origin, Any], None]) -> Tell:
    return lambda facts, value: tell(facts.origin, value)


# What the fields tell whose names the formats themselves fix: the journal's (systemd.journal-fields(7)), those that
# rsyslog, Fluent Bit, Filebeat, Logstash, Vector and Promtail give to the same, and what only containers' logs have.
_FIXED: tuple[tuple[Tell, tuple[str, ...]], ...] = (
    (_origin(Origin.logged_by), ("CONTAINER_ID", "CONTAINER_ID_FULL")),
    (_origin(Origin.printed_by), ("kubernetes.container_name", "kubernetes.container.name", "k8s.container.name")),
    (_origin(Origin.printed_by), ("container_name", "container.name", "CONTAINER_NAME")),
    (_origin(Origin.printed_to), ("log.file.path", "filename", "file", "file_path", "path", "source")),
    (_origin(Origin.printed_on), ("stream",)),
    (_origin(Origin.printed_in), ("kubernetes.pod_name", "kubernetes.pod.name", "k8s.pod.name")),
    (_origin(Origin.printed_in), ("container_id", "container.id")),
    (_origin(Origin.in_namespace), ("kubernetes.namespace_name", "kubernetes.namespace", "kubernetes.pod_namespace")),
    (_origin(Origin.in_namespace), ("k8s.namespace.name",)),
    (Facts.transport, ("_TRANSPORT", "systemd.transport")),
    (_origin(Origin.facility), ("SYSLOG_FACILITY", "syslogfacility", "syslogfacility-text", "facility", "FACILITY")),
    (_origin(Origin.facility), ("facility_label", "syslog_facility", "syslog.facility", "syslog.facility_label")),
    (_origin(Origin.facility), ("log.syslog.facility.code", "log.syslog.facility.name")),
    (_origin(Origin.pri), ("pri", "log.syslog.priority")),
    (_origin(Origin.tag), ("SYSLOG_IDENTIFIER", "syslog_identifier", "syslog.identifier")),
    (
        _origin(Origin.tag),
        ("syslogtag", "programname", "app-name", "appname", "log.syslog.appname", "PROGRAM", "_application_name"),
    ),
    (_origin(Origin.tag), ("ident", "program", "syslog_program")),
    (_origin(Origin.process), ("process.name", "process.program", "_COMM")),
    (_origin(Origin.colon_tag), ("tag",)),
    (_origin(Origin.unit), ("_SYSTEMD_UNIT", "systemd.unit", "systemd_unit", "unit")),
    (Facts.boot, ("_BOOT_ID", "boot_id", "host.boot_id", "journald.host.boot_id")),
    (Facts.monotonic, ("_SOURCE_MONOTONIC_TIMESTAMP",)),
)

# Keys under which users' words stand: what they call their processes, and what they write on their pods.
_USERS_WORDS = {
    *("args", "argv", "cmd", "cmdline", "comm", "command", "command_line", "exe", "executable", "process", "proctitle"),
    *("title", "labels", "annotations", "env", "environment"),
}


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
        facts.origin.next_record()
        for rank, way in sorted([ranked for key in record if key in by_key for ranked in by_key[key]]):
            value = _follow(record, way)
            if value is None:
                continue
            if rank >= self._first_told:
                self._tells[rank](facts, value)
            elif rank < self._first_time:
                message = message or _text(value)
            elif not facts.field_time(value, stamps):
                undated = True
        if undated and facts.time is UNKNOWN:
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


def values(record: Record) -> list[Any]:
    """Return the values of a record without those whose key says that they are a user's own words."""
    return [value for key, value in record.items() if key.rpartition(".")[2].lower().lstrip("_") not in _USERS_WORDS]


def about_driver(record: Record) -> list[Any]:
    """Return the strings anywhere in a record that mention an NVIDIA driver, in order; of a list, the whole list."""
    found: list[Any] = []
    rest = values(record)[::-1]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest.extend(reversed(values(value)))
        elif (isinstance(value, str) and mentions_driver(value)) or (
            isinstance(value, list) and any(map(mentions_driver, strings(value)))
        ):
            found.append(value)
    return found


def strings(value: Any) -> Iterator[str]:
    """Yield every string inside *value*, in order, however deep."""
    rest = [value]
    while rest:
        match rest.pop():
            case str(text):
                yield text
            case dict(record):
                rest.extend(reversed(record.values()))
            case list(items):
                rest.extend(reversed(items))


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
