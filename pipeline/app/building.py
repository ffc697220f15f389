"""The whole pipeline, to be run."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.app.executing import executions
from pipeline.app.ports import open_sinks, open_source, open_store, resume_cluster
from pipeline.app.rules import open_patterns, policies_in_force, reloads
from pipeline.clock import ManualClock, WallClock
from pipeline.cluster.memory import SimulatedCluster, twin
from pipeline.deadletters import DeadLetterFile, kept_nowhere
from pipeline.decide.incidents import Incidents
from pipeline.decide.standby import free
from pipeline.decode.envelopes import BootlessDecoder
from pipeline.enrich.labels import Enricher
from pipeline.execute.intake import Intake
from pipeline.execute.leadership import Alone
from pipeline.execute.loops import LiveLoop, ReplayLoop
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Oddities, Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.replay import BEFORE_ALL_LOGS, Pause
from pipeline.match.matcher import Matcher
from pipeline.settings import Settings
from pipeline.sources.port import Source
from pipeline.telemetry import FREE_STANDBYS
from sinks.base import Record, Sink


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


def open_enricher(settings: Settings, cluster: SimulatedCluster, matcher: Matcher) -> Enricher:
    """Open what finds nodes and meanings; a host that no node answers to becomes one, if the settings say so."""
    if settings.cluster.newcomers:
        return Enricher(cluster, matcher.catalogue, settings.enrich, cluster.newcomer)
    return Enricher(cluster, matcher.catalogue, settings.enrich)


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
    live = LiveLoop(
        sources, intake, lambda: executor, store, seen, policies, clock, Alone(), [reload.run for reload in again]
    )
    return App(live, sources, sink, recognition.oddities)
