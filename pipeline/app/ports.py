"""What the settings name by a type: sources and their inlets, sinks, the cluster, the store of rescues."""

from collections.abc import Callable, Sequence
from typing import assert_never

from pipeline.clock import Clock
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.cluster.memory import LastingCluster, SimulatedCluster, load_cluster
from pipeline.execute.store_kube_settings import KubernetesStoreConfig
from pipeline.execute.store_memory import MemoryStore
from pipeline.execute.store_sqlite import SqliteStore
from pipeline.rebooters.none import NoRebooter
from pipeline.rebooters.pod import PodRebooter
from pipeline.rebooters.port import Rebooter
from pipeline.rebooters.settings import NoRebooterConfig, PodRebooterConfig, RebooterConfig
from pipeline.settings import (
    MemoryStoreConfig,
    Settings,
    SimulatedClusterConfig,
    SinkConfig,
    SourceConfig,
    SqliteStoreConfig,
    StoreConfig,
)
from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.events.source import EventsSource
from pipeline.sources.file import FileSource, FileSourceConfig
from pipeline.sources.inlet import FileInlet, Inlet
from pipeline.sources.kafka.inlet import KafkaInlet
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.source import KafkaSource
from pipeline.sources.kmsg import KmsgSource, KmsgSourceConfig
from pipeline.sources.port import Search, Source, Wanted
from pipeline.sources.stdin import StdinSource, StdinSourceConfig
from pipeline.telemetry import REFUSED_RECORDS, SPOOLED_BYTES, SPOOLED_RECORDS
from sinks.base import Sink
from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig
from sinks.fanout import FanOut
from sinks.file import FileSink, FileSinkConfig
from sinks.spool import SpooledSink
from sinks.spoolfiles import SpoolConfig, Waiting


def open_source(
    config: SourceConfig, wanted: Wanted, searches: Callable[[], Sequence[Search] | None] = lambda: None
) -> Source:
    """Open one source; *searches* are for one that can go through blocks of messages with them."""
    match config:
        case FileSourceConfig():
            return FileSource(config, wanted)
        case StdinSourceConfig():
            return StdinSource(config, wanted)
        case KmsgSourceConfig():
            return KmsgSource(config, wanted)
        case KafkaSourceConfig():
            return KafkaSource(config, wanted, searches)
        case EventsSourceConfig():
            return EventsSource(config, wanted)
        case _:
            assert_never(config)


def open_inlet(config: SourceConfig) -> Inlet | None:
    """Open the other end of a source, where drills are put in; None where a running pipeline would not read them."""
    match config:
        case FileSourceConfig():
            return FileInlet(config.path) if config.follow else None
        case KafkaSourceConfig():
            return KafkaInlet(config)
        case StdinSourceConfig() | KmsgSourceConfig() | EventsSourceConfig():
            return None
        case _:
            assert_never(config)


def open_sink(config: SinkConfig) -> Sink:
    """Open one sink."""
    match config:
        case FileSinkConfig():
            return FileSink(config)
        case ElasticsearchSinkConfig():
            sink = ElasticsearchSink(config, REFUSED_RECORDS.labels(str(config.dead_letters)).inc)
            return spooled(sink, config.spool) if config.spool else sink
        case _:
            assert_never(config)


def spooled(sink: Sink, config: SpoolConfig) -> Sink:
    """Put a spool before a sink; how much waits in it is a metric."""
    path = str(config.path)

    def tell(waiting: Waiting) -> None:
        SPOOLED_RECORDS.labels(path).set(waiting.records)
        SPOOLED_BYTES.labels(path).set(waiting.bytes)

    return SpooledSink(sink, config, tell)


def open_sinks(settings: Settings) -> FanOut:
    """Open every sink, as one."""
    return FanOut(
        {f"sinks.{number} ({config.type})": open_sink(config) for number, config in enumerate(settings.sinks)}
    )


def elasticsearch_sinks(settings: Settings) -> list[ElasticsearchSink]:
    """Open the sinks that need something put in place in Elasticsearch."""
    return [ElasticsearchSink(config) for config in settings.sinks if isinstance(config, ElasticsearchSinkConfig)]


def open_simulated(config: SimulatedClusterConfig, clock: Clock) -> SimulatedCluster:
    """Open a simulated cluster as its file describes it."""
    return load_cluster(config.nodes, clock, SimulatedCluster) if config.nodes else SimulatedCluster(clock)


def recall_cluster(config: SimulatedClusterConfig, clock: Clock) -> SimulatedCluster:
    """Open it as the last process has left it, if its state is kept; what is done to it is lost."""
    if config.state is None:
        return open_simulated(config, clock)
    cluster = load_cluster(config.nodes, clock, LastingCluster) if config.nodes else LastingCluster(clock)
    cluster.recall(config.state)
    return cluster


def resume_cluster(config: SimulatedClusterConfig, clock: Clock) -> SimulatedCluster:
    """Open it so, and have what is done to it kept, if its state is kept."""
    cluster = recall_cluster(config, clock)
    if isinstance(cluster, LastingCluster):
        cluster.go_on()
    return cluster


def open_api(config: KubernetesClusterConfig) -> KubeApi:
    """Open the API of a Kubernetes cluster; nothing is asked of it yet."""
    return KubeApi(config)


def open_rebooter(config: RebooterConfig, api: KubeApi, clock: Clock) -> Rebooter:
    """Open what turns machines off and on again."""
    match config:
        case NoRebooterConfig():
            return NoRebooter()
        case PodRebooterConfig():
            return PodRebooter(api, config, clock)
        case _:
            assert_never(config)


def open_local_store(config: StoreConfig) -> MemoryStore | SqliteStore:
    """Open a store of this machine; raises BadInputError."""
    match config:
        case KubernetesStoreConfig():
            raise AssertionError("the settings allow it with a Kubernetes cluster alone")
        case MemoryStoreConfig():
            return MemoryStore()
        case SqliteStoreConfig():
            return SqliteStore(config.path)
        case _:
            assert_never(config)
