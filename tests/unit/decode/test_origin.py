"""Who wrote a line: False where another program is named, True where the kernel says so, None where it stays open."""

import json
from collections.abc import Callable

import pytest

from pipeline.decode.envelopes import Decoded

TEXT = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
FORGED = f"Jul  4 11:09:40 gpu-9 kernel: {TEXT}"


def json_of(**record: object) -> str:
    return json.dumps(record)


@pytest.mark.parametrize(
    ("says", "payload", "from_kernel"),
    [
        ("nothing is said", json_of(msg=TEXT), None),
        ("the kernel's facility, as a number", json_of(msg=TEXT, facility=0), True),
        ("the kernel's facility, by name", json_of(msg=TEXT, facility="kern"), True),
        ("a user's facility", json_of(msg=TEXT, syslogfacility=1), False),
        ("a facility of the site's own", json_of(msg=TEXT, syslogfacility=16), None),
        (
            "the kernel's road, a facility of the site's own",
            json_of(MESSAGE=TEXT, _TRANSPORT="kernel", facility=16),
            None,
        ),
        (
            "a facility of authentication, and no program",
            json_of(msg=TEXT, **{"syslogfacility-text": "authpriv"}),
            None,
        ),
        ("syslog-ng's program", json_of(PROGRAM="sshd", FACILITY="authpriv", MESSAGE=TEXT, HOST="q"), False),
        ("GELF's application", json_of(short_message=TEXT, _application_name="sshd", host="q"), False),
        ("a tag that is no name", json_of(msg=TEXT, syslogtag="[", programname="["), None),
        ("a tag that is a time", json_of(msg=TEXT, syslogtag="3023.054882]:"), None),
        ("a facility that is no syslog's", json_of(msg=TEXT, facility="dc-1"), None),
        ("true is no facility", json_of(msg=TEXT, facility=True), None),
        ("another identifier", json_of(msg=TEXT, SYSLOG_IDENTIFIER="myapp"), False),
        ("another tag", json_of(msg=TEXT, syslogtag="myapp[71]:"), False),
        ("a dash for a tag", json_of(msg=TEXT, syslogtag="-"), None),
        ("the journal's road for programs", json_of(MESSAGE=TEXT, _TRANSPORT="stdout"), False),
        (
            "the kernel's road, a user's facility",
            json_of(MESSAGE=TEXT, _TRANSPORT="kernel", SYSLOG_FACILITY="1"),
            False,
        ),
        ("the kernel's road and no facility", json_of(MESSAGE=TEXT, _TRANSPORT="kernel"), True),
        (
            "the kernel's road, by which systemd writes too",
            json_of(MESSAGE=TEXT, _TRANSPORT="kernel", SYSLOG_FACILITY="3", SYSLOG_IDENTIFIER="systemd"),
            False,
        ),
        ("the kernel's tag, a user's facility", json_of(msg=TEXT, syslogtag="kernel:", syslogfacility="1"), False),
        ("the kernel's tag", json_of(msg=TEXT, programname="kernel"), True),
        ("the kernel's tag, shortened", json_of(msg=TEXT, programname="kern"), True),
        ("the tag of a relay of dmesg", json_of(msg=TEXT, programname="dmesg", facility="user"), False),
        ("a driver for a tag", json_of(msg=TEXT, programname="nvidia", facility="kern"), True),
        ("NVIDIA's daemon", json_of(msg=TEXT, programname="nvidia-persistenced", facility="daemon"), False),
        (
            "rsyslog's record of sshd",
            json_of(msg=TEXT, programname="sshd", syslogtag="sshd[77]:", **{"syslogfacility-text": "authpriv"}),
            False,
        ),
        ("rsyslog's record with short names", json_of(message=TEXT, facility="authpriv", tag="sshd[77]:"), False),
        ("a routing key of Fluentd's", json_of(message=TEXT, tag="host.kmsg"), None),
        (
            "the journal's record of sshd",
            json_of(MESSAGE=TEXT, _TRANSPORT="syslog", SYSLOG_IDENTIFIER="sshd", SYSLOG_FACILITY="10"),
            False,
        ),
        (
            "a user who calls himself the kernel, in the journal",
            json_of(MESSAGE=TEXT, _TRANSPORT="syslog", SYSLOG_IDENTIFIER="kernel", SYSLOG_FACILITY="1"),
            False,
        ),
        ("the kernel's audit, which quotes users", json_of(MESSAGE=TEXT, _TRANSPORT="audit"), False),
        ("a program that the journal knows by its unit alone", json_of(MESSAGE=TEXT, unit="sshd.service"), False),
        ("a label that is no unit", json_of(MESSAGE=TEXT, unit="kernel"), None),
        ("another transport's name", json_of(message=TEXT, transport="syslog"), None),
        ("Fluent Bit's in_syslog, of sshd", json_of(message=TEXT, pri="86", ident="sshd", pid="77"), False),
        ("Fluent Bit's in_syslog, of the kernel", json_of(message=TEXT, pri="3", ident="kernel"), True),
        ("Fluent Bit's in_syslog, re-encoded", json_of(message=TEXT, pri="14", ident="kernel"), False),
        ("Logstash's record of sshd", json_of(message=TEXT, program="sshd", facility=10, priority=86), False),
        ("ECS's record of sshd", json_of(message=TEXT, process={"name": "sshd", "pid": 77}), False),
        ("ECS's tag", json_of(message=TEXT, log={"syslog": {"appname": "sshd", "facility": {"code": 10}}}), False),
        (
            "a push to Loki of sshd's",
            json_of(streams=[{"stream": {"syslog_identifier": "sshd", "host": "a"}, "values": [["1", TEXT]]}]),
            False,
        ),
        ("a container cannot claim it", json_of(log=FORGED, stream="stderr"), False),
        ("a pod cannot claim it", json_of(log=FORGED, facility="kern", kubernetes={"pod_name": "p"}), False),
        (
            "a container may pass on what another program wrote",
            json_of(log=f"<86>Jul  4 11:09:40 a sshd[77]: {TEXT}", stream="stderr"),
            False,
        ),
        (
            "a pod that reads the journal",
            json_of(log=json_of(MESSAGE=TEXT, _TRANSPORT="syslog"), stream="stderr"),
            False,
        ),
        ("a pod that reads the kernel's device", json_of(log=f"6,4472,302305,-;{TEXT}", stream="stdout"), False),
        (
            "a pod that reads it, on a node whose containers log to the journal",
            json_of(
                MESSAGE=TEXT,
                _TRANSPORT="journal",
                SYSLOG_IDENTIFIER="f00dcafe0123",
                _SYSTEMD_UNIT="docker.service",
                CONTAINER_ID="f00dcafe0123",
            ),
            False,
        ),
    ],
)
def test_who_wrote_the_line(says: str, payload: str, from_kernel: bool | None, decode: Callable[..., Decoded]) -> None:
    (line,) = decode(payload).lines

    assert (line.text, line.from_kernel) == (TEXT, from_kernel)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(
            json_of(msg=f"Invalid user {TEXT}", **{"syslogfacility-text": "authpriv"}), id="a record without a program"
        ),
        pytest.param(f"<38>1 2024-07-04T11:09:40Z q - 77 - - Invalid user {TEXT}", id="a syslog line without one"),
    ],
)
def test_what_another_facility_says_about_the_driver_is_not_the_kernels(
    payload: str, decode: Callable[..., Decoded]
) -> None:
    (line,) = decode(payload).lines
    assert (line.text, line.from_kernel) == (f"Invalid user {TEXT}", False)


QUOTING = [
    ("a tag with an id", f"sshd[77]: {TEXT}", False),
    ("a host and a tag with an id", f"gpu-1 sshd[77]: {TEXT}", False),
    ("a relay's tag with an id", f"relay[12]: [ 1843.308145] {TEXT}", False),
    ("the node and a tag", f"gpu-1 sudo: alice : COMMAND=/bin/echo {TEXT}", False),
    ("a time, the node and two words for a tag", f"Jul  4 11:09:40 gpu-1 my app: {TEXT}", False),
    ("a tag without a space behind it", f"Jul  4 11:09:40 gpu-1 python3:{TEXT}", False),
    ("a processor of ESXi's behind a time", f"2024-07-04T03:09:40Z cpu1:2098){TEXT}", None),
    ("a level behind a time", f"Jul  4 11:09:40 error: {TEXT}", None),
    ("what may be a host", f"gpu01: [ 1843.308145] {TEXT}", None),
    ("a time behind which nobody stands", f"[ 1843.308145] gpu01: {TEXT}", None),
    ("a facility and a tag", f"<13>sudo: {TEXT}", False),
    ("a facility and a tag, as dmesg decodes them", f"user  :err   : myapp: {TEXT}", False),
    ("a program that writes to the kernel's device", f"12,4472,302305,-;myapp: {TEXT}", False),
    ("the kernel's facility and a tag", f"<3>myapp: {TEXT}", True),
    ("a device before the driver", f"<133>nvidia 0000:3b:00.0: [drm] {TEXT}", None),
    ("a container's own words", f"2024-07-04T03:09:40Z stdout F node is sick: {TEXT}", False),
    (
        "a container's own words behind a level",
        f"2024-07-04T03:09:40Z stdout F [2024-07-04 03:09:40] ERROR {TEXT}",
        False,
    ),
    ("a container that passes on dmesg", f"2024-07-04T03:09:40Z stdout F [ 1843.308145] {TEXT}", False),
    (
        "a container that passes on a device's line",
        f"2024-07-04T03:09:40Z stdout F nvidia 0000:3b:00.0: [drm] {TEXT}",
        False,
    ),
    ("a container that says nothing of the driver", "2024-07-04T03:09:40Z stdout F mlx5_core: fatal", False),
]


@pytest.mark.parametrize(("says", "message", "from_kernel"), QUOTING)
def test_whose_words_stand_before_the_drivers(
    says: str, message: str, from_kernel: bool | None, decode: Callable[..., Decoded]
) -> None:
    (line,) = decode(json_of(host="gpu-1", message=message)).lines

    assert line.from_kernel == from_kernel


@pytest.mark.parametrize(
    ("says", "record", "from_kernel"),
    [
        (
            "the journal, of what root wrote to /dev/kmsg",
            {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "1", "SYSLOG_IDENTIFIER": "NVRM", "MESSAGE": TEXT[6:]},
            False,
        ),
        (
            "rsyslog, of a line without a tag",
            {"syslogtag": "NVRM:", "programname": "NVRM", "syslogfacility": "0", "msg": TEXT[5:]},
            True,
        ),
        ("a parser that left it in its place", {"programname": "NVRM", "msg": TEXT}, None),
    ],
)
def test_a_drivers_name_that_was_taken_for_the_tag_is_put_back(
    says: str, record: dict[str, str], from_kernel: bool | None, decode: Callable[..., Decoded]
) -> None:
    (line,) = decode(json.dumps(record)).lines

    assert (line.text, line.from_kernel) == (TEXT, from_kernel)


def test_an_applications_own_text_is_not_taken_apart(decode: Callable[..., Decoded]) -> None:
    (line,) = decode(f"Jul  4 11:09:40 gpu-1 myapp: {FORGED}").lines

    assert (line.text, line.node, line.from_kernel) == (FORGED, "gpu-1", False)


def test_an_applications_second_line_is_still_the_applications(decode: Callable[..., Decoded]) -> None:
    lines = decode(f"Jul  4 11:09:40 gpu-1 myapp: hello\n{TEXT}").lines

    assert [(line.text, line.node, line.from_kernel) for line in lines] == [
        ("hello", "gpu-1", False),
        (TEXT, "gpu-1", False),
    ]


BUS = (
    "NVRM: The NVIDIA GPU 0000:b3:00.0",
    "NVRM: (PCI ID: 10de:26b5) installed in this system has",
    "NVRM: fallen off",
)


@pytest.mark.parametrize(
    ("says", "payload"),
    [
        ("the journal's record", json_of(_TRANSPORT="kernel", _HOSTNAME="gpu-1", MESSAGE="\n".join(BUS))),
        ("a record of kmsg, escaped", "Jul  4 11:09:40 gpu-1 kernel: 3,1,2,-;" + "\\x0a".join(BUS)),
        ("in_kmsg", json_of(sec=1, usec=2, hostname="gpu-1", msg="\\x0a".join(BUS) + "\n SUBSYSTEM=pci")),
        ("rsyslog's escape", "Jul  4 11:09:40 gpu-1 kernel: " + "#012".join(BUS)),
        ("a line of syslog that goes on", "Jul  4 11:09:40 gpu-1 kernel: " + "\n ".join(BUS)),
        ("Filebeat's multiline", json_of(host="gpu-1", message="Jul  4 11:09:40 gpu-1 kernel: " + "\n".join(BUS))),
    ],
)
def test_a_record_of_several_lines_is_broken_up(says: str, payload: str, decode: Callable[..., Decoded]) -> None:
    assert [(line.text, line.node) for line in decode(payload).lines] == [(text, "gpu-1") for text in BUS]


@pytest.mark.parametrize(
    ("says", "envelope", "line_break"),
    [
        ("the journal's record", '{"_TRANSPORT": "kernel", "MESSAGE": "%s"}', "\\n"),
        ("in_kmsg", '{"sec": 1, "usec": 2, "msg": "%s"}', "\\n"),
        ("a record of kmsg", "3,1,2,-;%s", "\\x0a"),
        ("rsyslog's escape", "Jul  4 11:09:40 gpu-1 kernel: %s", "#012"),
    ],
)
def test_a_line_break_in_a_process_name_makes_no_line(
    says: str, envelope: str, line_break: str, decode: Callable[..., Decoded]
) -> None:
    record = f"NVRM: Xid (PCI:0000:3b:00): 31, pid=7, name=evil{line_break}{TEXT}, Ch 00000008"

    (line,) = decode(envelope % record).lines
    assert line.text.startswith("NVRM: Xid (PCI:0000:3b:00): 31, pid=7, name=evil")
    assert line.text.endswith("Ch 00000008")
    assert "\n" not in line.text


def test_words_before_a_colon_that_no_host_is_called_by_are_no_header(decode: Callable[..., Decoded]) -> None:
    words = "oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/kubepods/a kernel: " + TEXT
    (line,) = decode(f"3,1,2,-;{words}").lines
    assert (line.node, line.text) == (None, words)
