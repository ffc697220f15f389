"""The mark of a drill goes through every envelope, and no envelope takes it off without a word."""

import json
from datetime import UTC, datetime

import pytest

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.model.fault import Drill
from pipeline.model.line import LogLine

RECEIVED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
XID = "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."
MARK = "gpu-rescue-drill:"
FOR_REAL = "gpu-rescue-drill-for-real:"


def decoded(payload: str) -> list[LogLine]:
    return list(Decoder(DecodeSettings()).decode(payload.encode(), "p", received=RECEIVED).lines)


def record(**fields: object) -> str:
    return json.dumps({name.replace("__", "."): value for name, value in fields.items()})


# The form of each, who wrote it when it is dry, and who when it is for real.
FORMS = {
    "plain": ("{mark} " + XID, None, None),
    "rsyslog's file": ("2026-11-20T12:00:00.1+00:00 gpu-1 kernel: {mark} " + XID, True, True),
    "syslog with the kernel's time": ("Nov 20 12:00:00 gpu-1 kernel: [ 12.3] {mark} " + XID, True, True),
    "syslog that takes the mark for the tag": ("Nov 20 12:00:00 gpu-1 {mark} " + XID, None, False),
    "syslog of a user's": ("<14>Nov 20 12:00:00 gpu-1 {mark} " + XID, None, False),
    "RFC 5424": ("<4>1 2026-11-20T12:00:00Z gpu-1 kernel - - - {mark} " + XID, True, True),
    "RFC 5424 that takes it for the application": ("<4>1 2026-11-20T12:00:00Z gpu-1 {name} - - - " + XID, True, False),
    "/dev/kmsg, written by the kernel": ("4,3,4,-;{mark} " + XID, True, True),
    "/dev/kmsg, written by root": ("12,3,4,-;{mark} " + XID, None, False),
    "dmesg": ("[ 12.3] {mark} " + XID, None, None),
    "dmesg -x": ("kern  :info  : [ 12.3] {mark} " + XID, True, True),
    "a container's log": ("2026-11-20T12:00:00.1Z stdout F {mark} " + XID, None, False),
    "JSON": (record(message="{mark} " + XID, host="gpu-1"), None, None),
    "JSON that says who wrote it": (record(message="{mark} " + XID, SYSLOG_IDENTIFIER="kernel"), True, True),
    "the journal": (record(MESSAGE="{mark} " + XID, _TRANSPORT="kernel"), True, True),
    "the journal of what root wrote to /dev/kmsg": (
        record(MESSAGE=XID, _TRANSPORT="kernel", SYSLOG_IDENTIFIER="{name}", SYSLOG_FACILITY="1"),
        None,
        False,
    ),
    "the journal of what logger wrote": (
        record(MESSAGE=XID, _TRANSPORT="syslog", SYSLOG_IDENTIFIER="{name}"),
        False,
        False,
    ),
    "a pod that prints it": (record(log="{mark} " + XID, stream="stdout", kubernetes={"host": "gpu-1"}), None, False),
    "Fluent Bit's syslog parser": (record(message=XID, ident="{name}", host="gpu-1"), None, False),
}


def _filled(form: str, drill: Drill) -> str:
    return form.replace("{mark}", drill.mark).replace("{name}", drill.mark.removesuffix(":"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("drill", list(Drill))
def test_the_mark_goes_through(form: str, drill: Drill) -> None:
    payload, dry, real = FORMS[form]
    (line,) = decoded(_filled(payload, drill))
    assert line.text == f"{drill.mark} {XID}"
    assert line.from_kernel is (dry if drill is Drill.DRY else real)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("Nov 20 12:00:00 {name} kernel: " + XID, id="the mark as the host, without its colon"),
        pytest.param("{name} kernel: " + XID, id="the mark before the kernel's tag"),
        pytest.param("Nov 20 12:00:00 gpu-1 {NAME}: " + XID, id="the mark in capitals as the tag"),
        pytest.param("Nov 20 12:00:00 gpu-1 x{name}: " + XID, id="a damaged mark as the tag"),
        pytest.param("<4>1 2026-11-20T12:00:00Z {name} kernel - - - " + XID, id="the mark as RFC 5424's host"),
        pytest.param(record(message=XID, process__name="{name}"), id="a process of that name"),
        pytest.param(record(message=XID, _COMM="{name}"), id="a process of that name in the journal"),
        pytest.param(record(message=XID, syslogtag="{NAME}:"), id="a tag in capitals"),
    ],
)
@pytest.mark.parametrize("drill", list(Drill))
def test_what_stands_in_the_wrong_place_of_an_envelope_makes_the_line_another_programs(
    payload: str, drill: Drill
) -> None:
    name = drill.mark.removesuffix(":")
    (line,) = decoded(payload.replace("{name}", name).replace("{NAME}", name.upper()))
    assert (line.text, line.from_kernel) == (XID, False)


def test_a_process_of_that_name_makes_no_line_of_the_kernels_a_drill() -> None:
    payload = record(message=f"{XID[:-1]}, name=gpu-rescue-drill", process__name="gpu-rescue-drill")
    (line,) = decoded(payload)
    assert line.text.startswith("NVRM")


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(f"kernel: {MARK} {XID}#012{XID}", id="rsyslog's escape"),
        pytest.param(f"4,3,4,-;{MARK} {XID}\\x0a{XID}", id="the kernel's escape"),
        pytest.param(record(MESSAGE=f"{MARK} {XID}\n{XID}", _TRANSPORT="kernel"), id="a record of two lines"),
        pytest.param(record(message=f"{MARK} {XID}\n{XID}"), id="a message of two lines"),
        pytest.param(record(MESSAGE=f"{XID}\n{XID}", SYSLOG_IDENTIFIER=MARK[:-1]), id="two lines and one tag"),
    ],
)
def test_the_mark_stands_for_every_line_of_its_record(payload: str) -> None:
    assert [line.text for line in decoded(payload)] == [f"{MARK} {XID}"] * 2


def test_what_comes_in_the_same_message_with_a_header_of_its_own_is_not_marked() -> None:
    texts = [line.text for line in decoded(f"[ 12.3] {MARK} {XID}\n[ 12.4] {XID}\n[ 12.5] {FOR_REAL} {XID}")]
    assert texts == [f"{MARK} {XID}", XID, f"{FOR_REAL} {XID}"]


@pytest.mark.parametrize("host", ["gpu-rescue-dev-01", "gpu-rescue-drills", "rescue-drill-01"])
def test_a_host_may_be_called_much_like_it(host: str) -> None:
    (line,) = decoded(f"Nov 20 12:00:00 {host} kernel: {XID}")
    assert (line.text, line.node, line.from_kernel) == (XID, host, True)


def test_a_parser_that_keeps_the_tag_as_a_process_takes_the_drivers_name_off_no_line() -> None:
    (line,) = decoded(record(message=XID.removeprefix("NVRM: "), process__name="NVRM"))
    assert line.text == XID
