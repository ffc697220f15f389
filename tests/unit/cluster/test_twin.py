"""A twin shows what its original shows, follows it, and keeps to itself what is done to it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster, Twin, twin
from pipeline.model.node import Node, NodePatch, Pod

START = datetime(2026, 1, 1, tzinfo=UTC)


def _pair(*pods: Pod) -> tuple[ManualClock, SimulatedCluster, Twin]:
    clock = ManualClock(START)
    nodes = [Node(name, "", {"app": "demo"}, gpus=8, gpus_allocatable=8) for name in ("a", "b")]
    original = SimulatedCluster(clock, nodes, pods)
    return clock, original, twin(original, clock)


def test_a_twin_shows_the_nodes_of_its_original() -> None:
    _, original, copy = _pair()
    assert [(node.name, node.labels, node.boot_id, node.gpus) for node in copy.nodes().values()] == [
        (node.name, node.labels, node.boot_id, node.gpus) for node in original.nodes().values()
    ]


async def test_nothing_that_is_done_to_a_twin_reaches_its_original() -> None:
    clock, original, copy = _pair(Pod("x", "web-1", "a", "ReplicaSet"))
    original.set_policies([{"kind": "RescuePolicy", "metadata": {"name": "one"}}])
    nodes, pods, policies = original.nodes(), await original.pods_on("a"), original.policies()
    copy.cordon_by_hand("a")
    for pod in await copy.pods_on("a"):
        await copy.evict(pod)
    await copy.set_policy_status("RescuePolicy", "one", {"ties": []})
    copy.reboot("a", "one")
    clock.move_to(START + timedelta(hours=1))
    assert (await copy.pods_on("b"), copy.nodes()["a"].unschedulable) != ([], False)
    assert (original.nodes(), await original.pods_on("a"), original.policies()) == (nodes, pods, policies)
    assert original.reboots == ()


def test_what_changes_at_the_original_changes_at_the_twin_and_the_twins_own_marks_stay() -> None:
    _, original, copy = _pair()
    copy.edit_node("a", NodePatch(unschedulable=True, annotations={"example.com/by": "r-1"}))
    original.edit_node("a", NodePatch(labels={"app": None, "env": "test"}))
    original.delete_node("b")
    original.add_node(Node("c", ""))
    node = copy.nodes()["a"]
    assert (node.unschedulable, node.annotations, node.labels) == (True, {"example.com/by": "r-1"}, {"env": "test"})
    assert set(copy.nodes()) == {"a", "c"}


def test_a_reboot_of_the_original_shows_at_the_twin() -> None:
    clock, original, copy = _pair()
    before = copy.nodes()["a"].boot_id
    original.reboot("a", "by a person")
    clock.move_to(START + timedelta(hours=1))
    assert copy.nodes()["a"].boot_id == original.nodes()["a"].boot_id != before


async def test_a_drained_node_stays_empty_until_it_was_rebooted() -> None:
    clock, _, copy = _pair(Pod("x", "web-1", "a", "ReplicaSet"))
    copy.cordon_by_hand("a")
    for pod in await copy.pods_on("a"):
        await copy.evict(pod)
    clock.move_to(START + timedelta(minutes=1))
    assert list(await copy.pods_on("a")) == []
    copy.reboot("a", "one")
    clock.move_to(START + timedelta(hours=1))
    assert [pod.name for pod in await copy.pods_on("a")] == ["web-1"]


def test_a_twin_is_synced_when_its_original_is() -> None:
    _, original, copy = _pair()
    original.troubles.cache_synced = False
    assert not copy.synced
    assert dict(copy.nodes()) == {}
    original.troubles.cache_synced = True
    assert copy.synced
    assert set(copy.nodes()) == {"a", "b"}


async def test_a_machine_that_is_put_back_is_as_the_originals_and_the_marks_on_its_node_stay() -> None:
    clock, original, copy = _pair(Pod("x", "web-1", "a", "ReplicaSet"))
    copy.edit_node("a", NodePatch(unschedulable=True, annotations={"example.com/by": "r-1"}))
    for pod in await copy.pods_on("a"):
        await copy.evict(pod)
    copy.reboot("a", "one")
    clock.move_to(START + timedelta(hours=1))
    assert copy.nodes()["a"].boot_id != original.nodes()["a"].boot_id
    copy.put_back("a")
    node, real = copy.nodes()["a"], original.nodes()["a"]
    assert (node.boot_id, node.booted_at, node.ready, node.gpus_allocatable) == (real.boot_id, None, True, 8)
    assert (node.unschedulable, node.annotations) == (True, {"example.com/by": "r-1"})
    assert [pod.name for pod in await copy.pods_on("a")] == ["web-1"]


def test_a_machine_that_is_put_back_in_the_middle_of_a_boot_does_not_go_on_with_it() -> None:
    clock, original, copy = _pair()
    copy.reboot("a", "one")
    clock.move_to(START + timedelta(minutes=1))
    assert not copy.nodes()["a"].ready
    copy.put_back("a")
    clock.move_to(START + timedelta(hours=1))
    node = copy.nodes()["a"]
    assert (node.ready, node.boot_id, node.gpus_allocatable) == (True, original.nodes()["a"].boot_id, 8)
    copy.reboot("a", "two")
    clock.move_to(START + timedelta(hours=2))
    assert copy.nodes()["a"].boot_id not in ("", node.boot_id)


def test_putting_back_a_node_that_is_gone_does_nothing() -> None:
    _, original, copy = _pair()
    original.delete_node("a")
    copy.put_back("a")
    copy.put_back("never-there")
    assert set(copy.nodes()) == {"b"}


def test_a_twin_that_nobody_looks_at_copies_nothing() -> None:
    class Counted(SimulatedCluster):
        asked = 0

        def nodes(self) -> Mapping[str, Node]:
            self.asked += 1
            return super().nodes()

    original = Counted(ManualClock(START), [Node("a", "")])
    copy = twin(original, ManualClock(START))
    assert original.asked == 0
    assert set(copy.nodes()) == {"a"}
    copy.nodes()
    assert original.asked == 1
