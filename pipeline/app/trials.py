"""A backtest: trials of policies on past logs."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.app.executing import runners
from pipeline.app.rules import open_patterns
from pipeline.app.snapshots import open_snapshot, snapshot_policies
from pipeline.backtest.backtest import Backtest, Span
from pipeline.backtest.ledger import Ledger
from pipeline.backtest.logs import PastLog
from pipeline.backtest.reading import MatchedOnce, Reading, Told
from pipeline.backtest.store import TrialStore
from pipeline.backtest.trial import Trial
from pipeline.clock import ManualClock, WallClock
from pipeline.decide.incidents import Incidents
from pipeline.decode.envelopes import BootlessDecoder
from pipeline.enrich.labels import Enricher
from pipeline.execute.executor import Executor
from pipeline.execute.intake import Intake
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.replay import BEFORE_ALL_LOGS, Replay
from pipeline.match.matcher import Matcher
from pipeline.rebooters.simulated import SimulatedRebooter
from pipeline.settings import Settings


async def _at_once(_: timedelta) -> None:
    """Nobody watches a backtest: the next moment comes at once."""


def open_trial(settings: Settings, matcher: Matcher, present: datetime) -> Trial:
    """Open one trial of a backtest: the settings' policies over a simulated cluster that nobody else has a hand in."""
    clock = ManualClock(BEFORE_ALL_LOGS)
    cluster = open_snapshot(settings, clock)
    policies = PolicyBook(snapshot_policies(settings, cluster), cluster)
    enricher = Enricher(cluster, matcher.catalogue, settings.enrich, cluster.newcomer)
    ledger = Ledger()
    store, guards = TrialStore(ledger), settings.guards
    recorder = Recorder(ledger, store)
    recognition = Recognition(BootlessDecoder(settings.decode), matcher, enricher, WallClock())
    intake = Intake(recognition, policies, Incidents(guards), store, recorder, guards, clock, settings.execute.settle)
    actions = runners(
        cluster,
        SimulatedRebooter(cluster),
        policies,
        settings.standby,
        store,
        guards,
        choose=lambda standbys: standbys[0],
    )
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
