"""A cluster, a store and a sink that outlive the executor, and executors over them: what a test of execution needs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster
from pipeline.decide.guards import GuardSettings
from pipeline.decide.standby import StandbySettings
from pipeline.execute.actions.cordon import CordonRunner
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.handover import Begin, HandOverRunner
from pipeline.execute.actions.offline import OfflineRunner
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.execute.actions.replenish import ReplenishRunner
from pipeline.execute.actions.standby import StandbyRunner
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.execute.executor import Executor, Runners
from pipeline.execute.recorder import Recorder
from pipeline.execute.settings import ExecuteSettings
from pipeline.execute.store import RescueStore
from pipeline.execute.store_memory import MemoryStore
from pipeline.execute.succession import Succession
from pipeline.model.node import Node, Pod
from pipeline.model.plan import ActionName
from pipeline.model.rescue import Rescue
from pipeline.rebooters.port import Rebooter
from pipeline.rebooters.simulated import SimulatedRebooter
from tests.fakes.faults import NOON
from tests.fakes.sinks import WatchedSink

_LONGEST = timedelta(days=2)


def gpu_node(name: str = "gpu-1", **given: Any) -> Node:
    """A node with eight GPUs."""
    values = {"resource_version": "", "gpus": 8, "gpus_allocatable": 8, "labels": {"app": "train"}, **given}
    return Node(name, **values)


async def _nobody(rescue: Rescue, now: datetime) -> str | None:
    return None


def runners(
    cluster: SimulatedCluster, rebooter: Rebooter, standby: StandbySettings | None = None, begin: Begin = _nobody
) -> Runners:
    """Every action, over one cluster; *begin* has the heir of a rescue begin."""
    standby = standby or StandbySettings()
    uncordon = UncordonRunner(cluster)
    replenish = ReplenishRunner(cluster, uncordon, lambda: (), standby.label)
    return {
        ActionName.CORDON: CordonRunner(cluster),
        ActionName.DRAIN: DrainRunner(cluster),
        ActionName.REBOOT: RebootRunner(cluster, rebooter),
        ActionName.UNCORDON: HandOverRunner(cluster, replenish if standby.replenish else uncordon, begin),
        ActionName.WARM_STANDBY: StandbyRunner(cluster, lambda: (), standby.label, lambda: (), lambda nodes: nodes[0]),
        ActionName.OFFLINE: OfflineRunner(cluster),
    }


class World:
    """What outlives an executor."""

    def __init__(
        self,
        nodes: Sequence[Node] = (),
        pods: Sequence[Pod] = (),
        *,
        cluster: SimulatedCluster | None = None,
        store: RescueStore | None = None,
        sink: WatchedSink | None = None,
        rebooter: Rebooter | None = None,
        guards: GuardSettings | None = None,
        standby: StandbySettings | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.clock = clock or ManualClock(NOON)
        self.cluster = cluster or SimulatedCluster(self.clock, nodes or [gpu_node()], pods)
        self.store: RescueStore = store or MemoryStore()
        self.sink = sink or WatchedSink()
        self.rebooter = rebooter or SimulatedRebooter(self.cluster)
        self.guards = guards or GuardSettings(max_percent=100)
        self.standby = standby or StandbySettings()
        self.settle = timedelta(0)
        self.executor = self.new_executor()

    def new_executor(self) -> Executor:
        """Another process over the same world."""
        recorder = Recorder(self.sink, self.store)
        begin = Succession(self.store, self.cluster, self.guards).begin
        actions = runners(self.cluster, self.rebooter, self.standby, begin)
        settings = ExecuteSettings(settle=self.settle)
        return Executor(self.store, self.cluster, actions, recorder, self.guards, self.clock, settings)

    def settles(self, settle: timedelta) -> None:
        """From now on rescues wait so long after their cordon."""
        self.settle = settle
        self.executor = self.new_executor()

    async def run(self, until: datetime | None = None) -> None:
        """Let time pass until every rescue has ended, or until *until*; the clock stops where that is."""
        end = until or self.clock.now() + _LONGEST
        while (due := await self.executor.tick()) is not None and due <= end:
            self.clock.move_to(due)
        if until is not None:
            self.clock.move_to(until)

    def rescue(self, name: str = "gpu-1-xid-79-abc") -> Rescue:
        """The rescue of that name."""
        found = self.store.get(name)
        assert found is not None
        return found

    @property
    def actions(self) -> list[str]:
        """The `event.action` of every record, in the order of writing."""
        return [str(record.document["event"]["action"]) for record in self.sink.records]
