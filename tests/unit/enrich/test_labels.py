"""A fault is enriched with what is known, and never lost for what is not."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster
from pipeline.enrich.labels import Enricher, EnrichSettings
from pipeline.model.fault import CodeMeaning, DriverLoaded, Fault, GpuSeen, Lookup, SerialSeen, Severity
from pipeline.model.line import LogLine
from pipeline.model.node import Node

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINE = LogLine("NVRM: Xid ...", "log:1", node="gpu-a.example.com", time=NOW - timedelta(minutes=1))
FAULT = Fault("xid", 79, "0000:26:00", "GPU has fallen off the bus.", "xid", LINE)


@dataclass(frozen=True)
class _Catalogue:
    severity: Severity = Severity.REBOOT

    def meaning(self, fault: Fault) -> CodeMeaning:
        return CodeMeaning(fault.kind, fault.code, severity=self.severity)


def _cluster() -> SimulatedCluster:
    node = Node("gpu-a", "", labels={"app": "demo"}, boot_id="boot-1", booted_at=NOW)
    return SimulatedCluster(ManualClock(NOW), [node])


def _enricher(cluster: SimulatedCluster) -> Enricher:
    return Enricher(cluster, _Catalogue(), EnrichSettings())


def _from(host: str | None) -> Fault:
    return replace(FAULT, line=replace(LINE, node=host))


def test_a_fault_gets_its_node_and_its_meaning() -> None:
    enriched = _enricher(_cluster()).enrich(FAULT, NOW)
    assert (enriched.fault, enriched.node, enriched.lookup, enriched.enriched) == (FAULT, "gpu-a", Lookup.FOUND, True)
    assert enriched.labels == {"app": "demo"}
    assert (enriched.boot_id, enriched.booted_at) == ("boot-1", NOW)
    assert enriched.meaning == CodeMeaning("xid", 79, severity=Severity.REBOOT)


def test_the_boot_of_a_node_that_is_not_ready_is_not_told() -> None:
    """The line may be of the next boot, whose id the kubelet has not posted yet."""
    cluster = SimulatedCluster(ManualClock(NOW), [replace(_cluster().nodes()["gpu-a"], ready=False)])
    enriched = _enricher(cluster).enrich(FAULT, NOW)
    assert (enriched.node, enriched.lookup, enriched.labels) == ("gpu-a", Lookup.FOUND, {"app": "demo"})
    assert (enriched.boot_id, enriched.booted_at) == (None, None)


@pytest.mark.parametrize(
    ("host", "node", "lookup"),
    [
        pytest.param("stranger", "stranger", Lookup.UNKNOWN, id="an unknown host is kept as it was written"),
        pytest.param("twin", "twin", Lookup.AMBIGUOUS, id="so is one that two nodes answer to"),
        pytest.param(None, "", Lookup.UNNAMED, id="no host is no node"),
    ],
)
def test_without_a_node(host: str | None, node: str, lookup: Lookup) -> None:
    cluster = _cluster()
    for name in ("twin.a", "twin.b"):
        cluster.add_node(Node(name, ""))
    enriched = _enricher(cluster).enrich(_from(host), NOW)
    assert (enriched.node, enriched.lookup, enriched.enriched, enriched.labels) == (node, lookup, False, {})
    assert enriched.meaning.severity is Severity.REBOOT


def test_a_cache_that_is_not_ready_loses_no_fault() -> None:
    cluster = _cluster()
    cluster.troubles.cache_synced = False
    enriched = _enricher(cluster).enrich(FAULT, NOW)
    assert (enriched.node, enriched.lookup) == ("gpu-a.example.com", Lookup.NOT_READY)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        pytest.param(LINE.time, LINE.time, id="is the line's own"),
        pytest.param(None, NOW, id="is when it was received where the line has none"),
    ],
)
def test_the_time(time: datetime | None, expected: datetime) -> None:
    fault = replace(FAULT, line=replace(LINE, time=time))
    assert _enricher(_cluster()).enrich(fault, NOW).time == expected


@pytest.mark.parametrize("host", ["gpu-a.example.com", "stranger"])
def test_what_was_learned_of_a_gpu_is_told_whether_its_node_is_known_or_not(host: str) -> None:
    enricher, fault = _enricher(_cluster()), _from(host)
    enricher.learn(GpuSeen("0000:26:00", "GPU-1", fault.line))
    enricher.learn(SerialSeen("165", fault.line))
    enriched = enricher.enrich(fault, NOW)
    assert (enriched.gpu_uuid, enriched.board_serial) == ("GPU-1", "165")
    enricher.learn(DriverLoaded(fault.line))
    enriched = enricher.enrich(fault, NOW)
    assert (enriched.gpu_uuid, enriched.board_serial) == (None, None)


def test_a_newcomer_becomes_a_node_and_is_found_from_then_on() -> None:
    cluster = SimulatedCluster(ManualClock(NOW))
    enricher = Enricher(cluster, _Catalogue(), EnrichSettings(), cluster.newcomer)
    first, again = enricher.enrich(FAULT, NOW), enricher.enrich(_from("gpu-a"), NOW)
    assert (first.node, first.lookup, first.boot_id) == (LINE.node, Lookup.FOUND, cluster.nodes()[first.node].boot_id)
    assert (again.node, len(cluster.nodes())) == (LINE.node, 1)


@pytest.mark.parametrize("host", [None, "twin"])
def test_a_fault_without_a_host_or_with_two_nodes_makes_no_newcomer(host: str | None) -> None:
    cluster = SimulatedCluster(ManualClock(NOW), [Node("twin.a", ""), Node("twin.b", "")])
    enriched = Enricher(cluster, _Catalogue(), EnrichSettings(), cluster.newcomer).enrich(_from(host), NOW)
    assert (enriched.enriched, len(cluster.nodes())) == (False, 2)


def test_a_new_catalogue_counts_from_the_next_fault_on() -> None:
    enricher = _enricher(_cluster())
    enricher.catalogue = _Catalogue(Severity.RESET)
    assert enricher.enrich(FAULT, NOW).meaning.severity is Severity.RESET
