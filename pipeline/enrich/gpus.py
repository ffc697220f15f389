"""Which GPU sits at a PCI address: its UUID and board serial number, as the driver told them in the log."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from pipeline.model.fault import DriverLoaded, GpuSeen, SerialSeen, Sighting

GPUS_PER_HOST = 64
"""More than any server holds; a host on which more addresses are seen forgets the oldest."""


@dataclass(frozen=True, slots=True)
class GpuIdentity:
    """What is known of one GPU."""

    uuid: str | None = None
    serial: str | None = None


@dataclass(slots=True)
class _Host:
    gpus: OrderedDict[str, GpuIdentity] = field(default_factory=OrderedDict)
    latest: str | None = None


class GpuIdentities:
    """Learns from the log, host by host.

    At most *hosts* are remembered; the one that has been silent for longest is forgotten first. Lines without a host
    teach nothing, because they may come from different machines.
    """

    def __init__(self, hosts: int) -> None:
        self._limit = hosts
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    def learn(self, sighting: Sighting) -> None:
        """Take in a GPU's UUID, the serial number of the GPU seen last, or that all may be different now."""
        host = _key(sighting.line.node)
        if not host:
            return
        match sighting:
            case GpuSeen(pci, uuid):
                self._see(host, pci, uuid)
            case SerialSeen(serial) if host in self._hosts:
                known = self._hosts[host]
                if known.latest is not None:
                    known.gpus[known.latest] = replace(known.gpus[known.latest], serial=serial)
            case DriverLoaded():
                self._hosts.pop(host, None)

    def identity(self, host: str | None, pci: str | None) -> GpuIdentity:
        """Return what is known of the GPU at a PCI address of a host; nothing is, of one that was never seen."""
        known = self._hosts.get(_key(host))
        return known.gpus.get(pci, GpuIdentity()) if known is not None and pci is not None else GpuIdentity()

    def _see(self, host: str, pci: str, uuid: str) -> None:
        known = self._hosts.setdefault(host, _Host())
        before = known.gpus.pop(pci, None)
        # The same line again changes nothing; another UUID is another board, whose serial number is not known yet.
        known.gpus[pci] = before if before is not None and before.uuid == uuid else GpuIdentity(uuid)
        known.latest = pci
        self._hosts.move_to_end(host)
        if len(known.gpus) > GPUS_PER_HOST:
            known.gpus.popitem(last=False)
        if len(self._hosts) > self._limit:
            self._hosts.popitem(last=False)


def _key(host: str | None) -> str:
    return (host or "").strip().lower()
