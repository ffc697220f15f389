"""Whose message a line is: what may stand before the driver's tag, and where another program only quotes it."""

import time

import pytest

from pipeline.match.message import Driver, Message, read_message
from pipeline.model.fault import Fault, UnknownDriverLine
from pipeline.model.line import LogLine
from tests.unit.match.conftest import Read

XID = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."

HEADERS = {
    "nothing": "",
    "a printk time": "[ 1843.308145] ",
    "a printk time and a thread": "[ 1843.308145][  T123] ",
    "dmesg -T": "[Wed Jul 31 23:14:18 2024] ",
    "dmesg -T in another language": "[四 7月 4 11:09:40 2024] ",
    "dmesg -T in colours": "\x1b[32m[Wed Jul 31 23:14:18 2024] \x1b[0m\x1b[33m",
    "dmesg -x": "kern  :err   : 2025-01-25T10:34:54,859532+00:00 ",
    "a cut-off time": "[...] ",
    "a priority": "<3>",
    "a priority and a printk time": "<3>[6085126.134786] ",
    "kmsg": "4,9921,9370042162,-;",
    "syslog": "Dec  2 11:38:47 worker4 kernel: [  219.470994] ",
    "syslog without a host": "Mar 29 15:38:59 kernel: ",
    "syslog without host and tag": "Sep 18 20:07:01 ",
    "syslog in Polish": "kwi 15 07:56:59 testowy kernel: ",
    "syslog with a facility": "Dec  2 11:38:47 worker4 kern.err kernel: ",
    "syslog by RFC 5424": "<3>1 2024-07-04T11:09:40.802301+08:00 gpu-node-11 kernel - - - [ 3023.054882] ",
    "ISO time": "2024-07-04T11:09:40.802301+08:00 gpu-node-11 kernel: ",
    "a kernel tag with an id": "Dec  2 11:38:47 host kernel[0]: ",
    "a container's log": "2024-07-04T03:09:40.802301123Z stdout F ",
    "the journal's field": "MESSAGE=",
    "a device of drm": "nvidia 0000:3b:00.0: [drm] ",
    "another driver of NVIDIA": "[   12.5] nvidia-modeset: ",
    "a level": "[   12.5] ERROR: ",
    "a host, as pdsh prints it": "gpu01: ",
    "a host and a printk time": "gpu01: [ 1843.308145] ",
    "a file, as grep prints it": "/var/log/kern.log:Dec  2 11:38:47 worker4 kernel: ",
    "a service, as compose prints it": "fluentd_1  | ",
    "half a JSON document": '{"hostname":"gpu-17","msg":"',
    "half a JSON document, escaped": '{"log":"{\\"msg\\":\\"',
    "logfmt": 'time=2024-07-04T03:09:40Z level=error msg="',
    "a relay of dmesg with a process id": "Dec  2 11:38:47 host relay[12]: [ 1843.308145] ",
    "a second line of ESXi": "2024-07-04T03:09:40Z cpu1:2098)",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_message_may_stand_behind(header: str, read: Read) -> None:
    fault = read(header + XID)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.pci, fault.message) == (79, "0000:3b:00", "GPU has fallen off the bus.")


QUOTED = {
    "audit": 'audit: type=1326 audit(1701517127.123:45): pid=1 comm="',
    "audit, unquoted": "audit: type=1400 audit(1701517127.123:45): apparmor=DENIED name=",
    "a field of a command": 'type=SYSCALL pid=12 comm="',
    "a field of a name": "oom: pid=12 name=",
    "a field of a name in JSON": '{"pid": 12, "comm": "',
    "the OOM killer": "Out of memory: Killed process 1234 (",
    "the OOM killer's summary": "oom-kill:constraint=CONSTRAINT_NONE,task_memcg=/kubepods/pod1,task=",
    "a control group": "cgroup: fork rejected by pids controller in /user.slice/",
    "a segmentation fault": "python3[1234]: segfault at 0 ip 00007f in ",
    "a process that was launched": "process '",
    "a program with an id": "Jul  4 11:09:40 host myapp[123]: ",
    "a service manager": "[   12.5] systemd[1]: Started ",
    "a program behind a printk time": "[  219.4] myapp: ",
    "a program behind a syslog time": "Jul  4 11:09:40 host myapp: ",
    "a program behind an ISO time": "2024-07-04T11:09:40+08:00 host myapp: ",
    "a sentence": 'user said "',
    "the name of a USB device": "[   12.5] usb 1-1: Product: ",
    "the name of an input device": "input: ",
    "the name of a keyboard": "hid-generic 0003:046D:C31C.0001: input,hidraw0: USB HID v1.10 Keyboard [",
}


@pytest.mark.parametrize("header", QUOTED.values(), ids=QUOTED)
def test_a_quotation_is_no_fault_but_is_counted(header: str, read: Read) -> None:
    assert isinstance(read(header + XID), UnknownDriverLine)


def test_a_kernel_time_that_decoding_took_off_counts() -> None:
    """`[  219.4] myapp: NVRM: ...` is no driver's, whether the time still stands there or not."""
    text = f"myapp: {XID}"
    assert read_message(LogLine(text, "1", kernel_time="219.4"), text).driver is None
    assert read_message(LogLine(text, "1"), text).driver is Driver.GPU


def test_the_first_tag_counts() -> None:
    text = "NVRM: Xid (PCI:0000:3b:00): 13, pid=1, name=nvidia-nvswitch0: SXid, NVRM: x"
    message = read_message(LogLine(text, "1"), text)
    assert (message.driver, message.device, message.body) == (Driver.GPU, None, text.removeprefix("NVRM: "))


LINE_ENDS = (
    "#015",
    "#012",
    "#015#012",
    "\\r",
    "\\n",
    "\\r\\n",
    "\\x0d",
    "\\x0A",
    "^M",
    "^M^J",
    " #015 ",
    "\\r  ",
    "#000",
)


@pytest.mark.parametrize("end", LINE_ENDS)
def test_an_escaped_line_end_is_not_the_messages(end: str, read: Read) -> None:
    xid, sxid = read(XID + end), read(f"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Fatal, Link 32{end}")

    assert isinstance(xid, Fault)
    assert xid.message == "GPU has fallen off the bus."
    assert isinstance(sxid, Fault)
    assert sxid.message == "Fatal, Link 32"


def test_any_number_of_escaped_line_ends_costs_little() -> None:
    text = XID + "#015 " * 200_000
    before = time.process_time()

    assert read_message(LogLine(text, "1"), text).text == XID
    assert time.process_time() - before < 5


def test_a_switch_names_itself() -> None:
    text = "NVIDIA-NVSWITCH12 : open"
    message = read_message(LogLine(text, "1"), text)
    assert (message.driver, message.device, message.body) == (Driver.NVSWITCH, "nvswitch12", "open")


@pytest.mark.parametrize("text", ["", " ", "usb 1-1: new device", "my-NVRM: x", "xnvrm: x", "NVRM"])
def test_a_line_of_no_driver(text: str) -> None:
    line = LogLine(text, "1")
    assert read_message(line, text) == Message(line, text.strip(), text.strip().encode().lower(), text.strip())
