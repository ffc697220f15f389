"""Where the driver's tag counts: behind what the kernel puts before it, not in a sentence that holds users' words."""

import json
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import PatternSet
from pipeline.model.fault import Fault, Sighting, UnknownDriverLine
from tests.unit.match.conftest import RECEIVED

XID = "NVRM: Xid (PCI:0000:3b:00): 79, x"
Wrap = Callable[[str], str]

BY: Mapping[str, Wrap] = {
    "rsyslog's record of the kernel": lambda text: json.dumps(
        {"timestamp": "2026-11-20T08:00:05Z", "hostname": "f-1", "syslogfacility-text": "kern", "msg": text}
    ),
    "the journal": lambda text: json.dumps({"_TRANSPORT": "kernel", "_HOSTNAME": "f-1", "MESSAGE": text}),
    "in_kmsg": lambda text: json.dumps({"sec": 1, "usec": 2, "hostname": "f-1", "msg": text}),
    "/dev/kmsg": lambda text: f"3,1,2,-;{text}",
    "syslog": lambda text: f"Nov 20 08:00:05 f-1 kernel: {text}",
    "syslog with the kernel's time": lambda text: f"Nov 20 08:00:05 f-1 kernel: [ 12.5] {text}",
    "dmesg": lambda text: f"[ 12.5] {text}",
    "dmesg -T": lambda text: f"[Fri Nov 20 08:00:05 2026] {text}",
    "RFC 5424": lambda text: f"<3>1 2026-11-20T08:00:05Z f-1 kernel - - - {text}",
    "a priority": lambda text: f"<3>{text}",
}
NOBODY: Mapping[str, Wrap] = {
    "bare text": lambda text: text,
    "Vector's record": lambda text: json.dumps({"host": "f-1", "message": text}),
}

USERS = {
    "an executable": f"process '/tmp/a {XID}' started with executable stack",
    "an executable with a bracket": f"process '/tmp/a] {XID}' started with executable stack",
    "an executable with a time": f"process '/tmp/a [ 12.5] {XID}' started with executable stack",
    "a control group": f"oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/kubepods/a {XID},task=python",
    "a control group that ends as a tag": f"oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/kubepods/a: {XID},task=p",
    "a control group that ends as a time": f"oom-kill:constraint=C,task_memcg=/kubepods/a [ 12.5] {XID},task=p",
    "a control group of many words": f"oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/kubepods/a b c d {XID},task=p",
    "Memory cgroup stats": f"Memory cgroup stats for /kubepods/a {XID}:",
    "a sentence": f"foo: bar {XID}",
    "a sentence behind a device": f"usb 1-1: Product: foo {XID}",
    "a file system": f"EXT4-fs (/tmp/a {XID}): mounted",
    "a mount": f"EXT4-fs error (device sda1): comm /tmp/a {XID}",
    "a message's key in a file's name": f"process '/tmp/msg=\"{XID}' started with executable stack",
    "a message's key behind a space": f"process '/tmp/a msg=\"{XID}' started with executable stack",
    "a record in a file's name": f'process \'/tmp/{{"a":1,"msg":"{XID}\' started with executable stack',
    "a driver in a file's name": f"process '/tmp/nvidia 0000:3b:00.0: {XID}' started with executable stack",
    "systemd": f"systemd[1]: Started {XID}.",
    "audit": f'audit: type=1701 audit(1795500620.1:77): comm="a" exe="/tmp/a {XID}"',
}


def matched(matcher: Matcher, payload: str) -> Fault | Sighting | None:
    assert matcher.wanted(payload.encode())
    (line,) = Decoder(DecodeSettings()).decode(payload.encode(), "p", received=RECEIVED).lines
    return matcher.match(line)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("text", USERS.values(), ids=USERS)
def test_users_words_in_a_line_of_the_kernels_are_nobodys_fault(text: str, by: str, matcher: Matcher) -> None:
    assert matched(matcher, BY[by](text)) is None


@pytest.mark.parametrize("by", NOBODY)
@pytest.mark.parametrize("text", USERS.values(), ids=USERS)
def test_users_words_in_a_line_of_nobody_knows_whom_are_counted_and_no_fault(
    text: str, by: str, matcher: Matcher
) -> None:
    assert isinstance(matched(matcher, NOBODY[by](text)), UnknownDriverLine)


OWN = {
    "nothing": "",
    "spaces": "   ",
    "a priority": "<3>",
    "a printk time": "[   12.504882] ",
    "a printk time and a thread": "[   12.504882][  T123] ",
    "a caller": "[T123] ",
    "a processor": "[    C1] ",
    "a priority, a time, a caller": "<3>[   12.5][ C12] ",
    "dmesg -T": "[Fri Nov 20 08:00:05 2026] ",
    "a time that was cut": "[...] ",
    "the kernel's tag again": "kernel: ",
    "the kernel's tag and its time": "kernel: [   12.5] ",
    "a device": "nvidia 0000:3b:00.0: ",
    "a device and drm": "nvidia 0000:3b:00.0: [drm] ",
    "drm": "[drm] ",
    "drm, with its function": "[drm:nv_drm_load [nvidia_drm]] *ERROR* ",
    "drm's device": "[drm] [nvidia-drm] [GPU ID 0x00003b00] ",
    "a driver of NVIDIA's": "nvidia-modeset: ",
    "a level": "ERROR: ",
    "colours": "\x1b[33m",
}


@pytest.mark.parametrize("by", [*BY, *NOBODY])
@pytest.mark.parametrize("before", OWN.values(), ids=OWN)
def test_behind_what_the_kernel_puts_there_the_tag_counts(before: str, by: str, matcher: Matcher) -> None:
    found = matched(matcher, {**BY, **NOBODY}[by](before + XID))
    assert isinstance(found, Fault)
    assert (found.code, found.pci, found.message) == (79, "0000:3b:00", "x")


UNKNOWN = {
    "a host": "f-1 ",
    "a host and a colon": "f-1: ",
    "a time of its own": "2026/11/20 08:00:05 f-1 ",
    "a facility with a slash": "2026/11/20 08:00:05 f-1 kern/err kernel: ",
    "words in brackets": "(unknown prefix) ",
    "columns": "f-1 | kern | err | ",
    "a file, as grep prints it": "/var/log/kern.log:",
    "a file of which the header is known": "/var/log/kern.log:Nov 20 08:00:05 f-1 kernel: ",
    "a file with a host": "logs/kern.log-20261120:f-1: [ 12.5] ",
    "half a record": '{"hostname":"f-1","msg":"',
    "half a record of one field": '{"msg":"',
    "half a record that holds syslog": '{"hostname":"f-1","msg":"Nov 20 08:00:05 f-1 kernel: [ 12.5] ',
    "half an array": '["',
    "half a record, escaped": '{"log":"{\\"msg\\":\\"',
    "logfmt": 'time=2026-11-20T08:00:05Z level=error msg="',
    "logfmt with a quoted value": 'time="2026-11-20 08:00:05" level=error message="',
}


@pytest.mark.parametrize("before", UNKNOWN.values(), ids=UNKNOWN)
def test_behind_a_header_that_nobody_knows_the_tag_counts_but_the_kernel_did_not_say_so(
    before: str, matcher: Matcher
) -> None:
    found = matched(matcher, before + XID)
    assert isinstance(found, Fault)
    assert (found.code, found.line.from_kernel) == (79, None)


def test_behind_a_stamp_what_a_shipper_nobody_knows_puts_there_is_counted(matcher: Matcher) -> None:
    """Neither a fault, for it may be anybody's words, nor passed over in silence, for it may be the driver's."""
    assert isinstance(matched(matcher, f"2026-11-20T08:00:05Z (unknown) {XID}"), UnknownDriverLine)


@pytest.mark.parametrize("before", ["a" * 100_000, "[T1]" * 25_000 + "a ", "nvidia: " * 12_500 + "a ", " " * 100_000])
@pytest.mark.parametrize("by", ["dmesg", "bare text"])
def test_any_header_is_read_in_little_time(before: str, by: str, matcher: Matcher) -> None:
    found = matched(matcher, {**BY, **NOBODY}[by](f"{before} {XID}"))
    assert found is None or isinstance(found, Fault | UnknownDriverLine)


BROKEN = f"process '/tmp/a{{}}{XID}' started with executable stack"
BREAKS = {
    "the journal": json.dumps({"_TRANSPORT": "kernel", "MESSAGE": BROKEN.format("\n")}),
    "in_kmsg": json.dumps({"sec": 1, "usec": 2, "msg": BROKEN.format("\n")}),
    "in_kmsg, escaped": json.dumps({"sec": 1, "usec": 2, "msg": BROKEN.format("\\x0a")}),
    "/dev/kmsg": "3,1,2,-;" + BROKEN.format("\\x0a"),
    "rsyslog's record, escaped": json.dumps({"programname": "kernel", "msg": BROKEN.format("#012")}),
    "rsyslog's record, not escaped": json.dumps({"programname": "kernel", "msg": BROKEN.format("\n")}),
    "syslog, escaped": "Nov 20 08:00:05 f-1 kernel: " + BROKEN.format("#012"),
    "syslog, not escaped": "Nov 20 08:00:05 f-1 kernel: " + BROKEN.format("\n"),
    "dmesg in one message": "[ 12.5] " + BROKEN.format("\n"),
    "a name that the driver prints": f"Nov 20 08:00:05 f-1 kernel: NVRM: Xid (0000:3b:00): 31, pid=7, name=a\n{XID}",
}


@pytest.mark.parametrize("payload", BREAKS.values(), ids=BREAKS)
def test_a_line_break_in_users_words_begins_no_message_of_the_kernels(payload: str, matcher: Matcher) -> None:
    lines = Decoder(DecodeSettings()).decode(payload.encode(), "p", received=RECEIVED).lines
    found = [matcher.match(line) for line in lines]
    assert [one.line.from_kernel for one in found if isinstance(one, Fault) and one.code == 79] in ([], [False])


FRAGMENTS = (
    *(" ", "/", "a", "]", ")", "[ 12.5] ", "[T1]", "<3>", "kernel: ", "f-1 kernel: ", "nvidia: ", "ERROR: ", "[drm] "),
    *("'", '"', "msg=", "{", "}", ",", ":", ": ", "|", "=", "#012", "\\x0a", "\\n", "\t", "Nov 20 08:00:05 "),
)
WORDS = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join)


@given(words=WORDS, by=st.sampled_from(sorted(BY)), frame=st.sampled_from(sorted(USERS)))
@settings(max_examples=1000, deadline=None)
def test_no_words_of_users_make_a_fault_that_is_the_kernels(
    words: str, by: str, frame: str, shipped: PatternSet
) -> None:
    payload = BY[by](USERS[frame].replace(XID, words + XID)).encode()
    matcher = Matcher(shipped)
    for line in Decoder(DecodeSettings()).decode(payload, "p", received=RECEIVED).lines:
        found = matcher.match(line)
        assert not isinstance(found, Fault) or found.line.from_kernel is False, line
