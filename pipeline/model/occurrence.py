"""An occurrence: one incident of a fault, as far as the rules that count (`repeat`) need to know it again."""

from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.model.fault import DriverWord, NodeFault, Severity


@dataclass(frozen=True, slots=True)
class Code:
    """What a rule can tell of a fault's code; `kind` is in lower case, `subcode` in upper case.

    `recovery` is the number of the driver's verdict (Xid 154), `severity` the pattern's own, else the catalogue's;
    `rescue` and `catalogued` are the catalogue's. `word` is the driver's own.
    """

    kind: str
    number: int
    subcode: str | None
    recovery: int | None
    severity: Severity
    rescue: bool
    catalogued: bool
    word: DriverWord | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """Which GPU (or NVSwitch) it was, by all that was known of it; `device` is its PCI address, else its name."""

    node: str
    device: str | None
    uuid: str | None = None
    serial: str | None = None

    @classmethod
    def of(cls, fault: NodeFault) -> "Gpu":
        """Return the GPU that the fault is of."""
        return cls(fault.node, fault.fault.pci or fault.fault.device, fault.gpu_uuid, fault.board_serial)

    def same(self, other: "Gpu") -> bool:
        """Whether the two are one GPU, by the best that is known of both: board serial, else UUID, else its place.

        A GPU that was moved to another node stays the same; one that was put in another's place is another.
        """
        for mine, theirs in ((self.serial, other.serial), (self.uuid, other.uuid)):
            if mine and theirs:
                return mine == theirs
        return (self.node, self.device) == (other.node, other.device)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One incident of one fault on one GPU; `name` is the incident's, so that noting it again changes nothing.

    `first_seen` and `last_seen` are event times. `boot_id` is the boot that it was in, None where that is not sure.
    """

    name: str
    code: Code
    gpu: Gpu
    first_seen: datetime
    last_seen: datetime
    boot_id: str | None = None

    def spanning(self, other: "Occurrence") -> "Occurrence":
        """Return this occurrence over the time of both."""
        return replace(
            self,
            first_seen=min(self.first_seen, other.first_seen),
            last_seen=max(self.last_seen, other.last_seen),
            boot_id=self.boot_id or other.boot_id,
        )
