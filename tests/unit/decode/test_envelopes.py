"""One row per envelope: what it holds, and the facts that are taken from it.

Aspects: shippers' JSON records, the journal's forms, batches, pushes to Loki, envelopes in envelopes, fall-backs for
node and time, positions, the original.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from pipeline.decode.envelopes import Decoded, Decoder, Problem
from pipeline.decode.settings import DecodeSettings

TEXT = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
AT = datetime(2024, 7, 4, 3, 9, 40, tzinfo=UTC)
AT_MICROS = AT.replace(microsecond=802301)
BOOT = "b03ed610-f21d-46ab-8243-a495ba5a0058"
BOOT_HEX = BOOT.replace("-", "")

JOURNAL = {
    "__REALTIME_TIMESTAMP": "1720062580802301",
    "_BOOT_ID": BOOT_HEX,
    "_TRANSPORT": "kernel",
    "_HOSTNAME": "gpu-1",
    "SYSLOG_FACILITY": "0",
    "SYSLOG_IDENTIFIER": "kernel",
}
FIELDS_OF_EXPORT = "".join(f"{name}={value}\n" for name, value in JOURNAL.items())


def json_of(**record: Any) -> str:
    return json.dumps(record)


@dataclass(frozen=True, slots=True)
class Row:
    """An envelope around TEXT, and what else it says."""

    says: str
    payload: str | bytes
    node: str | None = None
    time: datetime | None = None
    kernel_time: str | None = None
    from_kernel: bool | None = None
    boot_id: str | None = None


def binary_export(text: bytes) -> bytes:
    return FIELDS_OF_EXPORT.encode() + b"MESSAGE\n" + len(text).to_bytes(8, "little") + text + b"\n\n"


ROWS = [
    Row("bare text", TEXT),
    Row("text with spaces around it", f"  {TEXT} \r\n"),
    Row(
        "rsyslog, a JSON template with the properties of a kernel message",
        json_of(
            msg=f" [ 3023.054882] {TEXT}",
            hostname="gpu-1",
            timestamp="2024-07-04T11:09:40.802301+08:00",
            syslogtag="kernel:",
            **{"syslogfacility-text": "kern", "syslogseverity-text": "err"},
        ),
        node="gpu-1",
        time=AT_MICROS,
        kernel_time="3023.054882",
        from_kernel=True,
    ),
    Row(
        "rsyslog, whose msg is itself JSON text",
        json_of(hostname="gpu-1", timestamp="2024-07-04T03:09:40Z", msg=json_of(msg=f"[ 3023.054882] {TEXT}")),
        node="gpu-1",
        time=AT,
        kernel_time="3023.054882",
    ),
    Row(
        "rsyslog, a timestamp in syslog's own form and a numeric facility",
        json_of(hostname="gpu-1", timereported="Jul  4 03:09:40", msg=TEXT, syslogfacility="0"),
        node="gpu-1",
        time=AT,
        from_kernel=True,
    ),
    Row(
        "Fluent Bit in_kmsg, time as seconds, and the properties that it leaves behind the text",
        json_of(**{"@timestamp": 1720062580.0}, priority=3, sequence=4, sec=3023, usec=54890)[:-1]
        + f', "msg": "{TEXT}\\n SUBSYSTEM=pci\\n DEVICE=+pci:0000:3b:00.0", "hostname": "gpu-1"}}',
        node="gpu-1",
        time=AT,
        kernel_time="3023.054890",
    ),
    Row(
        "Fluent Bit in_kmsg, time as ISO 8601",
        json_of(**{"@timestamp": "2024-07-04T03:09:40.802301Z"}, sec=3023, usec=54890, msg=TEXT, host="gpu-1"),
        node="gpu-1",
        time=AT_MICROS,
        kernel_time="3023.054890",
    ),
    Row(
        "Fluent Bit in_tail with Kubernetes metadata",
        json_of(date=1720062580.802301, log=f"[Thu Jul  4 11:09:40 2024] {TEXT}\n", kubernetes={"host": "gpu-1"}),
        node="gpu-1",
        time=AT_MICROS,
        kernel_time="Thu Jul  4 11:09:40 2024",
    ),
    Row(
        "Fluent Bit in_systemd",
        json_of(**JOURNAL, **{"@timestamp": 1720062581.9}, MESSAGE=TEXT, _SOURCE_MONOTONIC_TIMESTAMP="1805611354"),
        node="gpu-1",
        time=AT_MICROS,
        kernel_time="1805611354",
        from_kernel=True,
        boot_id=BOOT,
    ),
    Row(
        "Filebeat, a line of /var/log/messages",
        json_of(
            **{"@timestamp": "2024-07-04T03:09:40.000Z"},
            message=f"Jul  4 11:09:40 gpu-1 kernel: [ 3023.054882] {TEXT}",
            log={"file": {"path": "/var/log/messages"}, "offset": 88213},
            host={"name": "gpu-1.example"},
        ),
        node="gpu-1.example",
        time=AT,
        kernel_time="3023.054882",
        from_kernel=True,
    ),
    Row(
        "Filebeat, its journald input",
        json_of(
            **{"@timestamp": "2024-07-04T03:09:40.802301Z"},
            message=TEXT,
            host={"hostname": "gpu-1"},
            systemd={"transport": "kernel"},
            syslog={"facility": 0, "identifier": "kernel"},
            journald={"host": {"boot_id": BOOT_HEX}},
        ),
        node="gpu-1",
        time=AT_MICROS,
        from_kernel=True,
        boot_id=BOOT,
    ),
    Row(
        "Vector",
        json_of(message=TEXT, host="gpu-1", timestamp="2024-07-04T03:09:40.802301123Z", source_type="kafka"),
        node="gpu-1",
        time=AT_MICROS,
    ),
    Row(
        "Vector, its syslog source",
        json_of(
            message=TEXT,
            hostname="gpu-1",
            host="10.0.0.9",
            facility="kern",
            appname="kernel",
            timestamp="2024-07-04T03:09:40Z",
        ),
        node="gpu-1",
        time=AT,
        from_kernel=True,
    ),
    Row(
        "Logstash, which keeps only the original",
        json_of(
            **{"@timestamp": "2024-07-04T03:09:40.000Z", "@version": "1"},
            host={"hostname": "gpu-1"},
            event={"original": f"<3>Jul  4 11:09:40 gpu-9 kernel: {TEXT}"},
        ),
        node="gpu-1",
        time=AT,
        from_kernel=True,
    ),
    Row(
        "the journal as JSON, its message an array of bytes",
        orjson.dumps({**JOURNAL, "MESSAGE": list(TEXT.encode())}),
        node="gpu-1",
        time=AT_MICROS,
        from_kernel=True,
        boot_id=BOOT,
    ),
    Row(
        "the journal's export format",
        f"{FIELDS_OF_EXPORT}MESSAGE={TEXT}\n",
        node="gpu-1",
        time=AT_MICROS,
        from_kernel=True,
        boot_id=BOOT,
    ),
    Row(
        "the journal's export format, its message binary",
        binary_export(TEXT.encode()),
        node="gpu-1",
        time=AT_MICROS,
        from_kernel=True,
        boot_id=BOOT,
    ),
    Row("the journal's field alone", f"MESSAGE={TEXT}"),
    Row(
        "a push to Loki",
        json_of(
            streams=[{"stream": {"hostname": "gpu-1", "job": "journal"}, "values": [["1720062580802301000", TEXT]]}]
        ),
        node="gpu-1",
        time=AT_MICROS,
    ),
    Row(
        "a push to Loki with metadata of the entry's own",
        json_of(streams=[{"stream": {"job": "journal"}, "values": [["1720062580802301000", TEXT, {"node": "gpu-1"}]]}]),
        node="gpu-1",
        time=AT_MICROS,
    ),
    Row(
        "KLog",
        json_of(
            __source__="10.0.0.14", __time__=1720062580, content=f"[四 7月 4 11:09:40 2024] {TEXT}", node_name="gpu-1"
        ),
        node="gpu-1",
        time=AT,
        kernel_time="四 7月 4 11:09:40 2024",
    ),
    Row("KLog, which knows only the sender's address", json_of(__source__="10.0.0.14", content=TEXT), node="10.0.0.14"),
    Row(
        "Docker's json-file",
        json_of(log=f"{TEXT}\n", stream="stdout", time="2024-07-04T03:09:40.802301123Z"),
        time=AT_MICROS,
        from_kernel=False,
    ),
    Row(
        "a container's log that holds /dev/kmsg",
        f"2024-07-04T03:09:40.802301123Z stdout F 3,4472,3023054890,-;{TEXT}",
        time=AT_MICROS,
        from_kernel=False,
        kernel_time="3023054890",
    ),
    Row(
        "a partial line of a container's log",
        f"2024-07-04T03:09:40.802301123Z stderr P {TEXT}",
        time=AT_MICROS,
        from_kernel=False,
    ),
    Row(
        "a container's log that holds JSON, inside Fluent Bit's record",
        json_of(
            log=f"2024-07-04T03:09:41Z stdout F {json_of(msg=TEXT, hostname='tailer-x7k')}",
            kubernetes={"node_name": "gpu-1", "pod_name": "tailer-x7k"},
            time="2024-07-04T03:09:40Z",
        ),
        node="gpu-1",
        time=AT,
        from_kernel=False,
    ),
    Row("keys that hold the dots themselves", json_of(**{"host.name": "gpu-1", "event.original": TEXT}), node="gpu-1"),
    Row(
        "a JSON string", json.dumps(f"<3>Jul  4 03:09:40 gpu-1 kernel: {TEXT}"), node="gpu-1", time=AT, from_kernel=True
    ),
    Row(
        "a cookie before the record",
        "@cee: " + json_of(hostname="gpu-1", timestamp="2024-07-04T03:09:40Z", syslogtag="kernel:", msg=TEXT),
        node="gpu-1",
        time=AT,
        from_kernel=True,
    ),
    Row("a cookie without a space", "@cee:" + json_of(hostname="gpu-1", msg=TEXT), node="gpu-1"),
    Row(
        "a cookie behind a header of syslog",
        "<3>Jul  4 03:09:40 gpu-1 kernel: @cee: " + json_of(msg=TEXT),
        node="gpu-1",
        time=AT,
        from_kernel=True,
    ),
    Row("a byte order mark before JSON", "\ufeff" + json_of(msg=TEXT, hostname="gpu-1"), node="gpu-1"),
    Row("a record spread over several lines", json.dumps({"hostname": "gpu-1", "msg": TEXT}, indent=2), node="gpu-1"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.says))
def test_an_envelope_is_opened(row: Row, decode: Callable[..., Decoded]) -> None:
    decoded = decode(row.payload)

    (line,) = decoded.lines
    assert line.text == TEXT
    assert line.node == row.node
    assert line.time == row.time
    assert line.kernel_time == row.kernel_time
    assert line.from_kernel == row.from_kernel
    assert line.boot_id == row.boot_id
    assert decoded.problems == ()


def counted(host: str, text: str) -> str:
    frame = f"<3>1 2024-07-04T03:09:40Z {host} kernel - - - \ufeff{text}"
    return f"{len(frame.encode())} {frame}"


OTHER = "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up"


@pytest.mark.parametrize(
    ("says", "payload"),
    [
        ("a JSON array of records", json.dumps([{"hostname": "a", "msg": TEXT}, {"hostname": "b", "msg": OTHER}])),
        ("a record per line", json_of(hostname="a", msg=TEXT) + "\n" + json_of(hostname="b", msg=OTHER) + "\n"),
        ("lines of syslog", f"Jul  4 11:09:40 a kernel: {TEXT}\nJul  4 11:09:40 b kernel: {OTHER}\n"),
        ("a record and a line of syslog", f"{json_of(hostname='a', msg=TEXT)}\nJul  4 11:09:40 b kernel: {OTHER}"),
        (
            "a line of syslog and an array",
            f"Jul  4 11:09:40 a kernel: {TEXT}\n{json.dumps([{'host': 'b', 'msg': OTHER}])}",
        ),
        ("a line of syslog and a record", f"Jul  4 11:09:40 a kernel: {TEXT}\n{json_of(hostname='b', msg=OTHER)}"),
        ("entries of the journal's export", f"MESSAGE={TEXT}\n_HOSTNAME=a\n\nMESSAGE={OTHER}\n_HOSTNAME=b\n"),
        ("the journal's fields of an entry each", f"_HOSTNAME=a\nMESSAGE={TEXT}\n\n_HOSTNAME=b\nMESSAGE={OTHER}"),
        (
            "streams of a push to Loki",
            json_of(streams=[{"stream": {"node": n}, "values": [["1", t]]} for n, t in (("a", TEXT), ("b", OTHER))]),
        ),
        ("frames of counted octets", counted("a", TEXT) + counted("b", OTHER)),
        ("frames of counted octets, and line breaks", counted("a", TEXT) + "\n" + counted("b", OTHER) + "\n"),
        ("records in a wrapper", json_of(events=[{"hostname": "a", "msg": TEXT}, {"hostname": "b", "msg": OTHER}])),
    ],
)
def test_a_batch_keeps_its_lines_apart(says: str, payload: str, decode: Callable[..., Decoded]) -> None:
    lines = decode(payload).lines

    assert [(line.text, line.node, line.position) for line in lines] == [
        (TEXT, "a", "topic/0/42"),
        (OTHER, "b", "topic/0/42#1"),
    ]


@pytest.mark.parametrize(
    ("says", "payload", "node"),
    [
        (
            "the record's field comes first",
            json_of(host="field", msg=f"Jul  4 11:09:40 header kernel: {TEXT}"),
            "field",
        ),
        ("then the header's host", f"Jul  4 11:09:40 header kernel: {TEXT}", "header"),
        ("then the key", TEXT, "key"),
        ("a dash is no name", f"<3>1 2024-07-04T03:09:40Z - kernel - - - {TEXT}", "key"),
        ("a sentence is no name", json_of(host="the host is unknown", msg=TEXT), "key"),
        ("an object is no name", json_of(host={"os": "linux"}, msg=TEXT), "key"),
        (
            "Kubernetes knows better than a pod",
            json_of(hostname="pod", kubernetes={"node_name": "node"}, msg=TEXT),
            "node",
        ),
    ],
)
def test_the_node_is_looked_for_in_order(says: str, payload: str, node: str, decode: Callable[..., Decoded]) -> None:
    assert [line.node for line in decode(payload, key="key").lines] == [node]


def test_the_setting_names_the_node_at_last() -> None:
    decoder = Decoder(DecodeSettings(node="setting"))

    assert [line.node for line in decoder.decode(TEXT.encode(), "p", received=AT).lines] == ["setting"]
    assert [line.node for line in decoder.decode(TEXT.encode(), "p", received=AT, key="key").lines] == ["key"]


@pytest.mark.parametrize(
    ("says", "payload", "time"),
    [
        (
            "the record's field comes first",
            json_of(timestamp="2024-07-04T03:09:40Z", msg=f"Jul  4 03:09:39 a kernel: {TEXT}"),
            AT,
        ),
        ("then the header's", f"Jul  4 03:09:40 a kernel: {TEXT}", AT),
        ("then the stream's stamp", TEXT, AT_MICROS),
        ("the kernel's own is none", f"[Thu Jul  4 11:09:40 2024] {TEXT}", AT_MICROS),
        (
            "a field that cannot be read gives way to the next",
            json_of(timestamp="?", time="2024-07-04T03:09:40Z", msg=TEXT),
            AT,
        ),
        ("seconds since the boot are no time", json_of(timestamp=3023.05, msg=TEXT), AT_MICROS),
    ],
)
def test_the_time_is_looked_for_in_order(
    says: str, payload: str, time: datetime, decode: Callable[..., Decoded]
) -> None:
    assert [line.time for line in decode(payload, stamp=AT_MICROS).lines] == [time]


def test_without_any_stamp_the_time_is_unknown(decode: Callable[..., Decoded]) -> None:
    assert [line.time for line in decode(TEXT).lines] == [None]


def test_fields_are_the_operators_choice() -> None:
    settings = DecodeSettings(message_fields=("payload.text",), node_fields=("asset",), time_fields=("seen",))
    record = {"payload": {"text": TEXT}, "asset": "gpu-1", "seen": 1720062580, "message": "other", "host": "other"}

    (line,) = Decoder(settings).decode(orjson.dumps(record), "p", received=AT).lines
    assert (line.text, line.node, line.time) == (TEXT, "gpu-1", AT)


def test_a_record_without_a_message_field_is_searched_and_counted(decode: Callable[..., Decoded]) -> None:
    decoded = decode(json_of(hostname="gpu-1", odd={"name": {"deep": TEXT}}))

    assert (TEXT, "gpu-1") in [(line.text, line.node) for line in decoded.lines]
    assert decoded.problems == (Problem.NO_MESSAGE,)


def test_a_frame_holds_its_line_breaks(decode: Callable[..., Decoded]) -> None:
    lines = decode(counted("a", f"noise\n{TEXT}") + counted("b", OTHER)).lines

    assert [(line.text, line.node) for line in lines] == [("noise", "a"), (TEXT, "a"), (OTHER, "b")]


BESIDE = [
    ("in another message field", {"msg": "noise", "log": TEXT}, [TEXT]),
    ("in a field of no known name", {"msg": "noise", "raw": {"deep": TEXT}}, [TEXT]),
    ("in two fields", {"msg": "noise", "log": TEXT, "event": {"original": TEXT}}, [TEXT]),
    ("in two fields, in another envelope each", {"msg": "noise", "log": TEXT, "raw": f"kernel: {TEXT}"}, [TEXT]),
    ("in two fields that differ", {"msg": "noise", "log": TEXT, "raw": OTHER}, [TEXT, OTHER]),
    ("in the message too", {"message": TEXT, "event": {"original": f"kernel: {TEXT}"}}, [TEXT]),
    ("in records beside", {"msg": "noise", "all": [{"msg": TEXT}, {"msg": OTHER}]}, [TEXT, OTHER]),
    ("in what a user calls a process", {"msg": "noise", "process": {"title": TEXT}, "_CMDLINE": TEXT}, []),
    ("in what a user writes on a pod", {"msg": "noise", "kubernetes": {"annotations": {"a": TEXT}}}, []),
]


@pytest.mark.parametrize(("says", "record", "texts"), BESIDE)
def test_beside_a_message_without_the_driver_its_line_is_sought(
    says: str, record: dict[str, Any], texts: list[str], decode: Callable[..., Decoded]
) -> None:
    decoded = decode(json_of(hostname="gpu-1", **record))

    assert [line.text for line in decoded.lines if line.text != "noise"] == texts
    assert {(line.node, line.from_kernel) for line in decoded.lines} <= {("gpu-1", None), ("gpu-1", True)}
    assert decoded.problems == ()


def test_beside_a_containers_own_message_the_driver_is_quoted(decode: Callable[..., Decoded]) -> None:
    """Health monitors print the kernel's lines, old ones too, in records of their own."""
    log = json_of(level="info", msg="found an xid", line=TEXT)

    lines = decode(json_of(log=log, stream="stderr", kubernetes={"pod_name": "monitor", "host": "gpu-1"})).lines
    assert [(line.text, line.from_kernel) for line in lines] == [("found an xid", False), (TEXT, False)]


def test_the_same_text_of_two_nodes_is_two_lines(decode: Callable[..., Decoded]) -> None:
    decoded = decode(json_of(first={"host": "a", "msg": TEXT}, second={"host": "b", "msg": TEXT}))

    assert [(line.text, line.node) for line in decoded.lines] == [(TEXT, "a"), (TEXT, "b")]


@pytest.mark.parametrize(
    ("says", "payload"),
    [
        ("as JSON", json_of(MESSAGE=[TEXT, OTHER])),
        ("as JSON, in bytes", json_of(MESSAGE=[list(TEXT.encode()), list(OTHER.encode())])),
        ("as an export", f"MESSAGE={TEXT}\nMESSAGE={OTHER}\n"),
    ],
)
def test_a_message_that_the_journal_repeats_is_kept_each_time(
    says: str, payload: str, decode: Callable[..., Decoded]
) -> None:
    decoded = decode(payload)

    assert [line.text for line in decoded.lines] == [TEXT, OTHER]
    assert decoded.problems == ()


def test_the_original_is_the_message_as_delivered_within_bounds(decode: Callable[..., Decoded]) -> None:
    payload = json_of(msg=f"{TEXT}\n{OTHER}", padding="x" * 20_000)

    assert [line.original for line in decode(payload).lines] == [payload[:8192]] * 2


def test_the_same_message_gives_the_same_positions_again(decode: Callable[..., Decoded]) -> None:
    payload = json.dumps([{"msg": f"{TEXT} {n}"} for n in range(20)])

    positions = [line.position for line in decode(payload).lines]
    assert positions == [line.position for line in decode(payload).lines]
    assert len(set(positions)) == 20
