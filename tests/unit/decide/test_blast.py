"""How far a fault reaches, by what the driver says of it and by what the catalogue does."""

from typing import Any

import pytest

from pipeline.decide.blast import BlastRadius, blast
from pipeline.model.fault import CodeMeaning, NodeFault, RecoveryAction, Severity
from tests.fakes.faults import fault, node_fault


def found(code: int, asks: Severity, kind: str = "xid", **given: Any) -> NodeFault:
    return node_fault(fault=fault(code, kind=kind, **given), meaning=CodeMeaning(kind, code, severity=asks))


def switch(severity: Severity, word: str | None = None) -> NodeFault:
    return found(20034, severity, "sxid", severity_word=word, device="nvidia-nvswitch0")


def verdict(to: int, severity: Severity) -> NodeFault:
    return found(154, severity, recovery_action=RecoveryAction("None", "x", to))


@pytest.mark.parametrize(
    ("of", "radius"),
    [
        pytest.param(found(79, Severity.REBOOT), "node", id="a reboot is needed"),
        pytest.param(found(79, Severity.RESET, gpu_instance=1), "gpu", id="off the bus, whatever it asks for"),
        pytest.param(found(95, Severity.RESET), "gpu", id="not contained"),
        pytest.param(found(95, Severity.RESET, gpu_instance=1), "gpu", id="not contained by an instance"),
        pytest.param(found(95, Severity.REBOOT, gpu_instance=1), "node", id="not contained, and a reboot is needed"),
        pytest.param(found(94, Severity.APPLICATION), "process", id="contained"),
        pytest.param(found(94, Severity.RESET, gpu_instance=1), "process", id="contained, though it asks for a reset"),
        pytest.param(found(94, Severity.REBOOT), "process", id="contained, though it asks for a reboot"),
        pytest.param(found(13, Severity.APPLICATION), "process", id="an application's own fault"),
        pytest.param(found(31, Severity.APPLICATION, gpu_instance=1), "process", id="an application's, in an instance"),
        pytest.param(found(43, Severity.INFO), "process", id="an application was ended"),
        pytest.param(found(45, Severity.INFO), "process", id="an application was cleaned up after"),
        pytest.param(found(137, Severity.INFO), "process", id="an application's illegal access over NVLink"),
        pytest.param(found(45, Severity.RESET), "gpu", id="a clean-up that an operator wants a reset for"),
        pytest.param(found(63, Severity.INFO), "none", id="a row was remapped"),
        pytest.param(found(63, Severity.INFO, gpu_instance=1), "none", id="nothing is asked for, in an instance"),
        pytest.param(found(62, Severity.RESET), "gpu", id="a reset is needed"),
        pytest.param(found(109, Severity.RESET, gpu_instance=0), "gpu-instance", id="a reset, in the first instance"),
        pytest.param(found(999, Severity.UNKNOWN), "gpu", id="a code that nobody knows"),
        pytest.param(found(54, Severity.SUPPORT), "gpu", id="a code for people"),
        pytest.param(found(62, Severity.RESET, pci=None, device="nvidia3"), "gpu", id="a device by its name"),
        pytest.param(found(62, Severity.RESET, pci=None), "node", id="no device"),
        pytest.param(verdict(0, Severity.INFO), "none", id="recovered"),
        pytest.param(verdict(1, Severity.RESET), "gpu", id="the driver asks for a reset"),
        pytest.param(verdict(2, Severity.REBOOT), "node", id="the driver asks for a reboot"),
        pytest.param(verdict(5, Severity.SUPPORT), "fabric", id="the driver asks for the fabric's recovery"),
        pytest.param(verdict(5, Severity.REBOOT), "fabric", id="a reboot does not make it narrower"),
        pytest.param(switch(Severity.REBOOT), "node", id="always fatal to the fabric"),
        pytest.param(switch(Severity.RESET), "node", id="fatal to the fabric"),
        pytest.param(switch(Severity.RESET, "Non-fatal"), "node", id="fatal by the catalogue"),
        pytest.param(switch(Severity.INFO, "Fatal"), "node", id="fatal by the driver"),
        pytest.param(switch(Severity.INFO), "none", id="corrected by the switch"),
        pytest.param(switch(Severity.UNKNOWN, "Correctable"), "none", id="correctable by the driver"),
        pytest.param(switch(Severity.INFO, "Non-fatal"), "none", id="not fatal, and harmless by the catalogue"),
        pytest.param(switch(Severity.UNKNOWN, "Non-fatal"), "gpu", id="not fatal by the driver"),
        pytest.param(switch(Severity.SUPPORT), "gpu", id="a switch's code for people"),
        pytest.param(switch(Severity.UNKNOWN), "node", id="a switch's code of which nothing is known"),
        pytest.param(found(94, Severity.RESET, "SXid"), "node", id="an SXid of a number that is an Xid's too"),
        pytest.param(found(94, Severity.RESET, "disk"), "gpu", id="an operator's kind with such a number"),
        pytest.param(found(94, Severity.RESET, "XID"), "process", id="the case of a kind does not matter"),
        pytest.param(found(62, Severity.RESET, severity=Severity.REBOOT), "node", id="a pattern's severity counts"),
    ],
)
def test_a_fault_reaches(of: NodeFault, radius: str) -> None:
    assert blast(of).radius == radius


@pytest.mark.parametrize(
    ("of", "why"),
    [
        (found(79, Severity.REBOOT), "Only a reboot of the node clears it."),
        (found(79, Severity.RESET), "Whatever instance the line names, the driver cannot reach the GPU any more."),
        (
            found(95, Severity.RESET),
            "Whatever instance the line names, the error is not contained and hurts all of the GPU.",
        ),
        (found(94, Severity.RESET), "The error is contained to one application; all others go on."),
        (found(43, Severity.INFO), "The driver has ended one application; the GPU is healthy."),
        (found(13, Severity.APPLICATION), "It asks for no more than a restart of the application."),
        (found(63, Severity.INFO), "It asks for nothing."),
        (found(109, Severity.RESET, gpu_instance=3), "The driver names GPU instance 3; MIG keeps it there."),
        (found(62, Severity.RESET), "It is of 0000:3b:00, and nothing narrows or widens it."),
        (found(62, Severity.RESET, pci=None, device="nvidia3"), "It is of nvidia3, and nothing narrows or widens it."),
        (found(62, Severity.RESET, pci=None), "The line names no device."),
        (verdict(5, Severity.SUPPORT), "The driver asks to recover the IMEX domain, which spans nodes."),
        (switch(Severity.RESET), "It is fatal to the NVSwitch, which all GPUs of the node share."),
        (switch(Severity.INFO), "The NVSwitch has corrected it or goes on in spite of it."),
        (
            switch(Severity.SUPPORT),
            "It is not fatal to the NVSwitch: it hurts the traffic of the GPU behind the link.",
        ),
        (
            switch(Severity.UNKNOWN),
            "Nothing says that it is not fatal to the NVSwitch, which all GPUs of the node share.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_reach_has_a_reason(of: NodeFault, why: str) -> None:
    assert blast(of).why == why


def test_the_radii_stand_from_the_narrowest_to_the_widest() -> None:
    assert list(BlastRadius) == ["none", "process", "gpu-instance", "gpu", "node", "fabric"]
