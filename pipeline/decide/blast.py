"""How far a fault reaches: whom it may have hurt, by what the line and the catalogue say."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.decide.errorcodes import severity
from pipeline.model.fault import NodeFault, Severity

_RECOVER_IMEX = 5
_CONTAINED = 94
_WHOLE_GPU = {79: "the driver cannot reach the GPU any more", 95: "the error is not contained and hurts all of the GPU"}
_ONE_APPLICATION = (43, 45, 137)


class BlastRadius(StrEnum):
    """The least that holds all that a fault may have hurt, from the narrowest to the widest.

    `none`: nothing is hurt; `fabric`: other nodes are, too.
    """

    NONE = "none"
    PROCESS = "process"
    GPU_INSTANCE = "gpu-instance"
    GPU = "gpu"
    NODE = "node"
    FABRIC = "fabric"


@dataclass(frozen=True, slots=True)
class Blast:
    """The radius, and in one sentence why."""

    radius: BlastRadius
    why: str


def blast(fault: NodeFault) -> Blast:
    """Return how far the fault reaches; it is about what is hurt, not about what a rescue would disturb.

    Sources: NVIDIA's Xid catalogue (trigger conditions of 43, 45, 94, 95, 137; the numbers of 154), its Fabric Manager
    guide (what each class of SXid does to the fabric), its MIG guide (an instance keeps its faults to itself). What is
    not known to reach less is taken to reach all of the device that the line names.
    """
    if fault.fault.kind.lower() == "sxid":
        return _of_switch(fault)
    return _of_driver_word(fault) or _of_class(fault) or _of_place(fault)


def _of_switch(fault: NodeFault) -> Blast:
    asks, word = severity(fault), fault.fault.severity_word
    if word == "Fatal" or asks.rank >= Severity.RESET.rank:
        return Blast(BlastRadius.NODE, "It is fatal to the NVSwitch, which all GPUs of the node share.")
    if word == "Correctable" or asks is Severity.INFO:
        return Blast(BlastRadius.NONE, "The NVSwitch has corrected it or goes on in spite of it.")
    if word == "Non-fatal" or asks is Severity.SUPPORT:
        return Blast(
            BlastRadius.GPU, "It is not fatal to the NVSwitch: it hurts the traffic of the GPU behind the link."
        )
    return Blast(
        BlastRadius.NODE, "Nothing says that it is not fatal to the NVSwitch, which all GPUs of the node share."
    )


def _of_driver_word(fault: NodeFault) -> Blast | None:
    """What the code itself says, however severe an operator wants it to be taken."""
    line = fault.fault
    if line.kind.lower() != "xid":
        return None
    if line.recovery_action is not None and line.recovery_action.to_code == _RECOVER_IMEX:
        return Blast(BlastRadius.FABRIC, "The driver asks to recover the IMEX domain, which spans nodes.")
    if line.code == _CONTAINED:
        return Blast(BlastRadius.PROCESS, "The error is contained to one application; all others go on.")
    if line.code in _WHOLE_GPU and severity(fault) is not Severity.REBOOT:
        return Blast(BlastRadius.GPU, f"Whatever instance the line names, {_WHOLE_GPU[line.code]}.")
    if line.code in _ONE_APPLICATION and severity(fault) is Severity.INFO:
        return Blast(BlastRadius.PROCESS, "The driver has ended one application; the GPU is healthy.")
    return None


def _of_class(fault: NodeFault) -> Blast | None:
    match severity(fault):
        case Severity.REBOOT:
            return Blast(BlastRadius.NODE, "Only a reboot of the node clears it.")
        case Severity.APPLICATION:
            return Blast(BlastRadius.PROCESS, "It asks for no more than a restart of the application.")
        case Severity.INFO:
            return Blast(BlastRadius.NONE, "It asks for nothing.")
    return None


def _of_place(fault: NodeFault) -> Blast:
    line = fault.fault
    if line.gpu_instance is not None:
        return Blast(
            BlastRadius.GPU_INSTANCE, f"The driver names GPU instance {line.gpu_instance}; MIG keeps it there."
        )
    if line.pci or line.device:
        return Blast(BlastRadius.GPU, f"It is of {line.pci or line.device}, and nothing narrows or widens it.")
    return Blast(BlastRadius.NODE, "The line names no device.")
