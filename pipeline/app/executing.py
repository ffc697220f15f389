"""Who executes rescues, and the actions it has."""

import random

from pipeline.clock import Clock
from pipeline.cluster.memory import SimulatedCluster, Twin, twin
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
from pipeline.rebooters.simulated import SimulatedRebooter
from pipeline.settings import Settings


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
