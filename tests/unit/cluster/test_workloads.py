"""Pods that come and go as their controllers, the kubelets and the scheduler would have it."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.memory import Budget, SimulatedCluster
from pipeline.errors import NotFoundError, PermanentError, TemporaryError
from pipeline.model.node import Node, NodePatch, Pod, Taint

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(seconds=30)
APP = {"app": "demo"}


def _cluster(*pods: Pod) -> tuple[ManualClock, SimulatedCluster]:
    clock = ManualClock(START)
    return clock, SimulatedCluster(clock, [Node(name, "") for name in ("a", "b", "c")], pods)


async def _names(cluster: SimulatedCluster, node: str) -> list[str]:
    return [pod.name + ("~" if pod.terminating else "") for pod in await cluster.pods_on(node)]


async def _evict_all(cluster: SimulatedCluster, node: str) -> None:
    for pod in await cluster.pods_on(node):
        await cluster.evict(pod)


@pytest.mark.parametrize(
    ("owner", "during", "elsewhere"),
    [
        pytest.param("ReplicaSet", ["web-x1~"], 1, id="a ReplicaSet starts another pod as soon as one leaves"),
        pytest.param("Job", ["web-x1~"], 1, id="so does a Job"),
        pytest.param("PyTorchJob", ["web-x1~"], 1, id="so do the controllers of custom resources"),
        pytest.param("StatefulSet", ["web-x1~"], 0, id="a StatefulSet waits until the pod is gone"),
        pytest.param(None, ["web-x1~"], 0, id="nobody brings back a bare pod"),
    ],
)
async def test_while_an_evicted_pod_leaves(owner: str | None, during: list[str], elsewhere: int) -> None:
    clock, cluster = _cluster(Pod("x", "web-x1", "a", owner))
    cluster.cordon_by_hand("a")
    await _evict_all(cluster, "a")
    assert await _names(cluster, "a") == during
    assert len(await _names(cluster, "b")) == elsewhere
    clock.move_to(START + GRACE)
    assert await _names(cluster, "a") == []


async def test_a_stateful_sets_pod_comes_back_under_its_name_and_its_old_self_is_not_mistaken_for_it() -> None:
    clock, cluster = _cluster(Pod("x", "db-0", "a", "StatefulSet"))
    cluster.cordon_by_hand("a")
    (old,) = await cluster.pods_on("a")
    await cluster.evict(old)
    clock.move_to(START + GRACE)
    assert await _names(cluster, "b") == ["db-0"]
    await cluster.evict(old)
    await cluster.delete_pod(old, timedelta(0))
    assert await _names(cluster, "b") == ["db-0"]


async def test_a_mirror_pod_comes_back_at_once() -> None:
    _, cluster = _cluster(Pod("kube-system", "etcd-a", "a", "Node", mirror=True))
    (before,) = await cluster.pods_on("a")
    await cluster.evict(before)
    (after,) = await cluster.pods_on("a")
    assert (after.name, after.terminating, after.uid != before.uid) == ("etcd-a", False, True)


async def test_a_daemon_sets_pod_comes_back_on_a_cordoned_node() -> None:
    clock, cluster = _cluster(Pod("x", "dcgm-1", "a", "DaemonSet"))
    cluster.cordon_by_hand("a")
    await _evict_all(cluster, "a")
    assert await _names(cluster, "a") == ["dcgm-1~"]
    clock.move_to(START + GRACE)
    (pod,) = await cluster.pods_on("a")
    assert (pod.owner, pod.name != "dcgm-1", pod.terminating) == ("DaemonSet", True, False)


async def test_a_finished_pod_goes_at_once_and_nobody_brings_it_back() -> None:
    _, cluster = _cluster(Pod("x", "job-1", "a", "Job", finished=True, labels=APP))
    cluster.add_budget(Budget("b", "x", APP, min_available=1))
    await _evict_all(cluster, "a")
    assert [await _names(cluster, node) for node in "abc"] == [[], [], []]


async def test_a_pod_that_hangs_outlives_its_grace_until_it_is_deleted_without_or_its_machine_restarts() -> None:
    clock, cluster = _cluster(Pod("x", "p", "a"), Pod("x", "q", "b"))
    cluster.troubles.never_end |= {"x/p", "x/q"}
    await _evict_all(cluster, "a")
    await _evict_all(cluster, "b")
    (first,), (second,) = await cluster.pods_on("a"), await cluster.pods_on("b")
    assert first.deadline == second.deadline == START + GRACE
    clock.move_to(START + 10 * GRACE)
    assert (await _names(cluster, "a"), await _names(cluster, "b")) == (["p~"], ["q~"])
    await cluster.delete_pod(first, timedelta(0))
    cluster.reboot("b", "one")
    clock.move_to(START + 100 * GRACE)
    assert (await _names(cluster, "a"), await _names(cluster, "b")) == ([], [])


async def test_a_pod_that_finishes_by_itself_is_not_made_up_for() -> None:
    _, cluster = _cluster(Pod("x", "train-1", "a", "Job"))
    cluster.finish_pod(Pod("x", "train-1", "a"))
    cluster.finish_pod(Pod("x", "nobody", "a"))
    assert [pod.finished for pod in await cluster.pods_on("a")] == [True]
    assert await _names(cluster, "b") == []


async def test_a_shorter_grace_period_hastens_and_a_longer_one_does_not_delay() -> None:
    clock, cluster = _cluster(Pod("x", "p", "a"))
    (pod,) = await cluster.pods_on("a")
    await cluster.delete_pod(pod, timedelta(seconds=60))
    await cluster.delete_pod(pod, timedelta(seconds=90))
    assert cluster.next_change() == START + timedelta(seconds=60)
    await cluster.delete_pod(pod, timedelta(seconds=5))
    assert cluster.next_change() == START + timedelta(seconds=5)
    clock.move_to(START + timedelta(seconds=5))
    assert (await _names(cluster, "a"), cluster.next_change()) == ([], None)


@pytest.mark.parametrize(
    "closing",
    [
        pytest.param(NodePatch(unschedulable=True), id="cordoned"),
        pytest.param(NodePatch(taints=(Taint("x", "", "NoSchedule"),)), id="tainted NoSchedule"),
        pytest.param(NodePatch(taints=(Taint("x", "", "NoExecute"),)), id="tainted NoExecute"),
    ],
)
async def test_a_pod_waits_until_a_node_takes_pods_when_all_are(closing: NodePatch) -> None:
    _, cluster = _cluster(Pod("x", "web-1", "a", "ReplicaSet"))
    for node in "abc":
        cluster.edit_node(node, closing)
    await _evict_all(cluster, "a")
    assert [await _names(cluster, node) for node in "abc"] == [["web-1~"], [], []]
    cluster.edit_node("c", NodePatch(unschedulable=False, taints=()))
    assert len(await _names(cluster, "c")) == 1


async def test_a_pod_goes_to_the_node_with_the_fewest() -> None:
    _, cluster = _cluster(Pod("x", "p", "b"), Pod("x", "web-1", "a", "ReplicaSet"))
    cluster.cordon_by_hand("a")
    await _evict_all(cluster, "a")
    assert [len(await _names(cluster, node)) for node in "bc"] == [1, 1]


async def test_the_pods_of_a_deleted_node_are_started_elsewhere_but_for_those_that_belong_to_it() -> None:
    _, cluster = _cluster(
        Pod("x", "dcgm-1", "a", "DaemonSet"),
        Pod("x", "etcd-a", "a", "Node", mirror=True),
        Pod("x", "web-1", "a", "ReplicaSet"),
    )
    cluster.delete_node("a")
    left = [pod.owner for node in "abc" for pod in await cluster.pods_on(node)]
    assert left == ["ReplicaSet"]


@pytest.mark.parametrize(
    ("pod", "error"),
    [
        pytest.param(Pod("x", "p", "a"), PermanentError, id="whose name is taken"),
        pytest.param(Pod("x", "q", "nowhere"), NotFoundError, id="whose node does not exist"),
    ],
)
def test_a_pod_is_refused(pod: Pod, error: type[Exception]) -> None:
    _, cluster = _cluster(Pod("x", "p", "a"))
    with pytest.raises(error):
        cluster.add_pod(pod)


async def test_a_budget_lets_the_next_one_go_when_the_heir_is_ready() -> None:
    clock, cluster = _cluster(*(Pod("x", f"web-{i}", "a", "ReplicaSet", labels=APP) for i in range(2)))
    cluster.add_budget(Budget("web", "x", APP, max_unavailable=1))
    cluster.cordon_by_hand("a")
    first, second = await cluster.pods_on("a")
    await cluster.evict(first)
    with pytest.raises(TemporaryError, match="needs 1 healthy pods and has 1 currently"):
        await cluster.evict(second)
    clock.move_to(START + timedelta(seconds=10))
    await cluster.evict(second)
    assert await _names(cluster, "a") == ["web-0~", "web-1~"]


async def test_two_budgets_over_one_pod_are_more_than_the_server_can_ask() -> None:
    _, cluster = _cluster(Pod("x", "p", "a", labels=APP))
    for name in ("one", "two"):
        cluster.add_budget(Budget(name, "x", APP, min_available=0))
    with pytest.raises(TemporaryError, match="more than one disruption budget"):
        await _evict_all(cluster, "a")
    assert await _names(cluster, "a") == ["p"]
