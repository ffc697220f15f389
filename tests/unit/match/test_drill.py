"""The mark of a drill: read where it stands, never taken off a real fault's words, and never lost on the way."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.match.report import report
from pipeline.model.fault import Drill, DriverLoaded, Fault, UnknownDriverLine
from pipeline.settings import shipped
from tests.fakes.faults import line

PATTERNS = load_patterns([shipped() / "patterns"])
XID = "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."
SXID = "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 30 LTSSM Fault Up"
FALL = "NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus."


def read(text: str, **given: Any) -> Any:
    return Matcher(PATTERNS).match(line(text, **given))


@pytest.mark.parametrize("message", [XID, SXID, FALL])
@pytest.mark.parametrize("before", ["", "kernel: ", "[   12.345678] ", "gpu-1 kernel: [12.3] ", "<3>"])
@pytest.mark.parametrize("drill", list(Drill))
def test_a_marked_message_is_the_same_fault_and_a_drill(drill: Drill, before: str, message: str) -> None:
    real, marked = read(before + message), read(f"{before if before != '<3>' else ''}{drill.mark} {message}")
    assert isinstance(real, Fault)
    assert isinstance(marked, Fault)
    assert (real.drill, marked.drill) == (None, drill)
    assert (marked.kind, marked.code, marked.pci, marked.message) == (real.kind, real.code, real.pci, real.message)


@pytest.mark.parametrize("drill", list(Drill))
def test_a_mark_behind_the_kernels_time_is_no_other_programs_tag(drill: Drill) -> None:
    found = read(f"{drill.mark} {XID}", kernel_time="12.345678")
    assert isinstance(found, Fault)
    assert found.drill is drill


@pytest.mark.parametrize(
    "name",
    [
        "gpu-rescue-drill:",
        "gpu-rescue-drill: NVRM: Xid (PCI:0000:3b:00): 13, x",
        "a, gpu-rescue-drill-for-real: NVRM: Xid (PCI:0000:3b:00): 79, x",
        "\\x0agpu-rescue-drill: NVRM:",
    ],
)
@pytest.mark.parametrize("behind", ["", ", Ch 00000010"])
def test_no_name_of_a_process_makes_a_fault_a_drill(name: str, behind: str) -> None:
    found = read(f"NVRM: Xid (PCI:0000:3b:00): 79, pid=7, name={name}{behind}")
    assert isinstance(found, Fault)
    assert (found.code, found.drill) == (79, None)


def _hit_once(mark: str) -> Iterator[str]:
    """The mark, hit in one place in every way."""
    for at in range(len(mark)):
        yield mark[:at] + mark[at + 1 :]
        yield from (mark[:at] + damage + mark[at + 1 :] for damage in "\ufffd x-:")
        yield from (mark[:at] + damage + mark[at:] for damage in "\ufffd x-:")
        if at:
            yield mark[: at - 1] + mark[at] + mark[at - 1] + mark[at + 1 :]
    yield mark.upper()
    yield mark.title()


def _broken(mark: str) -> Iterator[str]:
    """The mark without its head, in the wrong place, twice, or with something between it and the message."""
    yield from (mark[at:] for at in range(1, len(mark) - 1))
    yield from (f"{mark} {between}" for between in ("[ 12.3]", "kernel:", "gpu-1", "-", "nvidia 0000:3b:00.0:"))
    yield from (f"{mark} {drill.mark}" for drill in Drill)
    yield from (mark.removesuffix(":"), f"{mark.removesuffix(':')} kernel:", f"x{mark}", f"kernel:{mark}")


@pytest.mark.parametrize("kernel_time", [None, "12.3"])
@pytest.mark.parametrize("drill", list(Drill))
def test_a_damaged_mark_never_lets_a_drill_pass_for_a_fault(drill: Drill, kernel_time: str | None) -> None:
    tried = {text for text in (*_hit_once(drill.mark), *_broken(drill.mark)) if text.strip() != drill.mark}
    assert len(tried) > 150
    for text in sorted(tried):
        found = read(f"{text} {XID}", kernel_time=kernel_time)
        # Whole again by chance, it is a drill; and no damage makes a dry one real.
        assert not isinstance(found, Fault) or found.drill in (Drill.DRY, drill), text


@pytest.mark.parametrize("drill", list(Drill))
def test_a_damaged_mark_is_told_as_a_line_that_nobody_knows(drill: Drill) -> None:
    assert isinstance(read(f"{drill.mark.upper()} {XID}"), UnknownDriverLine)


@pytest.mark.parametrize(
    "before",
    [
        "gpu-rescue-dev-01 kernel: ",
        "gpu-rescue-dev-01: ",
        "gpu-rescue-dallas-01: ",
        "rescue-01: ",
        "kernel: ",
        "[12.3] nvidia 0000:3b:00.0: [drm] ",
        "gpu-1 kernel: ",
    ],
)
def test_no_other_word_before_the_tag_passes_for_a_mark(before: str) -> None:
    found = read(before + XID)
    assert isinstance(found, Fault)
    assert found.drill is None


@pytest.mark.parametrize(
    "told",
    [
        "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.104.05",
        "NVRM: GPU at PCI:0000:3b:00: GPU-12345678-1234-1234-1234-123456789012",
        "NVRM: GPU Board Serial Number: 1650423013443",
    ],
)
def test_nothing_is_learned_from_a_drill(told: str) -> None:
    assert read(told) is not None
    assert read(f"gpu-rescue-drill: {told}") is None


def test_a_drill_is_no_half_of_a_real_fall_off_the_bus() -> None:
    matcher = Matcher(PATTERNS)
    first, third = "NVRM: The NVIDIA GPU 0000:b3:00.0", "NVRM: fallen off the bus and is not responding to commands."
    texts = (first, f"gpu-rescue-drill: {first.replace('b3', '3b')}", f"gpu-rescue-drill: {third}", third)
    found = [fault for text in texts if isinstance(fault := matcher.match(line(text)), Fault)]
    assert [(fault.pci, fault.drill) for fault in found] == [("0000:3b:00", Drill.DRY), ("0000:b3:00", None)]


OWN = """
rules:
- name: edac
  where: {contains: [EDAC]}
  regex: '^EDAC MC(?P<code>\\d+): uncorrected'
  kind: memory
- name: any-xid
  where: {contains: [Xid]}
  regex: 'NVRM: Xid .*: (?P<code>\\d+),'
  kind: own
"""


@pytest.mark.parametrize(
    ("text", "drill"),
    [
        pytest.param("gpu-rescue-drill: EDAC MC0: uncorrected", Drill.DRY, id="a drill"),
        pytest.param("gpu-rescue-drill-for-real: EDAC MC0: uncorrected", Drill.REAL, id="a drill in earnest"),
        pytest.param("EDAC MC0: uncorrected", None, id="a fault"),
        pytest.param(f"gpu-rescue-drill: {XID}", Drill.DRY, id="a driver's line that a rule reads as any text"),
    ],
)
def test_a_rule_of_ones_own_reads_a_drill_as_it_reads_the_fault(text: str, drill: Drill | None, tmp_path: Any) -> None:
    found = _by_own_rules(text, tmp_path)
    assert isinstance(found, Fault)
    assert (found.kind in ("memory", "own"), found.drill) == (True, drill)


@pytest.mark.parametrize(
    "mark",
    ["GPU-RESCUE-DRILL:", "gpu-rescue-drill", "gpu-rescue-drlil:", "rescue-drill:", "gpu-rescue-drill: rescue-drill:"],
)
def test_a_rule_of_ones_own_takes_no_damaged_mark_for_a_fault(mark: str, tmp_path: Any) -> None:
    assert not isinstance(_by_own_rules(f"{mark} {XID}", tmp_path), Fault)
    found = _by_own_rules(f"{mark} EDAC MC0: uncorrected", tmp_path)
    assert not isinstance(found, Fault)


def _by_own_rules(text: str, folder: Any) -> Any:
    path = folder / "own.yaml"
    path.write_text(OWN)
    return Matcher(load_patterns([path])).match(line(text))


@pytest.mark.parametrize("drill", list(Drill))
def test_a_drill_is_reported_as_one_and_nothing_else_is(drill: Drill) -> None:
    assert report(read(f"{drill.mark} {XID}"), 1)["drill"] == drill.value
    assert "drill" not in report(read(XID), 1)
    assert isinstance(read("NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.104.05"), DriverLoaded)
