"""The only file that constructs components: from settings to a pipeline that runs."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, assert_never

from pipeline.backtest.backtest import Backtest, Span
from pipeline.backtest.ledger import Ledger
from pipeline.backtest.logs import PastLog
from pipeline.backtest.reading import MatchedOnce, Reading, Told
from pipeline.backtest.store import TrialStore
from pipeline.backtest.trial import Trial
from pipeline.clock import Clock, ManualClock, WallClock
from pipeline.cluster.memory import LastingCluster, SimulatedCluster, Twin, load_cluster, twin
from pipeline.deadletters import DeadLetterFile, kept_nowhere
from pipeline.decide.guards import GuardSettings
from pipeline.decide.incidents import Incidents
from pipeline.decide.policy import PolicySet, read_policies
from pipeline.decide.standby import StandbySettings, free
from pipeline.decode.envelopes import BootlessDecoder
from pipeline.documents import Document, read_documents
from pipeline.enrich.labels import Enricher
from pipeline.execute.actions.cordon import CordonRunner
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.handover import HandOverRunner
from pipeline.execute.actions.offline import OfflineRunner
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.execute.actions.replenish import ReplenishRunner
from pipeline.execute.actions.standby import Choice, StandbyRunner
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.execute.executor import Executor, Runners
from pipeline.execute.intake import Intake
from pipeline.execute.loops import LiveLoop, ReplayLoop
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Oddities, Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.rehearsal import Drills, Execution, Rehearsal, SideBySide
from pipeline.execute.reload import Reload
from pipeline.execute.replay import BEFORE_ALL_LOGS, Pause, Replay
from pipeline.execute.store import RescueStore
from pipeline.execute.store_lock import InUseError, not_yet
from pipeline.execute.store_memory import MemoryStore
from pipeline.execute.store_sqlite import SqliteStore
from pipeline.execute.store_view import StoreView, acts, is_drill, is_rehearsed
from pipeline.execute.succession import Succession
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import PatternSet, load_patterns
from pipeline.model.plan import ActionName
from pipeline.rebooters.simulated import SimulatedRebooter
from pipeline.settings import (
    MemoryStoreConfig,
    Settings,
    SinkConfig,
    SourceConfig,
    SqliteStoreConfig,
    StoreConfig,
    shipped,
)
from pipeline.sources.file import FileSource, FileSourceConfig
from pipeline.sources.inlet import FileInlet, Inlet
from pipeline.sources.kafka.inlet import KafkaInlet
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.source import KafkaSource
from pipeline.sources.kmsg import KmsgSource, KmsgSourceConfig
from pipeline.sources.port import Search, Source, Wanted
from pipeline.sources.stdin import StdinSource, StdinSourceConfig
from pipeline.telemetry import FREE_STANDBYS, REFUSED_RECORDS, SPOOLED_BYTES, SPOOLED_RECORDS
from sinks.base import Record, Sink
from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig
from sinks.fanout import FanOut
from sinks.file import FileSink, FileSinkConfig
from sinks.spool import SpooledSink
from sinks.spoolfiles import SpoolConfig, Waiting


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


def policies_in_force(settings: Settings, cluster: SimulatedCluster) -> PolicySet:
    """Load the policies; under the global dry run all that they plan is rehearsed only."""
    policies = open_policies(settings, cluster)
    return policies.rehearsed() if settings.dry_run else policies


def policy_documents(paths: Sequence[Path]) -> list[Document]:
    """Read every policy manifest of files and folders."""
    found = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    return [document for file in found for document in read_documents(file)]


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


def elasticsearch_sinks(settings: Settings) -> list[ElasticsearchSink]:
    """Open the sinks that need something put in place in Elasticsearch."""
    return [ElasticsearchSink(config) for config in settings.sinks if isinstance(config, ElasticsearchSinkConfig)]


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


def open_inlet(config: SourceConfig) -> Inlet | None:
    """Open the other end of a source, where drills are put in; None where a running pipeline would not read them."""
    match config:
        case FileSourceConfig():
            return FileInlet(config.path) if config.follow else None
        case KafkaSourceConfig():
            return KafkaInlet(config)
        case StdinSourceConfig() | KmsgSourceConfig():
            return None
        case _:
            assert_never(config)


def open_cluster(settings: Settings, clock: Clock) -> SimulatedCluster:
    """Open the cluster whose nodes are rescued."""
    config = settings.cluster
    return load_cluster(config.nodes, clock, SimulatedCluster) if config.nodes else SimulatedCluster(clock)


def recall_cluster(settings: Settings, clock: Clock) -> SimulatedCluster:
    """Open the cluster as the last process has left it, if the settings keep its state; what is done to it is lost."""
    config = settings.cluster
    if config.state is None:
        return open_cluster(settings, clock)
    cluster = load_cluster(config.nodes, clock, LastingCluster) if config.nodes else LastingCluster(clock)
    cluster.recall(config.state)
    return cluster


def resume_cluster(settings: Settings, clock: Clock) -> SimulatedCluster:
    """Open it so, and have what is done to it kept, if the settings keep its state."""
    cluster = recall_cluster(settings, clock)
    if isinstance(cluster, LastingCluster):
        cluster.go_on()
    return cluster


def open_store(config: StoreConfig) -> MemoryStore | SqliteStore:
    """Open the store of rescues; raises BadInputError."""
    match config:
        case MemoryStoreConfig():
            return MemoryStore()
        case SqliteStoreConfig():
            return SqliteStore(config.path)
        case _:
            assert_never(config)


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


class StoreOnCall:
    """A store that is opened when it is reached, and let go of again; none is made."""

    def __init__(self, config: StoreConfig) -> None:
        self._config = config

    async def reach(self) -> str:
        """Tell what is in it, or that a pipeline works with it; raise BadInputError if it cannot serve."""
        if isinstance(self._config, SqliteStoreConfig) and not self._config.path.exists():
            return not_yet(self._config.path)
        try:
            store = open_store(self._config)
        except InUseError:
            return "in use by a process that runs"
        try:
            return await store.reach()
        finally:
            await store.close()


def parts(settings: Settings, stack: AsyncExitStack) -> Iterator[tuple[str, Part]]:
    """Open every source, the cluster and every sink, one after the other, to be reached; *stack* closes them."""
    for number, source in enumerate(settings.sources):
        opened = open_source(source, lambda _: True)
        stack.push_async_callback(opened.close)
        yield f"sources.{number} ({source.type})", opened
    yield f"cluster ({settings.cluster.type})", recall_cluster(settings, WallClock())
    yield f"store ({settings.store.type})", StoreOnCall(settings.store)
    for number, sink in enumerate(settings.sinks):
        taking = open_sink(sink)
        stack.push_async_callback(taking.close)
        yield f"sinks.{number} ({sink.type})", taking


def runners(
    cluster: SimulatedCluster,
    policies: PolicyBook,
    standby: StandbySettings,
    store: RescueStore,
    guards: GuardSettings,
    choose: Choice = random.choice,
) -> Runners:
    """Every action of a plan, over one cluster; *choose* picks one of several warm standbys."""
    uncordon = UncordonRunner(cluster)
    replenish = ReplenishRunner(cluster, uncordon, lambda: policies.current.standby, standby.label)

    def failing() -> set[str]:
        return {rescue.node for rescue in store.open()}

    return {
        ActionName.CORDON: CordonRunner(cluster),
        ActionName.DRAIN: DrainRunner(cluster),
        ActionName.REBOOT: RebootRunner(cluster, SimulatedRebooter(cluster)),
        ActionName.UNCORDON: HandOverRunner(
            cluster, replenish if standby.replenish else uncordon, Succession(store, cluster, guards).begin
        ),
        ActionName.WARM_STANDBY: StandbyRunner(
            cluster, lambda: policies.current.standby, standby.label, failing, choose
        ),
        ActionName.OFFLINE: OfflineRunner(cluster),
    }


def executions(
    settings: Settings,
    seen: SimulatedCluster,
    stage: Twin,
    clock: Clock,
    policies: PolicyBook,
    store: RescueStore,
    recorder: Recorder,
) -> SideBySide:
    """Who executes rescues: on the cluster, on the *stage* what is rehearsed, on copies of their own the drills.

    Under the global dry run nobody executes on the cluster, also not what was begun before it.
    """

    def executor(rescues: RescueStore, cluster: SimulatedCluster) -> Executor:
        actions = runners(cluster, policies, settings.standby, rescues, settings.guards)
        return Executor(rescues, cluster, actions, recorder, settings.guards, clock, settings.execute)

    rehearsed, drills = StoreView(store, is_rehearsed), StoreView(store, is_drill)
    aside: list[Execution] = [
        Rehearsal(rehearsed, executor(rehearsed, stage), stage),
        Drills(drills, lambda: executor(drills, twin(seen, clock))),
    ]
    return SideBySide(aside if settings.dry_run else [executor(StoreView(store, acts), seen), *aside])


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
        Reload("policies", settings.policies, lambda: policies.replace(policies_in_force(settings, cluster))),
    ]


def build(settings: Settings, pause: Pause, watch: Callable[[Sequence[Record]], None], stack: AsyncExitStack) -> App:
    """Construct the whole pipeline; *stack* closes what was opened, last first. Raises BadInputError."""
    matcher = Matcher(open_patterns(settings))
    sources = [open_source(config, matcher.wanted, matcher.searches) for config in settings.sources]
    clock = WallClock() if any(source.live for source in sources) else ManualClock(BEFORE_ALL_LOGS)
    # First of all that has a file: a process that works with it already, with the same settings, is left in peace.
    store = open_store(settings.store)
    stack.push_async_callback(store.close)
    seen = resume_cluster(settings, clock)
    stage = twin(seen, clock)
    policies = PolicyBook(policies_in_force(settings, seen), stage if settings.dry_run else seen)
    sink = open_sinks(settings)
    stack.push_async_callback(sink.close)
    for source in sources:
        stack.push_async_callback(source.close)
    FREE_STANDBYS.set_function(lambda: len(free(seen.nodes(), settings.standby.label)))
    recorder = Recorder(sink, store, watch)
    enricher = open_enricher(settings, seen, matcher)
    incidents = Incidents(settings.guards)
    policies.on_change(incidents.forget_skipped)
    aside = settings.decode.dead_letter_file
    keep = DeadLetterFile(aside).put if aside else kept_nowhere
    recognition = Recognition(BootlessDecoder(settings.decode), matcher, enricher, WallClock(), keep)
    intake = Intake(recognition, policies, incidents, store, recorder, settings.guards, clock, settings.execute.settle)
    executor = executions(settings, seen, stage, clock, policies, store, recorder)
    if isinstance(clock, ManualClock):
        present = datetime.now(UTC)
        loop = ReplayLoop(sources, intake, executor, store, policies, clock, pause, present)
        return App(loop, sources, sink, recognition.oddities)
    again = reloads(settings, seen, matcher, enricher, incidents, policies)
    live = LiveLoop(sources, intake, executor, store, seen, policies, clock, again)
    return App(live, sources, sink, recognition.oddities)


async def _at_once(_: timedelta) -> None:
    """Nobody watches a backtest: the next moment comes at once."""


def open_trial(settings: Settings, matcher: Matcher, present: datetime) -> Trial:
    """Open one trial of a backtest: the settings' policies over a simulated cluster that nobody else has a hand in."""
    clock = ManualClock(BEFORE_ALL_LOGS)
    cluster = open_cluster(settings, clock)
    policies = PolicyBook(open_policies(settings, cluster), cluster)
    enricher = Enricher(cluster, matcher.catalogue, settings.enrich, cluster.newcomer)
    ledger = Ledger()
    store, guards = TrialStore(ledger), settings.guards
    recorder = Recorder(ledger, store)
    recognition = Recognition(BootlessDecoder(settings.decode), matcher, enricher, WallClock())
    intake = Intake(recognition, policies, Incidents(guards), store, recorder, guards, clock, settings.execute.settle)
    actions = runners(cluster, policies, settings.standby, store, guards, choose=lambda standbys: standbys[0])
    executor = Executor(store, cluster, actions, recorder, guards, clock, settings.execute)
    replay = Replay(intake, executor, store, clock, _at_once, present)
    names = [str(path) for path in settings.policies]
    return Trial(names, replay, enricher, cluster, ledger, nodes=len(cluster.nodes()))


def build_backtest(
    settings: Settings, sets: Sequence[Sequence[Path]], logs: Sequence[PastLog], span: Span, told: Told
) -> Backtest:
    """Construct a backtest: one trial for each set of policies, otherwise by the settings. Raises BadInputError."""
    matcher, present = MatchedOnce(open_patterns(settings)), datetime.now(UTC)
    trials = [open_trial(settings.model_copy(update={"policies": list(paths)}), matcher, present) for paths in sets]
    return Backtest(
        Reading(logs, BootlessDecoder(settings.decode), matcher.wanted, present, told), matcher, span, trials
    )
