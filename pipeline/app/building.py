"""The whole pipeline, to be run."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from pipeline.api.readiness import Lack, Readiness
from pipeline.app.executing import executions
from pipeline.app.ports import open_sinks, open_source
from pipeline.app.rules import InForce, first_policies, follow_patterns, follow_policies, open_patterns
from pipeline.app.sites import Site, open_site
from pipeline.clock import ManualClock, WallClock
from pipeline.cluster.memory import twin
from pipeline.deadletters import DeadLetterFile, kept_nowhere
from pipeline.decide.incidents import Incidents
from pipeline.decide.standby import free
from pipeline.decode.envelopes import BootlessDecoder
from pipeline.enrich.labels import Enricher
from pipeline.execute.announcements import Announcements
from pipeline.execute.intake import Intake
from pipeline.execute.loops import LiveLoop, ReplayLoop
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Oddities, Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.rehearsal import Execution
from pipeline.execute.replay import BEFORE_ALL_LOGS, Pause
from pipeline.match.matcher import Matcher
from pipeline.settings import Settings
from pipeline.sources.kafka.source import KafkaSource
from pipeline.sources.port import Source
from pipeline.telemetry import FREE_STANDBYS
from sinks.base import Record, Sink

Watch = Callable[[Sequence[Record]], None]


@dataclass(frozen=True, slots=True)
class App:
    """A pipeline put together: run it, and read off it what it has read."""

    loop: LiveLoop | ReplayLoop
    sources: Sequence[Source]
    sink: Sink
    oddities: Oddities
    readiness: Readiness

    @property
    def simulated_time(self) -> bool:
        """Whether it runs on the log's own time."""
        return isinstance(self.loop, ReplayLoop)

    @property
    def lines_read(self) -> int:
        """How many lines the sources have read, noise included."""
        return sum(source.read for source in self.sources)


def readiness(site: Site, in_force: InForce, sources: Sequence[Source]) -> Readiness:
    """Return what says whether lines can be read and acted on."""
    lacks: dict[str, Lack] = {
        "cluster": lambda: None if in_force.known() else "its nodes and policies are not known yet",
        "store": lambda: None if site.store.synced else "its rescues are not known yet",
    }
    kafka = {f"sources.{n}": source for n, source in enumerate(sources) if isinstance(source, KafkaSource)}
    return Readiness({**lacks, **{name: partial(getattr, source, "trouble") for name, source in kafka.items()}})


def announcing(settings: Settings, site: Site, watch: Watch, stack: AsyncExitStack) -> Watch:
    """Return who is shown every record that is safe: *watch*, and people at the nodes where the cluster has events."""
    if site.announcer is None:
        return watch
    announcements = Announcements(site.announcer, settings.events.language)
    stack.push_async_callback(announcements.close)

    def show(batch: Sequence[Record]) -> None:
        watch(batch)
        announcements.show(batch)

    return show


def build(settings: Settings, pause: Pause, watch: Watch, stack: AsyncExitStack) -> App:
    """Construct the whole pipeline; *stack* closes what was opened, last first. Raises BadInputError."""
    matcher = Matcher(open_patterns(settings))
    sources = [open_source(config, matcher.wanted, matcher.searches) for config in settings.sources]
    clock = WallClock() if any(source.live for source in sources) else ManualClock(BEFORE_ALL_LOGS)
    site = open_site(settings, clock, stack)
    stage = twin(site.cluster, clock)
    policies = PolicyBook(first_policies(settings, site), stage if settings.dry_run else site.cluster, clock)
    sink = open_sinks(settings)
    stack.push_async_callback(sink.close)
    for source in sources:
        stack.push_async_callback(source.close)
    FREE_STANDBYS.set_function(lambda: len(free(site.cluster.nodes(), settings.standby.label)))
    recorder = Recorder(sink, site.store, announcing(settings, site, watch, stack))
    enricher = Enricher(site.cluster, matcher.catalogue, settings.enrich, site.newcomer)
    incidents = Incidents(settings.guards)
    policies.on_change(incidents.forget_skipped)
    aside = settings.decode.dead_letter_file
    keep = DeadLetterFile(aside).put if aside else kept_nowhere
    recognition = Recognition(BootlessDecoder(settings.decode), matcher, enricher, WallClock(), keep)
    settle = settings.execute.settle
    intake = Intake(recognition, policies, incidents, site.store, recorder, settings.guards, clock, settle)

    def executing() -> Execution:
        return executions(settings, site, stage, clock, policies, recorder)

    if isinstance(clock, ManualClock):
        present = datetime.now(UTC)
        replay = ReplayLoop(sources, intake, executing(), site.store, policies, clock, pause, present)
        return App(replay, sources, sink, recognition.oddities, Readiness({}))
    in_force = follow_policies(settings, site, policies)
    patterns = follow_patterns(settings, matcher, enricher, incidents)
    beside = [*site.companions, in_force.companion, patterns]
    stores = site.store, in_force.known, policies, clock
    live = LiveLoop(sources, intake, executing, *stores, site.leadership, beside)
    return App(live, sources, sink, recognition.oddities, readiness(site, in_force, sources))
