"""What holds for a simulated cluster whatever is done to it, and however often somebody looks."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.cluster.memory import Budget, SimulatedCluster, Watch, twin
from pipeline.cluster.port import EventType
from pipeline.errors import PermanentError, TemporaryError
from pipeline.model.node import Node, NodePatch, Pod

START = datetime(2026, 1, 1, tzinfo=UTC)
NODES = ("a", "b", "c")
APP = {"app": "demo"}
WANTED = 2

Deed = Callable[[SimulatedCluster], Coroutine[Any, Any, None]]


def _deed(kind: str, node: str, number: int) -> Deed:
    async def do(cluster: SimulatedCluster) -> None:
        pods = list(await cluster.pods_on(node))
        try:
            match kind:
                case "reboot":
                    cluster.reboot(node, str(number))
                case "cordon":
                    cluster.cordon_by_hand(node)
                case "uncordon":
                    cluster.uncordon_by_hand(node)
                case "label":
                    cluster.edit_node(node, NodePatch(labels={"n": str(number)}))
                case "evict" if pods:
                    await cluster.evict(pods[number % len(pods)])
                case "delete" if pods:
                    await cluster.delete_pod(pods[number % len(pods)], timedelta(seconds=number))
                case "remove":
                    cluster.delete_node(node)
                case "add":
                    cluster.add_node(Node(node, "", gpus=8, gpus_allocatable=8))
        except (TemporaryError, PermanentError):
            # A refusal is an answer too; what must hold is asserted of the cluster.
            return

    return do


KINDS = ("reboot", "cordon", "uncordon", "label", "evict", "delete", "remove", "add")
DEEDS = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.builds(_deed, st.sampled_from(KINDS), st.sampled_from(NODES), st.integers(0, 5)),
    ),
    max_size=25,
)


def _cluster() -> tuple[ManualClock, SimulatedCluster]:
    clock = ManualClock(START)
    owners = ("ReplicaSet", "StatefulSet", "DaemonSet", "Job", None)
    pods = [
        Pod("x", f"{owner}-{node}{i}", node, owner, labels=APP if owner == "ReplicaSet" else {})
        for node in NODES
        for i, owner in enumerate(owners)
    ]
    cluster = SimulatedCluster(clock, [Node(name, "", gpus=8, gpus_allocatable=8) for name in NODES], pods)
    cluster.add_budget(Budget("demo", "x", APP, min_available=WANTED))
    return clock, cluster


async def _state(cluster: SimulatedCluster) -> object:
    return cluster.nodes(), [list(await cluster.pods_on(node)) for node in ("", *NODES)], cluster.reboots


@settings(deadline=None, max_examples=60)
@given(deeds=DEEDS, looks=st.integers(1, 7))
def test_looking_more_often_changes_nothing(deeds: list[tuple[int, Deed]], looks: int) -> None:
    """Time is settled when somebody looks; the outcome must not depend on when that is."""

    async def play(steps: int) -> object:
        clock, cluster = _cluster()
        for seconds, deed in deeds:
            begin = clock.now()
            for step in range(1, steps + 1):
                clock.move_to(begin + timedelta(seconds=seconds) * step / steps)
                cluster.settle()
            await deed(cluster)
        clock.move_to(clock.now() + timedelta(hours=1))
        assert cluster.next_change() is None
        return await _state(cluster)

    assert asyncio.run(play(1)) == asyncio.run(play(looks))


@settings(deadline=None, max_examples=60)
@given(deeds=DEEDS)
def test_a_watch_adds_up_to_the_nodes(deeds: list[tuple[int, Deed]]) -> None:
    async def play() -> None:
        clock, cluster = _cluster()
        watch, generation = cluster.watch(), cluster.generation
        for seconds, deed in deeds:
            clock.move_to(clock.now() + timedelta(seconds=seconds))
            await deed(cluster)
        cluster.settle()
        nodes, versions = await _replayed(watch, cluster.generation - generation + len(NODES))
        assert nodes == cluster.nodes()
        assert versions == sorted(set(versions))

    asyncio.run(play())


async def _replayed(watch: Watch, count: int) -> tuple[dict[str, Node], list[int]]:
    nodes: dict[str, Node] = {}
    versions = []
    for _ in range(count):
        event = await anext(watch)
        if event.type is EventType.DELETED:
            del nodes[event.node.name]
        else:
            nodes[event.node.name] = event.node
            versions.append(int(event.node.resource_version))
    return nodes, versions


@settings(deadline=None, max_examples=60)
@given(steps=st.lists(st.tuples(st.integers(0, 20), st.sampled_from(NODES), st.integers(0, 9)), max_size=40))
def test_evictions_alone_never_break_a_budget(steps: list[tuple[int, str, int]]) -> None:
    async def play() -> None:
        clock, cluster = _cluster()
        for number in range(4):
            cluster.add_pod(Pod("bare", f"p{number}", NODES[number % 3], labels=APP))
        cluster.add_budget(Budget("demo", "bare", APP, min_available=WANTED))
        for seconds, node, number in steps:
            clock.move_to(clock.now() + timedelta(seconds=seconds))
            await _deed("cordon" if number == 0 else "evict", node, number)(cluster)
            pods = [pod for name in NODES for pod in await cluster.pods_on(name) if pod.namespace == "bare"]
            assert sum(not pod.terminating for pod in pods) >= WANTED

    asyncio.run(play())


@settings(deadline=None, max_examples=60)
@given(deeds=DEEDS)
def test_a_twin_to_which_nothing_is_done_equals_its_original(deeds: list[tuple[int, Deed]]) -> None:
    async def play() -> None:
        clock, cluster = _cluster()
        copy = twin(cluster, clock)
        for seconds, deed in deeds:
            clock.move_to(clock.now() + timedelta(seconds=seconds))
            await deed(cluster)
            assert [_seen(node) for node in _sorted(copy)] == [_seen(node) for node in _sorted(cluster)]

    asyncio.run(play())


def _sorted(cluster: SimulatedCluster) -> list[Node]:
    return sorted(cluster.nodes().values(), key=lambda node: node.name)


def _seen(node: Node) -> object:
    return (
        node.name,
        dict(node.labels),
        node.unschedulable,
        node.ready,
        node.boot_id,
        node.booted_at,
        node.gpus_allocatable,
    )
