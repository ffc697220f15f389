"""Enrichment: a fault gets its node, the node's labels, the GPU's identity and its code's meaning, all from memory."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from pydantic import Field

from pipeline.cluster.port import NodeCache
from pipeline.documents import Strict
from pipeline.enrich.gpus import GpuIdentities
from pipeline.enrich.names import NodeNames
from pipeline.enrich.rewrite import RewriteRule
from pipeline.model.fault import CodeMeaning, Fault, Lookup, NodeFault, Sighting
from pipeline.model.node import Node


class Meanings(Protocol):
    """Knows what codes mean: the catalogue."""

    def meaning(self, fault: Fault) -> CodeMeaning:
        """Return what is known of the fault's code; of an unknown one, that it is unknown."""
        ...


class EnrichSettings(Strict):
    """How faults are enriched."""

    rewrite: tuple[RewriteRule, ...] = Field(
        (),
        description="Rules that turn the logs' host names into nodes' names, for hosts that are no node's name, host "
        "name or address; the first that matches counts. None by default: most logs need none.",
    )
    remembered_hosts: int = Field(
        20_000,
        gt=0,
        description="Hosts whose GPUs' UUIDs and serial numbers are remembered, about 2 KB each; clusters have fewer.",
    )


def no_newcomers(_host: str) -> Node | None:
    """A host that no node answers to stays unknown."""
    return None


class Enricher:
    """Turns faults into node faults.

    It reads caches only, never the network, and never loses a fault: what could not be found out is told by `lookup`.
    `catalogue` may be replaced at any time. `newcomer` is asked for a node when the host has none; the embedded run,
    whose logs come from anywhere, makes one up.
    """

    def __init__(
        self,
        cache: NodeCache,
        catalogue: Meanings,
        settings: EnrichSettings,
        newcomer: Callable[[str], Node | None] = no_newcomers,
    ) -> None:
        self.catalogue = catalogue
        self._names = NodeNames(cache, settings.rewrite)
        self._gpus = GpuIdentities(settings.remembered_hosts)
        self._newcomer = newcomer

    def learn(self, sighting: Sighting) -> None:
        """Remember what a line tells of a host's GPUs; lines are to be given in their order, faults among them."""
        self._gpus.learn(sighting)

    def enrich(self, fault: Fault, received: datetime) -> NodeFault:
        """Return the fault with all that is known now; its time is the line's own, else *received*."""
        host = (fault.line.node or "").strip()
        lookup, node = self._names.resolve(host)
        if lookup is Lookup.UNKNOWN:
            node = self._newcomer(host)
            lookup = Lookup.UNKNOWN if node is None else Lookup.FOUND
        meaning, gpu = self.catalogue.meaning(fault), self._gpus.identity(host, fault.pci)
        time = fault.line.time or received
        if node is None:
            return NodeFault(fault, meaning, host, lookup, time, gpu_uuid=gpu.uuid, board_serial=gpu.serial)
        return NodeFault(
            fault,
            meaning,
            node.name,
            lookup,
            time,
            labels=node.labels,
            boot_id=(node.boot_id or None) if node.ready else None,
            booted_at=node.booted_at if node.ready else None,
            gpu_uuid=gpu.uuid,
            board_serial=gpu.serial,
            opted_out=node.opted_out,
        )
