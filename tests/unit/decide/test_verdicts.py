"""From the driver's words to the rule that acts on them: real lines, the shipped catalogue, a policy."""

import pytest

from pipeline.decide.blast import blast
from pipeline.decide.policy import PolicySet, read_policies
from pipeline.documents import parse_documents
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.fault import Fault, Lookup, NodeFault
from pipeline.settings import shipped
from tests.fakes.faults import NOON, line

PATTERNS = load_patterns([shipped() / "patterns"])


def policies(entry: str) -> PolicySet:
    """One rule that names one code."""
    text = f"""
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {{name: named}}
spec:
  rules:
  - {{priority: 1, errorCode: ["{entry}"], actions: [{{name: cordon}}]}}
"""
    return read_policies(parse_documents(text, "policies.yaml"))


def seen(text: str) -> NodeFault:
    """What a line of kernel text is, with its meaning."""
    found = Matcher(PATTERNS).match(line(text))
    assert isinstance(found, Fault)
    return NodeFault(found, PATTERNS.catalogue.meaning(found), "gpu-1", Lookup.FOUND, NOON)


def xid(rest: str, place: str = "PCI:0000:01:00") -> str:
    return f"NVRM: Xid ({place}): {rest}"


def sxid(rest: str) -> str:
    return f"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): {rest}"


def verdict(text: str) -> str:
    return xid(f"154, GPU recovery action changed from 0x0 (None) to {text}")


OFF_THE_BUS = xid("79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")
CONTAINED = xid("94, pid=7194, Contained: CE User Channel (0x9). RST: No, D-RST: No", "PCI:0000:01:00 GPU-I:05")
UNCONTAINED = xid("95, pid=7062, Uncontained: LTC TAG (0x2, 0x1). RST: Yes, D-RST: No", "PCI:0000:01:00 GPU-I:05")
NETIR = xid("149, NETIR Fatal XC0 i0 Link -1 (0x000fe406 0x00000000 0x00000000)")
LINK_EVENT = xid("149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 (0x021425c6 0x00000000)")
BIT_ERRORS = xid("149, NETIR_BER_EVENT Nonfatal XC0 i0 Link 01 (0x00082226 0x00000001)")
REMAP = xid("145, RLW_REMAP Nonfatal XC1 i0 Link 12 (0x040988e2 0x00000008)")
DEGRADED = xid("150, MSE Degraded Fatal XC0 i0 Link -1 (0x00000001 0x00000000)")
PRIVILEGE = sxid("12028, Non-fatal, Link 32 egress non-posted PRIV error (First)")
LINK_FAULT = sxid("20034, Fatal, Link 30 LTSSM Fault Up")
NOT_FATAL = sxid("20034, Non-fatal, Link 30 LTSSM Fault Up")
UNKNOWN_FATAL = sxid("12999, Fatal, Link 30 something new")
DLREQ = sxid("22013, Non-fatal, Link 57 Minion Link DLREQ interrupt")
ECC_LIMIT = sxid("19049, Correctable, Link 12 NCISOC HDR ECC limit error")


@pytest.mark.parametrize(
    ("entry", "text", "acts"),
    [
        pytest.param("94", CONTAINED, True, id="a contained error, which no class of rescues is for"),
        pytest.param("94", UNCONTAINED, False, id="not the one that is not contained"),
        pytest.param("class:application", CONTAINED, True, id="a contained error is an application's"),
        pytest.param("class:reset", UNCONTAINED, True, id="one that is not contained asks for a reset"),
        pytest.param("sxid:12028", PRIVILEGE, True, id="an SXid"),
        pytest.param("sxid:12028", LINK_FAULT, False, id="another SXid"),
        pytest.param("149.NETIR", NETIR, True, id="a sub-code"),
        pytest.param("149.NETIR", LINK_EVENT, False, id="another sub-code that begins like it"),
        pytest.param("149.NETIR_LINK_EVT", LINK_EVENT, True, id="that sub-code"),
        pytest.param("150.MSE Degraded", DEGRADED, True, id="a sub-code of two words"),
        pytest.param("149", BIT_ERRORS, True, id="any sub-code"),
        pytest.param("154:2", verdict("0x2 (Node Reboot Required)"), True, id="the driver asks for a reboot"),
        pytest.param("154:2", verdict("0x2 (OS Reboot)"), True, id="in the words of another driver"),
        pytest.param("154:2", verdict("0x1 (GPU Reset Required)"), False, id="the driver asks for less"),
        pytest.param("154", verdict("0x5 (Recover IMEX Domain)"), True, id="any verdict"),
        pytest.param("class:reboot", OFF_THE_BUS, True, id="a code of the class"),
        pytest.param("class:reboot", verdict("0x2 (Node Reboot Required)"), True, id="a verdict of the class"),
        pytest.param("class:reboot", verdict("0x7 (System Reboot)"), True, id="another verdict of the class"),
        pytest.param("class:reboot", verdict("0x1 (GPU Reset Required)"), False, id="a verdict of a lesser class"),
        pytest.param("class:reset", verdict("0x1 (PF FLR)"), True, id="which is of its own class"),
        pytest.param("class:reset", verdict("0x4 (Drain and Reset)"), True, id="a reset after a drain"),
        pytest.param("class:reset", verdict("0x3 (Drain P2P)"), True, id="a reset after a drain of peers"),
        pytest.param("class:reset", verdict("0x6 (Bus Reset)"), True, id="a reset of the bus"),
        pytest.param("class:support", verdict("0x5 (Recover IMEX Domain)"), True, id="a matter for people"),
        pytest.param("class:info", verdict("0x0 (None)"), True, id="the driver asks for nothing any more"),
        pytest.param("class:unknown", verdict("0x9 (Something New)"), True, id="a verdict of a later driver"),
        pytest.param("class:reset", NETIR, True, id="an NVLink fault that the driver calls fatal"),
        pytest.param("class:reset", BIT_ERRORS, False, id="one that it calls non-fatal"),
        pytest.param("class:info", BIT_ERRORS, True, id="which asks for nothing"),
        pytest.param("class:application", REMAP, True, id="a sub-code that asks for more than others when non-fatal"),
        pytest.param("class:reset", LINK_FAULT, True, id="an SXid that the driver calls fatal"),
        pytest.param("class:reset", NOT_FATAL, True, id="one that the catalogue calls fatal"),
        pytest.param("class:reset", UNKNOWN_FATAL, True, id="one that only the driver knows, and calls fatal"),
        pytest.param("class:reset", DLREQ, False, id="one that the driver calls non-fatal"),
        pytest.param("class:reset", ECC_LIMIT, False, id="one that the driver calls correctable"),
    ],
)
def test_a_rule_acts_on_the_drivers_word(entry: str, text: str, acts: bool) -> None:
    chosen, considered = policies(entry).choose(seen(text))
    assert (chosen is not None and chosen.policy == "named") is acts
    assert considered[0].matched is acts


@pytest.mark.parametrize(
    ("text", "radius"),
    [
        pytest.param(CONTAINED, "process", id="a contained error"),
        pytest.param(UNCONTAINED, "gpu", id="one that is not contained, of an instance"),
        pytest.param(OFF_THE_BUS, "node", id="a GPU that fell off the bus"),
        pytest.param(xid("13, pid=7, name=python3, Graphics Exception"), "process", id="an application's fault"),
        pytest.param(xid("43, pid=1045242, name=pt_main_thread, Ch 00000008"), "process", id="an application ended"),
        pytest.param(
            xid("63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate."),
            "none",
            id="a row that was remapped",
        ),
        pytest.param(
            xid("109, pid=7, name=x, Ch 00000001, errorString CTX SWITCH TIMEOUT", "PCI:0000:01:00 GPU-I:02"),
            "gpu-instance",
            id="a fault of an instance",
        ),
        pytest.param(NETIR, "gpu", id="an NVLink fault"),
        pytest.param(REMAP, "process", id="one that asks for the application"),
        pytest.param(BIT_ERRORS, "none", id="one that asks for nothing"),
        pytest.param(verdict("0x5 (Recover IMEX Domain)"), "fabric", id="a verdict about the fabric"),
        pytest.param(verdict("0x2 (OS Reboot)"), "node", id="a verdict about the node"),
        pytest.param(LINK_FAULT, "node", id="a fatal SXid"),
        pytest.param(UNKNOWN_FATAL, "node", id="a fatal SXid of no catalogue"),
        pytest.param(PRIVILEGE, "gpu", id="an SXid that stalls one GPU's traffic"),
        pytest.param(ECC_LIMIT, "none", id="a correctable SXid"),
    ],
)
def test_a_line_reaches(text: str, radius: str) -> None:
    assert blast(seen(text)).radius == radius
