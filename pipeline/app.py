"""The only file that constructs components: from settings to a pipeline that runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, assert_never

from pipeline.clock import Clock, ManualClock, WallClock
from pipeline.cluster.memory import SimulatedCluster, load_cluster, twin
from pipeline.decide.incidents import Incidents
from pipeline.decide.policy import PolicySet, read_policies
from pipeline.decode.envelopes import Decoder
from pipeline.documents import Document, read_documents
from pipeline.enrich.labels import Enricher
from pipeline.execute.actions.cordon import CordonRunner
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.offline import OfflineRunner
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.execute.actions.standby import StandbyRunner
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.execute.executor import Executor, Runners
from pipeline.execute.intake import Intake
from pipeline.execute.loops import BEFORE_ALL_LOGS, LiveLoop, Pause, ReplayLoop
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Oddities, Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.reload import Reload
from pipeline.execute.store_memory import MemoryStore
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import PatternSet, load_patterns
from pipeline.model.plan import ActionName
from pipeline.rebooters.simulated import SimulatedRebooter
from pipeline.settings import Settings, SinkConfig, SourceConfig, shipped
from pipeline.sources.file import FileSource, FileSourceConfig
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.source import KafkaSource
from pipeline.sources.kmsg import KmsgSource, KmsgSourceConfig
from pipeline.sources.port import Search, Source, Wanted
from pipeline.sources.stdin import StdinSource, StdinSourceConfig
from sinks.base import Record, Sink
from sinks.fanout import FanOut
from sinks.file import FileSink, FileSinkConfig


@dataclass(frozen=True, slots=True)
class App:
    """A pipeline put together: run it, and read off it what it has read."""

    loop: LiveLoop | ReplayLoop
    sources: Sequence[Source]
    sink: Sink
    oddities: Oddities

    @property
    def simulated_time(self) -> bool:
        """Whether it runs on the log's own time."""
        return isinstance(self.loop, ReplayLoop)

    @property
    def lines_read(self) -> int:
        """How many lines the sources have read, noise included."""
        return sum(source.read for source in self.sources)


def open_patterns(settings: Settings) -> PatternSet:
    """Load the shipped rules and codes, then those of the settings."""
    return load_patterns([shipped() / "patterns", *settings.patterns])


def open_policies(settings: Settings, cluster: SimulatedCluster) -> PolicySet:
    """Load the policies that the settings name, and apply them to the simulated cluster."""
    documents = policy_documents(settings.policies)
    policies = read_policies(documents)
    cluster.set_policies(document.data for document in documents)
    return policies


def policy_documents(paths: Sequence[Path]) -> list[Document]:
    """Read every policy manifest of files and folders."""
    found = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    return [document for file in found for document in read_documents(file)]


def open_sink(config: SinkConfig) -> Sink:
    """Open one sink."""
    match config:
        case FileSinkConfig():
            return FileSink(config)
        case _:
            assert_never(config)


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
        case _:
            assert_never(config)


def open_cluster(settings: Settings, clock: Clock) -> SimulatedCluster:
    """Open the cluster whose nodes are rescued."""
    config = settings.cluster
    return load_cluster(config.nodes, clock) if config.nodes else SimulatedCluster(clock)


def open_enricher(settings: Settings, cluster: SimulatedCluster, matcher: Matcher) -> Enricher:
    """Open what finds nodes and meanings; a host that no node answers to becomes one, if the settings say so."""
    if settings.cluster.newcomers:
        return Enricher(cluster, matcher.catalogue, settings.enrich, cluster.newcomer)
    return Enricher(cluster, matcher.catalogue, settings.enrich)


def open_sinks(settings: Settings) -> FanOut:
    """Open every sink, as one."""
    return FanOut(
        {f"sinks.{number} ({config.type})": open_sink(config) for number, config in enumerate(settings.sinks)}
    )


class Part(Protocol):
    """A part of the pipeline that can be reached, or not."""

    async def reach(self) -> str:
        """Return in a few words what answered; raise the part's own error, which says what is missing."""
        ...


def parts(settings: Settings, stack: AsyncExitStack) -> Iterator[tuple[str, Part]]:
    """Open every source, the cluster and every sink, one after the other, to be reached; *stack* closes them."""
    for number, source in enumerate(settings.sources):
        opened = open_source(source, lambda _: True)
        stack.push_async_callback(opened.close)
        yield f"sources.{number} ({source.type})", opened
    yield f"cluster ({settings.cluster.type})", open_cluster(settings, WallClock())
    for number, sink in enumerate(settings.sinks):
        taking = open_sink(sink)
        stack.push_async_callback(taking.close)
        yield f"sinks.{number} ({sink.type})", taking


def runners(cluster: SimulatedCluster, policies: PolicyBook) -> Runners:
    """Every action of a plan, over one cluster."""
    return {
        ActionName.CORDON: CordonRunner(cluster),
        ActionName.DRAIN: DrainRunner(cluster),
        ActionName.REBOOT: RebootRunner(cluster, SimulatedRebooter(cluster)),
        ActionName.UNCORDON: UncordonRunner(cluster),
        ActionName.WARM_STANDBY: StandbyRunner(cluster, lambda: policies.current.standby),
        ActionName.OFFLINE: OfflineRunner(cluster),
    }


def reloads(
    settings: Settings,
    cluster: SimulatedCluster,
    matcher: Matcher,
    enricher: Enricher,
    incidents: Incidents,
    policies: PolicyBook,
) -> list[Reload]:
    """What is read again while the pipeline runs, and where it then takes effect."""

    def read_patterns() -> None:
        patterns = open_patterns(settings)
        matcher.replace(patterns)
        enricher.catalogue = patterns.catalogue
        incidents.forget_skipped()

    return [
        Reload("patterns", [shipped() / "patterns", *settings.patterns], read_patterns),
        Reload("policies", settings.policies, lambda: policies.replace(open_policies(settings, cluster))),
    ]


def build(settings: Settings, pause: Pause, watch: Callable[[Sequence[Record]], None], stack: AsyncExitStack) -> App:
    """Construct the whole pipeline; *stack* closes what was opened, last first. Raises BadInputError."""
    matcher = Matcher(open_patterns(settings))
    sources = [open_source(config, matcher.wanted, matcher.searches) for config in settings.sources]
    clock = WallClock() if any(source.live for source in sources) else ManualClock(BEFORE_ALL_LOGS)
    seen = open_cluster(settings, clock)
    acted_on = twin(seen, clock) if settings.dry_run else seen
    policies = PolicyBook(open_policies(settings, seen), acted_on)
    sink = open_sinks(settings)
    stack.push_async_callback(sink.close)
    for source in sources:
        stack.push_async_callback(source.close)
    store = MemoryStore()
    recorder = Recorder(sink, store, settings.dry_run, watch)
    enricher = open_enricher(settings, seen, matcher)
    incidents = Incidents(settings.guards)
    policies.on_change(incidents.forget_skipped)
    recognition = Recognition(Decoder(settings.decode), matcher, enricher, WallClock())
    intake = Intake(recognition, policies, incidents, store, recorder, settings.guards, clock, settings.execute.settle)
    executor = Executor(
        store, acted_on, runners(acted_on, policies), recorder, settings.guards, clock, settings.execute
    )
    if isinstance(clock, ManualClock):
        present = datetime.now(UTC)
        loop = ReplayLoop(sources, intake, executor, store, policies, clock, pause, present)
        return App(loop, sources, sink, recognition.oddities)
    again = reloads(settings, seen, matcher, enricher, incidents, policies)
    return App(LiveLoop(sources, intake, executor, store, policies, clock, again), sources, sink, recognition.oddities)
