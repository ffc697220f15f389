"""A fault: what the kernel said of a GPU or an NVSwitch, and what the catalogue knows of its code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pipeline.model.line import LogLine


class Severity(StrEnum):
    """What a code asks for, from the least to the worst. Policies name it as `class:reboot`."""

    INFO = "info"
    APPLICATION = "application"
    UNKNOWN = "unknown"
    SUPPORT = "support"
    RESET = "reset"
    REBOOT = "reboot"

    @property
    def rank(self) -> int:
        """Position in the order of the declaration; the worst is the greatest."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class DriverWord(StrEnum):
    """How bad the driver itself calls an NVLink5 fault or an SXid."""

    FATAL = "fatal"
    NONFATAL = "nonfatal"
    CORRECTABLE = "correctable"


class Drill(StrEnum):
    """How a line that `gpu-rescue inject` wrote is meant: rehearsed on a copy of the cluster, or done for real."""

    DRY = "dry"
    REAL = "real"

    @property
    def mark(self) -> str:
        """What such a line begins with, before the message itself: `gpu-rescue-drill: NVRM: Xid ...`."""
        return "gpu-rescue-drill:" if self is Drill.DRY else "gpu-rescue-drill-for-real:"


@dataclass(frozen=True, slots=True)
class RecoveryAction:
    """Xid 154, the driver's own verdict: texts as printed, and the number after `to` (0 to 7)."""

    frm: str
    to: str
    to_code: int

    @property
    def recovered(self) -> bool:
        """Whether it asks for nothing any more."""
        return self.to_code == 0


@dataclass(frozen=True, slots=True)
class NvLink5:
    """The fields of an NVLink5 fault (Xid 144 to 150); `injected` marks a drill; link -1 is the whole device."""

    subcode: str
    fatal: bool
    cross_containment: bool
    injected: bool
    link: int
    intr_info: str | None
    error_status: str | None


@dataclass(frozen=True, slots=True)
class Fault:
    """A recognised line.

    `kind` is xid, sxid, or an operator's own word. `pci` is normalised (`0000:3b:00`), None where the line names no
    device. `companion` marks a line that belongs to another one and is no fault of its own (an SXid's Severity and Data
    lines); `inferred` a fault whose code the line does not print (a GPU fallen off the bus is counted as Xid 79).
    `rule` is the pattern that recognised it; `severity` is the rule's own, where it sets one, and outranks the
    catalogue. `drill` is set where the line was injected and says so.
    """

    kind: str
    code: int
    pci: str | None
    message: str
    rule: str
    line: LogLine
    pid: int | None = None
    name: str | None = None
    device: str | None = None
    inferred: bool = False
    gpu_instance: int | None = None
    compute_instance: int | None = None
    caused_by_xid: int | None = None
    recovery_action: RecoveryAction | None = None
    nvlink5: NvLink5 | None = None
    companion: bool = False
    severity_word: str | None = None
    link: int | None = None
    severity: Severity | None = None
    drill: Drill | None = None

    @property
    def word(self) -> DriverWord | None:
        """What the driver calls it; None where the line has no such word."""
        if self.nvlink5 is not None:
            return DriverWord.FATAL if self.nvlink5.fatal else DriverWord.NONFATAL
        return _WORDS.get(self.severity_word) if self.severity_word is not None else None


_WORDS = {
    "Fatal": DriverWord.FATAL,
    "Non-fatal": DriverWord.NONFATAL,
    "Correctable": DriverWord.CORRECTABLE,
}


@dataclass(frozen=True, slots=True)
class GpuSeen:
    """The driver's one line per GPU and load that ties its PCI address to its UUID."""

    pci: str
    uuid: str
    line: LogLine


@dataclass(frozen=True, slots=True)
class SerialSeen:
    """The board serial number printed after a GPU's UUID line; it belongs to the GPU seen last on that node."""

    serial: str
    line: LogLine


@dataclass(frozen=True, slots=True)
class DriverLoaded:
    """The driver was loaded: what was learned of that node's GPUs may be true no more."""

    line: LogLine


@dataclass(frozen=True, slots=True)
class UnknownDriverLine:
    """A line of the NVIDIA driver that no pattern knew; counted, because silence is a signal."""

    line: LogLine


Sighting = GpuSeen | SerialSeen | DriverLoaded | UnknownDriverLine


@dataclass(frozen=True, slots=True)
class CodeMeaning:
    """What the catalogue says of a code.

    `action` is NVIDIA's recommended immediate action in its own words (RESET_GPU, RESTART_BM, ...); `rescue` says
    whether a policy that names no code may act on it; `catalogued` is False for a code that no catalogue knows.
    """

    kind: str
    code: int
    name: str | None = None
    meaning: str | None = None
    action: str | None = None
    severity: Severity = Severity.UNKNOWN
    rescue: bool = False
    catalogued: bool = True


class Lookup(StrEnum):
    """How the search for a line's node ended."""

    FOUND = "found"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"
    NOT_READY = "not-ready"
    UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class NodeFault:
    """A fault and the node it happened on.

    `node` is the cluster's name of it when `lookup` is found, else the host name of the line, or "" when it named none.
    `time` is the event time: the line's own, else when it was received. `boot_id` and `booted_at` are the node's if it
    was Ready, else None: until a node is Ready its boot id may be that of the boot before the line's. `opted_out` is
    whether somebody has told us by annotation to keep our hands off the node.
    """

    fault: Fault
    meaning: CodeMeaning
    node: str
    lookup: Lookup
    time: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    boot_id: str | None = None
    booted_at: datetime | None = None
    gpu_uuid: str | None = None
    board_serial: str | None = None
    opted_out: bool = False

    @property
    def enriched(self) -> bool:
        """Whether the node was found and its labels are known."""
        return self.lookup is Lookup.FOUND
