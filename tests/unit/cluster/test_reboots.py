"""A reboot as the cluster sees it: unnoticed, not Ready, a new boot id, Ready, GPUs; and what can go wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster, Timings, boot_id
from pipeline.errors import NotFoundError
from pipeline.model.node import Node, NodePatch, Pod

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMINGS = Timings(
    unnoticed=timedelta(seconds=40),
    boot=timedelta(seconds=100),
    ready=timedelta(seconds=20),
    gpus=timedelta(seconds=30),
    pod_start=timedelta(seconds=10),
)


def _cluster(*pods: Pod) -> tuple[ManualClock, SimulatedCluster]:
    clock = ManualClock(START)
    nodes = [Node("a", "", gpus=8, gpus_allocatable=8), Node("b", "", gpus=8, gpus_allocatable=8)]
    return clock, SimulatedCluster(clock, nodes, pods, timings=TIMINGS)


def _after(clock: ManualClock, seconds: float) -> None:
    clock.move_to(START + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "boots", "ready", "allocatable"),
    [
        pytest.param(0, 0, True, 8, id="at once nobody has noticed"),
        pytest.param(39, 0, True, 8, id="nobody has noticed as long as the heartbeat may be late"),
        pytest.param(40, 0, False, 8, id="then the node is not Ready, with its old boot id and GPUs in view"),
        pytest.param(99, 0, False, 8, id="so it stays until the kubelet's first word"),
        pytest.param(100, 1, False, 0, id="which brings a new boot id and no GPU"),
        pytest.param(120, 1, True, 0, id="then Ready, still without GPUs"),
        pytest.param(150, 1, True, 8, id="and then the GPUs"),
    ],
)
async def test_a_reboot_passes_through(seconds: int, boots: int, ready: bool, allocatable: int) -> None:
    clock, cluster = _cluster()
    cluster.reboot("a", "one")
    _after(clock, seconds)
    node = await cluster.get_node("a")
    assert (node.boot_id, node.ready, node.gpus, node.gpus_allocatable) == (boot_id("a", boots), ready, 8, allocatable)
    assert node.booted_at == (START + timedelta(seconds=100) if boots else None)


async def test_a_machine_that_boots_faster_than_anybody_notices_is_not_ready_only_after_its_boot() -> None:
    clock = ManualClock(START)
    timings = TIMINGS.model_copy(update={"boot": timedelta(seconds=10)})
    cluster = SimulatedCluster(clock, [Node("a", "")], timings=timings)
    cluster.reboot("a", "one")
    _after(clock, 10)
    assert not (await cluster.get_node("a")).ready
    _after(clock, 60)
    assert (await cluster.get_node("a")).ready


async def test_the_same_request_reboots_once_and_another_one_again() -> None:
    clock, cluster = _cluster()
    for request in ("one", "one", "two"):
        cluster.reboot("a", request)
    _after(clock, 1000)
    cluster.reboot("a", "one")
    assert [(reboot.node, reboot.request, reboot.time) for reboot in cluster.reboots] == [
        ("a", "one", START),
        ("a", "two", START),
    ]
    assert (cluster.reboot_asked("a", "one"), cluster.reboot_asked("b", "one")) == (True, False)
    assert (await cluster.get_node("a")).boot_id == boot_id("a", 1)


async def test_a_second_reboot_starts_the_boot_over() -> None:
    clock, cluster = _cluster()
    cluster.reboot("a", "one")
    _after(clock, 90)
    cluster.reboot("a", "two")
    _after(clock, 189)
    assert (await cluster.get_node("a")).boot_id == boot_id("a", 0)
    _after(clock, 190)
    assert (await cluster.get_node("a")).boot_id == boot_id("a", 1)


async def test_a_node_that_never_returns_stays_not_ready() -> None:
    clock, cluster = _cluster()
    cluster.troubles.never_returns.add("a")
    cluster.reboot("a", "one")
    _after(clock, 100_000)
    node = await cluster.get_node("a")
    assert (node.ready, node.boot_id, cluster.next_change()) == (False, boot_id("a", 0), None)


@pytest.mark.parametrize("gpus", [pytest.param(0, id="none"), pytest.param(7, id="one fewer")])
async def test_a_node_can_come_back_with_fewer_gpus_and_the_next_reboot_can_bring_them_back(gpus: int) -> None:
    clock, cluster = _cluster()
    cluster.troubles.gpus_after_reboot["a"] = gpus
    cluster.reboot("a", "one")
    _after(clock, 1000)
    node = await cluster.get_node("a")
    assert (node.ready, node.gpus, node.gpus_allocatable) == (True, gpus, gpus)
    del cluster.troubles.gpus_after_reboot["a"]
    cluster.reboot("a", "two")
    _after(clock, 2000)
    assert (await cluster.get_node("a")).gpus_allocatable == 8


async def test_a_gpu_that_is_missing_comes_back_with_the_reboot() -> None:
    clock = ManualClock(START)
    cluster = SimulatedCluster(clock, [Node("a", "", {"nvidia.com/gpu.count": "8"}, gpus=7, gpus_allocatable=7)])
    cluster.reboot("a", "one")
    clock.move_to(START + timedelta(hours=1))
    assert (await cluster.get_node("a")).gpus_allocatable == 8


async def test_what_people_write_on_a_node_survives_its_reboot() -> None:
    clock, cluster = _cluster()
    cluster.cordon_by_hand("a")
    cluster.reboot("a", "one")
    _after(clock, 110)
    cluster.edit_node("a", NodePatch(labels={"team": "x"}))
    _after(clock, 1000)
    node = await cluster.get_node("a")
    assert (node.unschedulable, node.labels, node.ready) == (True, {"team": "x"}, True)


async def test_a_node_that_is_deleted_while_it_boots_is_gone_and_a_new_one_has_a_new_boot() -> None:
    clock, cluster = _cluster()
    cluster.reboot("a", "one")
    cluster.delete_node("a")
    _after(clock, 1000)
    with pytest.raises(NotFoundError):
        cluster.reboot("a", "two")
    assert cluster.add_node(Node("a", "")).boot_id == boot_id("a", 1)


@pytest.mark.parametrize(
    ("pod", "left"),
    [
        pytest.param(
            Pod("x", "p-1", "a", "ReplicaSet"), [("p-1", False)], id="a ReplicaSet's pod starts again in place"
        ),
        pytest.param(Pod("x", "p-1", "a", "DaemonSet"), [("p-1", False)], id="a DaemonSet's pod starts again in place"),
        pytest.param(Pod("x", "p-1", "a", "Node", mirror=True), [("p-1", False)], id="a static pod starts again"),
        pytest.param(Pod("x", "p-1", "a"), [("p-1", False)], id="a bare pod starts again"),
        pytest.param(Pod("x", "p-1", "a", "Job"), [("p-1", True)], id="a Job's pod has failed"),
        pytest.param(Pod("x", "p-1", "a", finished=True), [("p-1", True)], id="what had ended has ended"),
        pytest.param(Pod("x", "p-1", "a", deadline=START), [], id="a leaving pod is gone"),
    ],
)
async def test_after_a_reboot(pod: Pod, left: list[tuple[str, bool]]) -> None:
    clock, cluster = _cluster(pod)
    cluster.reboot("a", "one")
    _after(clock, 1000)
    assert [(pod.name, pod.finished) for pod in await cluster.pods_on("a")] == left


async def test_a_jobs_pod_that_failed_with_its_machine_is_started_elsewhere() -> None:
    clock, cluster = _cluster(Pod("x", "train-1", "a", "Job"))
    cluster.reboot("a", "one")
    _after(clock, 1000)
    assert [pod.owner for pod in await cluster.pods_on("b")] == ["Job"]


async def test_a_pod_cannot_end_while_its_machine_is_off_unless_it_is_deleted_by_force() -> None:
    clock, cluster = _cluster(Pod("x", "p", "a"), Pod("x", "q", "a"))
    cluster.troubles.never_returns.add("a")
    cluster.reboot("a", "one")
    for pod in await cluster.pods_on("a"):
        await cluster.evict(pod)
    _after(clock, 10_000)
    first, _ = await cluster.pods_on("a")
    await cluster.delete_pod(first, timedelta(0))
    assert [(pod.name, pod.terminating) for pod in await cluster.pods_on("a")] == [("q", True)]
