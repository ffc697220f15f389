"""Who wrote a line: the kernel must have said so itself, and what users write never becomes structure."""

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
        ("the kernel's tag, a user's facility", json_of(msg=TEXT, syslogtag="kernel:", syslogfacility="1"), False),
        ("a container cannot claim it", json_of(log=FORGED, stream="stderr"), None),
        ("a pod cannot claim it", json_of(log=FORGED, facility="kern", kubernetes={"pod_name": "p"}), None),
        ("a container can deny it", json_of(log="<14>" + FORGED, stream="stderr"), False),
    ],
)
def test_one_denial_outweighs_any_claim(
    says: str, payload: str, from_kernel: bool | None, decode: Callable[..., Decoded]
) -> None:
    (line,) = decode(payload).lines

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
