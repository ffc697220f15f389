"""What codes mean: the shipped catalogue, what the line changes, and what an operator changes."""

from pathlib import Path

import pytest

from pipeline.match.matcher import Matcher
from pipeline.match.patterns import PatternSet, load_patterns
from pipeline.model.catalogue import variants_of
from pipeline.model.fault import CodeMeaning, Fault, NvLink5, RecoveryAction, Severity
from pipeline.model.line import LogLine
from tests.unit.match.conftest import SHIPPED, Load

APPLICATION_FAULTS = (8, 11, 13, 25, 31, 32, 39, 43, 44, 45, 60, 63, 68, 69, 80, 94)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load everything that is shipped and, after it, one file of the operator's."""

    def loaded(text: str) -> PatternSet:
        file = tmp_path / "own.yaml"
        file.write_text(text)
        return load_patterns([SHIPPED, file])

    return loaded


def meaning(patterns: PatternSet, text: str) -> CodeMeaning:
    fault = Matcher(patterns).match(LogLine(text, "1"))
    assert isinstance(fault, Fault)
    return patterns.catalogue.meaning(fault)


def xid(rest: str) -> str:
    return f"NVRM: Xid (PCI:0000:3b:00): {rest}"


def sxid(rest: str) -> str:
    return f"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): {rest}"


def to(number: int) -> str:
    return xid(f"154, GPU recovery action changed from 0x0 (None) to 0x{number:x} (Some Word)")


MEANINGS = {
    "fallen off the bus": (xid("79, x"), "reboot", True, "RESTART_BM"),
    "a double-bit error": (xid("48, x"), "reset", True, "WORKFLOW_XID_48"),
    "an uncontained error": (xid("95, x"), "reset", True, "RESET_GPU"),
    "a contained error": (xid("94, x"), "application", False, "RESTART_APP"),
    "an old NVLink error": (xid("74, x"), "reset", True, "WORKFLOW_NVLINK_ERR"),
    "a row remapped": (xid("63, x"), "info", False, "IGNORE"),
    "a halt of the micro-controller": (xid("62, x"), "reset", True, "RESET_GPU"),
    "a code that is unused": (xid("9, x"), "support", False, "CONTACT_SUPPORT"),
    "a code without advice": (xid("173, x"), "unknown", False, None),
    "a verdict of none": (to(0), "info", False, "IGNORE"),
    "a verdict of reset": (to(1), "reset", True, "GPU Reset Required"),
    "a verdict of reboot": (to(2), "reboot", True, "Node Reboot Required"),
    "a verdict of drain": (to(3), "reset", True, "Drain P2P"),
    "a verdict of drain and reset": (to(4), "reset", True, "Drain and Reset"),
    "a verdict on a domain of nodes": (to(5), "support", False, "Recover IMEX Domain"),
    "a verdict of bus reset": (to(6), "reset", True, "Bus reset"),
    "a verdict of system reboot": (to(7), "reboot", True, "System reboot"),
    "a verdict that is not known yet": (to(8), "unknown", False, "XID_154"),
    "a verdict that was broken off": (xid("154, GPU recovery action cha"), "unknown", False, "XID_154"),
    "NVLink5, fatal": (xid("149, NETIR Fatal XC0 i0 Link -1"), "reset", True, "RESET_GPU"),
    "NVLink5, of an unknown sub-code, fatal": (xid("149, NEW Fatal XC0 i0 Link -1"), "reset", True, "RESET_GPU"),
    "NVLink5, non-fatal": (xid("149, NETIR_BER_EVENT Nonfatal XC0 i0 Link 01"), "info", False, "IGNORE"),
    "NVLink5, for its 154 to say": (
        xid("145, RLW_REMAP Nonfatal XC0 i0 Link 01"),
        "application",
        False,
        "XID_154_EVAL",
    ),
    "NVLink5, fatal in a sub-code that may be non-fatal": (
        xid("145, RLW_REMAP Fatal XC0 i0 Link 01"),
        "reset",
        True,
        "RESET_GPU",
    ),
    "NVLink5, unreadable": (xid("149, something"), "reset", True, "WORKFLOW_NVLINK5_ERR"),
    "an SXid always fatal": (sxid("22003, Fatal, Link 1 x"), "reboot", True, "Restart the host"),
    "an SXid fatal": (sxid("20034, Fatal, Link 1 x"), "reset", True, "Restart the guest VM"),
    "an SXid that hardware corrects": (sxid("19049, Correctable, Link 1 x"), "info", False, None),
    "an SXid that the driver calls fatal": (sxid("19049, Fatal, Link 1 x"), "reset", True, None),
    "an SXid without advice": (sxid("11002, Non-fatal, Link 1 x"), "unknown", False, None),
    "an SXid without advice that is fatal": (sxid("11002, Fatal, Link 1 x"), "reset", True, None),
}


@pytest.mark.parametrize(("text", "severity", "rescue", "action"), MEANINGS.values(), ids=MEANINGS)
def test_the_shipped_meaning(text: str, severity: str, rescue: bool, action: str | None, shipped: PatternSet) -> None:
    found = meaning(shipped, text)
    assert (found.severity, found.rescue, found.action, found.catalogued) == (severity, rescue, action, True)


@pytest.mark.parametrize("code", APPLICATION_FAULTS)
def test_no_application_fault_needs_a_rescue(code: int, shipped: PatternSet) -> None:
    assert not meaning(shipped, xid(f"{code}, x")).rescue


def test_names_and_meanings(shipped: PatternSet) -> None:
    found = meaning(shipped, xid("79, x"))
    assert (found.name, found.meaning) == ("ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS", "GPU has fallen off the bus")
    assert (found.kind, found.code) == ("xid", 79)


def test_an_unknown_code(shipped: PatternSet) -> None:
    found = meaning(shipped, xid("9999, x"))
    assert found == CodeMeaning("xid", 9999, severity=Severity.UNKNOWN, rescue=False, catalogued=False)


def test_an_unknown_sxid_that_is_fatal(shipped: PatternSet) -> None:
    found = meaning(shipped, sxid("99999, Fatal, Link 1 x"))
    assert (found.severity, found.rescue, found.catalogued) == ("reset", True, False)


def test_all_codes_are_known(shipped: PatternSet) -> None:
    """176 Xids and 420 SXids."""
    assert len(shipped.catalogue) == 176 + 420


CHANGES = {
    "one key": ("63: {severity: reset}", xid("63, x"), "reset", True),
    "whether it is rescued": ("79: {rescue: false}", xid("79, x"), "reboot", False),
    "a code of NVLink5, whatever its variant": (
        "149: {rescue: false}",
        xid("149, NETIR Fatal XC0 i0 Link -1"),
        "reset",
        False,
    ),
    "a variant": ("154: {variants: {5: {severity: reboot}}}", to(5), "reboot", True),
    "a new variant": ("154: {variants: {8: {severity: reboot}}}", to(8), "reboot", True),
    "a new code": ("9999: {severity: reboot}", xid("9999, x"), "reboot", True),
}


@pytest.mark.parametrize(("change", "text", "severity", "rescue"), CHANGES.values(), ids=CHANGES)
def test_an_operator_changes(change: str, text: str, severity: str, rescue: bool, load: Load) -> None:
    found = meaning(load(f"codes: {{xid: {{{change}}}}}"), text)
    assert (found.severity, found.rescue, found.catalogued) == (severity, rescue, True)


def test_a_change_keeps_the_other_keys(load: Load) -> None:
    found = meaning(load("codes: {xid: {63: {severity: reset}}}"), xid("63, x"))
    assert (found.name, found.action) == ("INFOROM_DRAM_RETIREMENT_EVENT", "IGNORE")


def test_a_rule_of_its_own_severity_outranks_the_catalogue(load: Load) -> None:
    patterns = load("""
    rules:
    - {name: xid, grammar: xid, severity: reboot}
    - {name: own, regex: hang, kind: own, code: 1, severity: info}
    """)
    known, unknown = meaning(patterns, xid("63, x")), meaning(patterns, "hang")
    assert (known.severity, known.rescue) == ("reboot", True)
    assert (unknown.severity, unknown.rescue, unknown.catalogued) == ("info", False, True)


def test_kinds_do_not_mix(shipped: PatternSet) -> None:
    fault = Fault("own", 79, None, "x", "own", LogLine("x", "1"))
    assert not shipped.catalogue.meaning(fault).catalogued


def test_a_fault_is_of_its_narrowest_variant() -> None:
    line = LogLine("x", "1")
    nvlink = NvLink5("RLW_REMAP", False, False, False, 1, None, None)
    assert list(variants_of(Fault("xid", 145, None, "", "xid", line, nvlink5=nvlink))) == [
        "RLW_REMAP Nonfatal",
        "Nonfatal",
    ]
    action = RecoveryAction("None", "OS Reboot", 2)
    assert list(variants_of(Fault("xid", 154, None, "", "xid", line, recovery_action=action))) == ["2"]
    assert list(variants_of(Fault("sxid", 1, None, "", "sxid", line, severity_word="Fatal"))) == ["Fatal"]
