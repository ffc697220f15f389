"""A process that is killed at any moment, while guards hold rescues, people take nodes back, and drills are held."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import executions
from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster, twin
from pipeline.cluster.memory.timings import Timings
from pipeline.decide.guards import GuardSettings
from pipeline.decide.policy import PolicySet
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recorder import Recorder
from pipeline.execute.records import records
from pipeline.execute.rehearsal import Execution
from pipeline.model.fault import Drill
from pipeline.model.node import NodePatch, Pod
from pipeline.model.ownership import CORDONED_BY, IGNORE, STANDBY_FOR, WARM_STANDBY
from pipeline.model.plan import Cordon, Drain, EnableWarmStandby, Offline, Reboot, Uncordon
from pipeline.model.rescue import Rescue, Status, StepState
from pipeline.settings import Settings, SimulatedClusterConfig
from pipeline.sources.stdin import StdinSourceConfig
from sinks.file import FileSinkConfig
from tests.fakes.faults import NOON, fault, line, node_fault, plan, rescue
from tests.fakes.judged import JudgedCluster
from tests.fakes.killing import KilledError, Killer, KillingSink, KillingStore
from tests.fakes.loops import simulated_site
from tests.fakes.world import World, gpu_node

_MINUTE = timedelta(minutes=1)
_CLIQUE = {"nvidia.com/gpu.clique": "c1", "app": "train"}
_FULL = (Cordon(), Drain(), Reboot(), Uncordon())
_WITH_STANDBY = (Cordon(), EnableWarmStandby(), Drain(), Reboot(), Uncordon())
_MOST_MOMENTS = 600
_SECONDS = timedelta(seconds=10)
_QUICK = Timings(unnoticed=_SECONDS, boot=2 * _SECONDS, ready=_SECONDS, gpus=_SECONDS)

People = Callable[[SimulatedCluster], object]


def _full(node: str, after: timedelta = timedelta(0), **given: Any) -> Rescue:
    return rescue(f"{node}-r", node, NOON + after, plan=plan(*_FULL), **given)


def _rebooted(ago: timedelta) -> Rescue:
    """A rescue that has rebooted gpu-1 and ended."""
    at = NOON - ago
    done = StepState(Status.SUCCEEDED, at, at, memo={"boot_id": "before", "rebooted_at": at.isoformat()})
    before = rescue("gpu-1-before", now=at - _MINUTE, plan=plan(*_FULL))
    return replace(before, status=Status.SUCCEEDED, steps=(done,) * 4, ended=at)


def _drill(node: str) -> Rescue:
    drilled = fault(79, line=line(node=node), drill=Drill.DRY)
    cause = node_fault(node=node, fault=drilled)
    return rescue(f"{node}-drill", node, cause=cause, plan=replace(plan(*_FULL), dry_run=True))


@dataclass(frozen=True)
class Scene:
    """What is asked for and what happens meanwhile; how each rescue ends, and which nodes are rebooted and schedulable.

    `most` is how many nodes may be out at a time.
    """

    rescues: Sequence[Rescue]
    ends: Mapping[str, str]
    reboots: Sequence[str]
    schedulable: Mapping[str, bool]
    guards: Mapping[str, Any] = field(default_factory=dict)
    people: Mapping[timedelta, People] = field(default_factory=dict)
    most: int = 9


_SCENES = {
    "the breaker holds the second one": Scene(
        [_full("gpu-1"), _full("gpu-2", _MINUTE)],
        {"gpu-1-r": "Succeeded", "gpu-2-r": "Succeeded"},
        ["gpu-1", "gpu-2"],
        {"gpu-1": True, "gpu-2": True},
        {"max_nodes": 1},
        most=1,
    ),
    "a node goes offline while the breaker holds another": Scene(
        [rescue("gpu-1-r", plan=plan(Cordon(), Drain(), Offline())), _full("gpu-2", _MINUTE)],
        {"gpu-1-r": "Succeeded", "gpu-2-r": "stale"},
        [],
        {"gpu-1": False, "gpu-2": True},
        {"max_nodes": 1, "breaker_window": "1day", "max_hold": "5min"},
        most=1,
    ),
    "a maintenance window comes later": Scene(
        [_full("gpu-1")],
        {"gpu-1-r": "Succeeded"},
        ["gpu-1"],
        {"gpu-1": True},
        {"windows": {"allow": [{"from": "12:01", "to": "13:30"}]}},
    ),
    "the node cools down": Scene(
        [_rebooted(9 * _MINUTE), _full("gpu-1")],
        {"gpu-1-before": "Succeeded", "gpu-1-r": "Succeeded"},
        ["gpu-1"],
        {"gpu-1": True},
    ),
    "a fault of the fabric": Scene(
        [_full(f"gpu-{number}") for number in (1, 2, 3)],
        {f"gpu-{number}-r": "stale" for number in (1, 2, 3)},
        [],
        {f"gpu-{number}": False for number in (1, 2, 3)},
        {"fabric": {"nodes": 3}, "max_hold": "5min"},
    ),
    "somebody uncordons a node of a fabric incident": Scene(
        [_full(f"gpu-{number}") for number in (1, 2, 3)],
        {"gpu-1-r": "uncordoned", "gpu-2-r": "stale", "gpu-3-r": "stale"},
        [],
        {"gpu-1": True, "gpu-2": False, "gpu-3": False},
        {"fabric": {"nodes": 3}, "max_hold": "5min"},
        people={2 * _MINUTE: lambda cluster: cluster.uncordon_by_hand("gpu-1")},
    ),
    "somebody opts the node out": Scene(
        [_full("gpu-1")],
        {"gpu-1-r": "opted-out"},
        [],
        {"gpu-1": False},
        people={
            timedelta(seconds=5): lambda cluster: cluster.edit_node("gpu-1", NodePatch(annotations={IGNORE: "true"}))
        },
    ),
    "somebody uncordons the node, whose standby goes back": Scene(
        [rescue("gpu-1-r", plan=plan(*_WITH_STANDBY))],
        {"gpu-1-r": "uncordoned"},
        [],
        {"gpu-1": True, "spare": False},
        people={timedelta(seconds=5): lambda cluster: cluster.uncordon_by_hand("gpu-1")},
    ),
    "somebody had cordoned the node": Scene(
        [_full("gpu-3", timedelta(0))],
        {"gpu-3-r": "Succeeded"},
        ["gpu-3"],
        {"gpu-3": False},
        people={timedelta(0): lambda cluster: cluster.cordon_by_hand("gpu-3")},
    ),
    "a drill is held beside a real one": Scene(
        [_full("gpu-1"), _drill("gpu-1")],
        {"gpu-1-r": "Succeeded"},
        ["gpu-1"],
        {"gpu-1": True},
    ),
}


def _world(scene: Scene, killer: Killer) -> World:
    clock = ManualClock(NOON)
    nodes = [gpu_node(f"gpu-{number}", labels=_CLIQUE) for number in (1, 2, 3)]
    spare = gpu_node("spare", labels={WARM_STANDBY: "true"}, unschedulable=True)
    pods = [Pod("team", "train-0", "gpu-1", owner="Job")]
    cluster = JudgedCluster(clock, [*nodes, spare], pods, timings=_QUICK)
    cluster.killer = killer
    guards = GuardSettings.model_validate({"max_percent": 100, **scene.guards})
    return World(cluster=cluster, store=KillingStore(killer), sink=KillingSink(killer), guards=guards, clock=clock)


def _process(world: World) -> Execution:
    """All who execute, as a new process sets them up."""
    settings = Settings(
        sources=[StdinSourceConfig(type="stdin")],
        cluster=SimulatedClusterConfig(type="simulated"),
        sinks=[FileSinkConfig(type="file", path=Path("unused"))],
        guards=world.guards,
    )
    stage, recorder = twin(world.cluster, world.clock), Recorder(world.sink, world.store)
    policies = PolicyBook(PolicySet(), world.cluster)
    return executions(settings, simulated_site(world.cluster, world.store), stage, world.clock, policies, recorder)


async def _play(scene: Scene, killer: Killer) -> World:
    world = _world(scene, killer)
    people = dict(scene.people)
    for _ in range(2):
        try:
            for one in scene.rescues:
                await world.store.create(one)
            await _to_the_end(scene, world, people)
            break
        except KilledError:
            pass
        except BaseExceptionGroup as group:
            assert group.subgroup(KilledError) is not None
    return world


async def _to_the_end(scene: Scene, world: World, people: dict[timedelta, People]) -> None:
    process = _process(world)
    while True:
        for moment in sorted(moment for moment in people if NOON + moment <= world.clock.now()):
            people.pop(moment)(world.cluster)
        due = await process.tick()
        nodes = world.cluster.nodes().values()
        out = [node.name for node in nodes if node.unschedulable and CORDONED_BY in node.annotations]
        assert len(out) <= scene.most, killer_of(world)
        if due is None:
            return
        world.clock.move_to(min([due, *(NOON + moment for moment in people)]))


def killer_of(world: World) -> str | None:
    """Where the process was killed, for people."""
    assert isinstance(world.cluster, JudgedCluster)
    return world.cluster.killer.killed


@pytest.mark.parametrize("name", _SCENES)
async def test_a_kill_at_every_moment_changes_no_outcome(name: str) -> None:
    scene, at = _SCENES[name], 0
    while at < _MOST_MOMENTS:
        killer = Killer(at)
        world = await _play(scene, killer)
        ended = {one.name: str(one.reason or one.status) for one in world.store.all()}
        assert {one: ended[one] for one in scene.ends} == dict(scene.ends), killer.killed
        assert all(one.status.ended for one in world.store.all()), killer.killed
        assert sorted(reboot.node for reboot in world.cluster.reboots) == list(scene.reboots), killer.killed
        nodes = world.cluster.nodes()
        assert {node: not nodes[node].unschedulable for node in scene.schedulable} == scene.schedulable, killer.killed
        assert [node.name for node in nodes.values() if STANDBY_FOR in node.annotations] == [], killer.killed
        expected = [record.id for one in world.store.all() for record in records(one)]
        assert sorted(record.id for record in world.sink.records) == sorted(expected), killer.killed
        if at and killer.killed is None:
            assert at > 20
            return
        at += 1
    raise AssertionError(f"more than {_MOST_MOMENTS} moments")
