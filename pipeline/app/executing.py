"""Who executes rescues, and the actions it has."""

import random

from pipeline.app.sites import Site
from pipeline.clock import Clock
from pipeline.cluster.memory import Twin, twin
from pipeline.cluster.port import Cluster
from pipeline.decide.guards import GuardSettings
from pipeline.decide.standby import StandbySettings
from pipeline.execute.actions.cordon import CordonRunner
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.handover import HandOverRunner
from pipeline.execute.actions.offline import OfflineRunner
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.execute.actions.replenish import ReplenishRunner
from pipeline.execute.actions.standby import Choice, StandbyRunner
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.execute.executor import Executor, Runners
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recorder import Recorder
from pipeline.execute.rehearsal import Drills, Execution, Rehearsal, SideBySide
from pipeline.execute.store import RescueStore
from pipeline.execute.store_view import StoreView, acts, is_drill, is_rehearsed
from pipeline.execute.succession import Succession
from pipeline.model.plan import ActionName
from pipeline.rebooters.port import Rebooter
from pipeline.rebooters.simulated import SimulatedRebooter
from pipeline.settings import Settings


def runners(
    cluster: Cluster,
    rebooter: Rebooter,
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
        ActionName.REBOOT: RebootRunner(cluster, rebooter),
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
    site: Site,
    stage: Twin,
    clock: Clock,
    policies: PolicyBook,
    recorder: Recorder,
) -> SideBySide:
    """Who executes rescues: on the cluster, on the *stage* what is rehearsed, on copies of their own the drills.

    Under the global dry run nobody executes on the cluster, also not what was begun before it.
    """

    def executor(rescues: RescueStore, cluster: Cluster, rebooter: Rebooter) -> Executor:
        actions = runners(cluster, rebooter, policies, settings.standby, rescues, settings.guards)
        return Executor(rescues, cluster, actions, recorder, settings.guards, clock, settings.execute)

    def rehearsing(rescues: RescueStore, copy: Twin) -> Executor:
        return executor(rescues, copy, SimulatedRebooter(copy))

    rehearsed, drills = StoreView(site.store, is_rehearsed), StoreView(site.store, is_drill)
    aside: list[Execution] = [
        Rehearsal(rehearsed, rehearsing(rehearsed, stage), stage),
        Drills(drills, lambda: rehearsing(drills, twin(site.cluster, clock))),
    ]
    if settings.dry_run:
        return SideBySide(aside)
    return SideBySide([executor(StoreView(site.store, acts), site.cluster, site.rebooter), *aside])
