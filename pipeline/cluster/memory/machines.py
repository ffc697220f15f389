"""The machines under the nodes: what a reboot does to them, and to what the cluster sees."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import NAMESPACE_URL, uuid5

from pipeline.cluster.memory.objects import NodeObjects
from pipeline.cluster.memory.timeline import Timeline
from pipeline.cluster.memory.timings import Timings
from pipeline.cluster.memory.troubles import Troubles
from pipeline.cluster.memory.workloads import Workloads
from pipeline.model.node import Node

GPU_COUNT = "nvidia.com/gpu.count"
"""Label: how many GPUs the machine has; NVIDIA's GPU feature discovery sets it."""


@dataclass(frozen=True, slots=True)
class AcceptedReboot:
    """One time that a machine was turned off: the node, the name of the request, when, and the boot that it ended."""

    node: str
    request: str
    time: datetime
    boot_id: str


def boot_id(node: str, boot: int) -> str:
    """Return the boot id of a node's boot number *boot* (from 0): lower case with dashes, as the kernel prints it."""
    return str(uuid5(NAMESPACE_URL, f"boot/{node}/{boot}"))


class Machines:
    """All machines of the cluster, and the log of their reboots."""

    def __init__(self, nodes: NodeObjects, workloads: Workloads, timeline: Timeline, timings: Timings) -> None:
        self.reboots: list[AcceptedReboot] = []
        self._nodes = nodes
        self._workloads = workloads
        self._timeline = timeline
        self._timings = timings
        self._boots: dict[str, int] = {}
        self._gpus: dict[str, int] = {}

    def install(self, node: Node) -> Node:
        """Put a machine under a new node; it has a boot id of its own if the node names none.

        It has as many GPUs as the node shows, or as its label says where one is missing at the moment.
        """
        boot = self._boots[node.name] = self._boots.get(node.name, -1) + 1
        self._gpus[node.name] = _gpus(node)
        return node if node.boot_id else replace(node, boot_id=boot_id(node.name, boot))

    def remove(self, node: str) -> None:
        """Take the machine away; what it was about to do no longer happens."""
        self._timeline.cancel(_about(node))

    def asked(self, node: str, request: str) -> bool:
        """Whether this very reboot was asked for before."""
        return any(reboot.node == node and reboot.request == request for reboot in self.reboots)

    def reboot(self, node: str, request: str, now: datetime, troubles: Troubles) -> None:
        """Turn the machine off and on; a request that was accepted before does nothing. Raises NotFoundError."""
        before = self._nodes.get(node)
        if self.asked(node, request):
            return
        self.reboots.append(AcceptedReboot(node, request, now, before.boot_id))
        self._timeline.cancel(_about(node))
        self._workloads.power_off(node)
        returns = node not in troubles.never_returns
        unnoticed = min(self._timings.unnoticed, self._timings.boot) if returns else self._timings.unnoticed
        self._at(now + unnoticed, node, self._noticed)
        if returns:
            self._gpus[node] = max(self._gpus[node], _gpus(before))
            gpus = troubles.gpus_after_reboot.get(node, self._gpus[node])
            self._at(now + self._timings.boot, node, partial(self._booted, gpus))

    def _noticed(self, node: str, _moment: datetime) -> None:
        self._nodes.put(replace(self._nodes.get(node), ready=False))
        self._workloads.mark_unready(node)

    def _booted(self, gpus: int, node: str, moment: datetime) -> None:
        # The kubelet of a fresh boot has no device plugin yet: capacity is what it remembers, nothing is allocatable.
        boot = self._boots[node] = self._boots[node] + 1
        before, booted = self._nodes.get(node), boot_id(node, boot)
        self._nodes.put(replace(before, boot_id=booted, booted_at=moment, ready=False, gpus_allocatable=0))
        self._workloads.power_on(node, moment)
        self._at(moment + self._timings.ready, node, self._ready)
        self._at(moment + self._timings.ready + self._timings.gpus, node, partial(self._gpus_registered, gpus))

    def _ready(self, node: str, moment: datetime) -> None:
        self._nodes.put(replace(self._nodes.get(node), ready=True))
        self._workloads.assign_pending(moment)

    def _gpus_registered(self, gpus: int, node: str, _moment: datetime) -> None:
        self._nodes.put(replace(self._nodes.get(node), gpus=gpus, gpus_allocatable=gpus))

    def _at(self, moment: datetime, node: str, change: Callable[[str, datetime], None]) -> None:
        self._timeline.schedule(moment, _about(node), partial(change, node))


def _gpus(node: Node) -> int:
    labelled = node.labels.get(GPU_COUNT, "")
    return max(node.gpus, int(labelled) if labelled.isdecimal() else 0)


def _about(node: str) -> str:
    return f"machine/{node}"
