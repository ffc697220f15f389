"""A GPU that has fallen off the bus without an Xid, in one line or in three that come as three records."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.match.bus import Falls
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import PatternSet
from pipeline.model.fault import Fault
from pipeline.model.line import LogLine
from tests.unit.match.conftest import Read

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = "NVRM: (PCI ID: 10de:26b5) installed in this system has"
THIRD = "NVRM: fallen off the bus and is not responding to commands."
MESSAGE = "GPU has fallen off the bus."


def first(pci: str) -> str:
    return f"NVRM: The NVIDIA GPU {pci}.0"


def line(text: str, node: str | None = "a", seconds: float | None = 0) -> LogLine:
    return LogLine(text, "1", node, None if seconds is None else START + timedelta(seconds=seconds))


def fallen(matcher: Matcher, *lines: LogLine) -> list[tuple[str | None, str | None]]:
    """Node and address of each fault that the lines give."""
    found = [matcher.match(each) for each in lines]
    faults = [fault for fault in found if isinstance(fault, Fault)]
    assert [each for each in found if each is not None and not isinstance(each, Fault)] == []
    assert {(fault.kind, fault.code, fault.message, fault.inferred) for fault in faults} <= {("xid", 79, MESSAGE, True)}
    return [(fault.line.node, fault.pci) for fault in faults]


ONE_LINE = {
    "the companion of a 79": "NVRM: GPU 0000:91:00.0: GPU has fallen off the bus.",
    "in another case": "nvrm: gpu PCI:0000:91:00: gpu HAS FALLEN OFF THE BUS.",
    "the old form": "NVRM: GPU at 0000:91:00.0 has fallen off the bus.",
    "three lines joined by spaces": f"{first('0000:91:00')} {SECOND} {THIRD}",
    "three lines joined by rsyslog": f"{first('0000:91:00')}#012{SECOND}#012{THIRD}",
    "three lines joined by /dev/kmsg": f"{first('0000:91:00')}\\x0a {SECOND}\\x0a {THIRD}",
    "three lines in one text": f"{first('0000:91:00')}\n {SECOND}\n {THIRD}",
    "three lines broken elsewhere": (
        f"{first('0000:91:00')} (PCI ID: 10de:1db6) NVRM: installed in this system has {THIRD}"
    ),
}


@pytest.mark.parametrize("text", ONE_LINE.values(), ids=ONE_LINE)
def test_a_fall_in_one_line(text: str, read: Read) -> None:
    fault = read(text)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.code, fault.pci, fault.inferred) == ("xid", 79, "0000:91:00", True)
    assert fault.message == MESSAGE


def test_three_records_are_one_fault(matcher: Matcher) -> None:
    assert fallen(matcher, line(first("0000:b3:00")), line(SECOND), line(THIRD)) == [("a", "0000:b3:00")]


def test_two_gpus_of_a_node_fall_at_once(matcher: Matcher) -> None:
    one, two = line(first("0000:b3:00")), line(first("0000:b4:00"))
    found = fallen(matcher, one, two, line(SECOND), line(SECOND), line(THIRD), line(THIRD))
    assert found == [("a", "0000:b3:00"), ("a", "0000:b4:00")]


def test_lines_of_other_nodes_in_between(matcher: Matcher) -> None:
    lines = [line(text, node) for text in (first("0000:b3:00"), SECOND, THIRD) for node in ("a", "b", None)]
    assert fallen(matcher, *lines) == [("a", "0000:b3:00"), ("b", "0000:b3:00"), (None, "0000:b3:00")]


def test_a_third_line_alone_is_a_fault_without_an_address(matcher: Matcher) -> None:
    assert fallen(matcher, line(THIRD)) == [("a", None)]


def test_a_first_line_is_forgotten_after_a_while(matcher: Matcher) -> None:
    lines = line(first("0000:b3:00")), line(SECOND, seconds=1), line(THIRD, seconds=60)
    assert fallen(matcher, *lines) == [("a", None)]


def test_a_first_line_is_not_forgotten_where_lines_have_no_time(matcher: Matcher) -> None:
    lines = line(first("0000:b3:00"), seconds=None), line(SECOND, seconds=None), line(THIRD, seconds=None)
    assert fallen(matcher, *lines) == [("a", "0000:b3:00")]


def test_an_unsupported_gpu_has_not_fallen(matcher: Matcher) -> None:
    """The driver begins another message with the same words; its GPU must not be named by the next fall."""
    unsupported = line("NVRM: installed in this system is not supported by the")
    lines = line(first("0000:01:00") + " (PCI ID: 10de:1b80)"), unsupported, line(first("0000:b3:00")), line(THIRD)
    assert fallen(matcher, *lines) == [("a", "0000:b3:00")]


def test_what_is_remembered_outlives_a_reload(matcher: Matcher, shipped: PatternSet) -> None:
    assert fallen(matcher, line(first("0000:b3:00"))) == []
    matcher.replace(shipped)
    assert fallen(matcher, line(THIRD)) == [("a", "0000:b3:00")]


def test_what_is_remembered_is_bounded() -> None:
    falls = Falls(max_nodes=2, max_gpus=2)
    for node in "abc":
        for pci in ("1", "2", "3"):
            falls.named(line("", node), pci)
    assert [falls.taken(line("", node)) for node in "aaabbbccc"] == [None, None, None, "2", "3", None, "2", "3", None]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"NVRM: Xid (PCI:0000:3b:00): 13, pid=1, name=x, {THIRD}", id="three-line form"),
        pytest.param(
            "NVRM: Xid (PCI:0000:3b:00): 13, pid=1, name=NVRM: GPU at 0000:01:00.0 has fallen off the bus., x", id="old"
        ),
    ],
)
def test_a_name_makes_nothing_fall(text: str, read: Read) -> None:
    fault = read(text)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.pci, fault.inferred) == (13, "0000:3b:00", False)
