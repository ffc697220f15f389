"""What stands before the text of a line: each header is taken off, and what it says is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from pipeline.decode.envelopes import Decoded

TEXT = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
SWITCH = "nvidia-nvswitch0: SXid (PCI:0000:06:00.0): 28002, Non-fatal, Link 05 Therm Warn Deactivated"
AT = datetime(2024, 7, 4, 3, 9, 40, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    header: str
    node: str | None = None
    time: datetime | None = None
    kernel_time: str | None = None
    from_kernel: bool | None = None


ROWS = [
    Row(""),
    Row("[ 3023.054882] ", kernel_time="3023.054882"),
    Row("[123] ", kernel_time="123"),
    Row("[    0.000000][    T0] ", kernel_time="0.000000"),
    Row("[ 3023.054882] [ C12] ", kernel_time="3023.054882"),
    Row("[ 3023.054882 <    0.000123>] ", kernel_time="3023.054882"),
    Row("[  +0.000004] ", kernel_time="+0.000004"),
    Row("[Thu Jul  4 11:09:40 2024] ", kernel_time="Thu Jul  4 11:09:40 2024"),
    Row("[四 7月 4 11:09:40 2024] ", kernel_time="四 7月 4 11:09:40 2024"),
    Row("[Do Jul  4 11:09:40 2024] ", kernel_time="Do Jul  4 11:09:40 2024"),
    Row("[Jul 4 11:09] ", kernel_time="Jul 4 11:09"),
    Row("<3>", from_kernel=True),
    Row("<3>[ 3023.054882] ", kernel_time="3023.054882", from_kernel=True),
    Row("<13>", from_kernel=False),
    Row("<86>"),
    Row("95 <3>", from_kernel=True),
    Row("95 <3>Jul  4 03:09:40 gpu-1 kernel: ", "gpu-1", AT, from_kernel=True),
    Row("3,4472,3023054890,-;", kernel_time="3023054890", from_kernel=True),
    Row("3,4472,3023054890,-,caller=T1234;", kernel_time="3023054890", from_kernel=True),
    Row("12,4472,3023054890,-;", kernel_time="3023054890", from_kernel=False),
    Row("kernel: ", from_kernel=True),
    Row("kern: ", from_kernel=True),
    Row("kernel[0]: ", from_kernel=True),
    Row("kernel:[ 3023.054882] ", kernel_time="3023.054882", from_kernel=True),
    Row("kernel: [ 3023.054882] ", kernel_time="3023.054882", from_kernel=True),
    Row("[ 3023.054882] gpu-1 kernel: ", node="gpu-1", kernel_time="3023.054882", from_kernel=True),
    Row("Jul  4 03:09:40 gpu-1 kernel: ", "gpu-1", AT, from_kernel=True),
    Row("Jul 04 03:09:40.802301 gpu-1 kernel: ", "gpu-1", AT.replace(microsecond=802301), from_kernel=True),
    Row("Jul  4 2024 03:09:40 gpu-1 kernel: ", "gpu-1", AT, from_kernel=True),
    Row("Jul  4 03:09:40 gpu-1.example.com kernel: [ 3.05] ", "gpu-1.example.com", AT, "3.05", from_kernel=True),
    Row("Jul  4 03:09:40 10.0.2.193 kernel: ", "10.0.2.193", AT, from_kernel=True),
    Row("Jul  4 03:09:40 fe80::1 kernel: ", "fe80::1", AT, from_kernel=True),
    Row("Jul  4 03:09:40 nvidia-gpu1 kernel: ", "nvidia-gpu1", AT, from_kernel=True),
    Row("Jul  4 03:09:40 gpu-1 kern.err kernel: [ 3.05] ", "gpu-1", AT, "3.05", from_kernel=True),
    Row("Jul  4 03:09:40 kernel: ", time=AT, from_kernel=True),
    Row("Jul  4 03:09:40 ", time=AT),
    Row("Jul  4 03:09:40 gpu-1 ", "gpu-1", AT),
    Row("7月  4 03:09:40 gpu-1 kernel: ", "gpu-1", AT, from_kernel=True),
    Row("juil. 04 03:09:40 gpu-1 kernel: ", "gpu-1", AT, from_kernel=True),
    Row("kwi 15 07:56:59 gpu-1 kernel: ", "gpu-1", datetime(2024, 4, 15, 7, 56, 59, tzinfo=UTC), from_kernel=True),
    Row("lip 15 07:56:59 gpu-1 kernel: ", "gpu-1", from_kernel=True),
    Row("Jul  4 03:09:40 gpu-1 myapp: ", "gpu-1", AT, from_kernel=False),
    Row("Jul  4 03:09:40 gpu-1 myapp[71]: ", "gpu-1", AT, from_kernel=False),
    Row("Jul  4 03:09:40 myapp: ", time=AT, from_kernel=False),
    Row("Jul  4 03:09:40 gpu-1 nvidia-persistenced: ", "gpu-1", AT, from_kernel=False),
    Row("Jul  4 03:09:40 gpu-1 sudo: ", "gpu-1", AT, from_kernel=False),
    Row("<86>Jul  4 03:09:40 gpu-1 sshd[77]: ", "gpu-1", AT, from_kernel=False),
    Row("<3>Jul  4 03:09:40 gpu-1 myapp[77]: ", "gpu-1", AT, from_kernel=False),
    Row("Jul  4 03:09:40 gpu-1 auth.info sshd[77]: ", "gpu-1", AT, from_kernel=False),
    Row("<13>Jul  4 03:09:40 gpu-1 dmesg: [ 3.05] ", "gpu-1", AT, "3.05", from_kernel=False),
    Row("<3>Jul  4 03:09:40 gpu-1 ", "gpu-1", AT, from_kernel=True),
    Row("<13>Jul  4 03:09:40 gpu-1 ", "gpu-1", AT, from_kernel=False),
    Row("<3>Jul  4 03:09:40 gpu-1 kernel: ", "gpu-1", AT, from_kernel=True),
    Row("<14>Jul  4 03:09:40 gpu-1 kernel: ", "gpu-1", AT, from_kernel=False),
    Row("2024-07-04T11:09:40+08:00 gpu-1 kernel: [ 3.05] ", "gpu-1", AT, "3.05", from_kernel=True),
    Row("2024-07-04T11:09:40+0800 gpu-1 kernel: ", "gpu-1", AT, from_kernel=True),
    Row("2024-07-04T03:09:40Z ", time=AT),
    Row("2024-07-04T03:09:40Z gpu-1 ERROR: ", "gpu-1", AT),
    Row("2024-07-04 03:09:40 gpu-1 kernel: ", "gpu-1", AT, from_kernel=True),
    Row("<3>1 2024-07-04T11:09:40+08:00 gpu-1 kernel - - - [ 3.05] ", "gpu-1", AT, "3.05", from_kernel=True),
    Row('<3>1 2024-07-04T03:09:40Z gpu-1 kernel - - [a@1 b="x\\]\\"]y" c=""][d] ', "gpu-1", AT, from_kernel=True),
    Row("<3>1 2024-07-04T03:09:40Z gpu-1 kernel - - - \ufeff", "gpu-1", AT, from_kernel=True),
    Row("<14>1 2024-07-04T03:09:40Z gpu-1 myapp 71 - - ", "gpu-1", AT, from_kernel=False),
    Row("<86>1 2024-07-04T03:09:40Z gpu-1 sshd 77 - - ", "gpu-1", AT, from_kernel=False),
    Row("<14>1 2024-07-04T03:09:40Z gpu-1 kernel - - - ", "gpu-1", AT, from_kernel=False),
    Row("<14>1 2024-07-04T03:09:40Z gpu-1 - - - - ", "gpu-1", AT, from_kernel=False),
    Row("<3>1 - - - - - - ", from_kernel=True),
    Row("142 <3>1 2024-07-04T03:09:40Z gpu-1 kernel - - - ", "gpu-1", AT, from_kernel=True),
    Row("kern  :err   : [ 3023.054882] ", kernel_time="3023.054882", from_kernel=True),
    Row("user  :notice: [ 3023.054882] ", kernel_time="3023.054882", from_kernel=False),
    Row("user  :err   : ", from_kernel=False),
    Row(
        "kern  :err   : 2025-01-25T10:34:54,859532+00:00 ",
        kernel_time="2025-01-25T10:34:54,859532+00:00",
        from_kernel=True,
    ),
    Row("2025-01-25T10:34:54,859532+00:00 ", kernel_time="2025-01-25T10:34:54,859532+00:00"),
    Row("2024-07-04T03:09:40Z stdout F ", time=AT, from_kernel=False),
    Row("2024-07-04T03:09:40Z stdout F <3>Jul  4 01:00:00 gpu-1 kernel: ", "gpu-1", AT, from_kernel=False),
]


@pytest.mark.parametrize("text", [TEXT, SWITCH], ids=["NVRM", "nvswitch"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.header))
def test_a_header_is_taken_off(row: Row, text: str, decode: Callable[..., Decoded]) -> None:
    (line,) = decode(row.header + text).lines

    assert line.text == text
    assert line.node == row.node
    assert line.time == row.time
    assert line.kernel_time == row.kernel_time
    assert line.from_kernel == row.from_kernel


@pytest.mark.parametrize(
    "text",
    [
        f"[...] {TEXT}",
        f"nvidia 0000:3b:00.0: [drm] {TEXT}",
        f"[0000:3b:00.0] {TEXT}",
        f"fooNVRM: {TEXT}",
        f"(unknown prefix) {TEXT}",
        f"<999>{TEXT}",
        f"myapp: {TEXT}",
    ],
)
def test_what_is_no_known_header_stays(text: str, decode: Callable[..., Decoded]) -> None:
    lines = decode(text).lines

    assert [(line.text, line.node, line.from_kernel) for line in lines] == [(text, None, None)]


def test_a_device_before_the_drivers_word_is_text_behind_a_header_too(decode: Callable[..., Decoded]) -> None:
    text = f"nvidia 0000:3b:00.0: [drm] {TEXT}"

    (line,) = decode(f"Jul  4 03:09:40 gpu-1 {text}").lines
    assert (line.text, line.node, line.from_kernel) == (text, "gpu-1", None)


def test_properties_of_kmsg_records_are_dropped(decode: Callable[..., Decoded]) -> None:
    record = f"3,4472,3023054890,-;{TEXT}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:3b:00.0\n"

    assert [line.text for line in decode(f"{record}3,4473,3023054899,-;{SWITCH}\n").lines] == [TEXT, SWITCH]


def test_a_line_that_only_has_a_header_is_no_line(decode: Callable[..., Decoded]) -> None:
    assert decode("Jul  4 03:09:40 gpu-1 kernel: ").lines == ()
