"""What is kept of node objects, and how the copy of them behaves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.kube.node_copy import NodeCopy
from pipeline.cluster.kube.nodes import NodeReader, merge_patch, written_taints
from pipeline.model.node import Node, NodePatch, Taint

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def found(name: str = "gpu-1", version: str = "1", boot: str = "b1", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "resourceVersion": version, "labels": labels},
        "status": {"nodeInfo": {"bootID": boot}, "conditions": [{"type": "Ready", "status": "True"}]},
    }


class Seen:
    """A copy, and a reflector's hands."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON)
        self.copy = NodeCopy(NodeReader(), self.clock)

    def list(self, *nodes: dict[str, Any]) -> None:
        self.copy.listed([self.copy.slim(node) for node in nodes])

    def change(self, node: dict[str, Any]) -> None:
        self.copy.changed(self.copy.slim(node))

    def booted_at(self) -> datetime | None:
        return self.copy.snapshot()["gpu-1"].booted_at

    def later(self) -> datetime:
        self.clock.move_to(self.clock.now() + MINUTE)
        return self.clock.now()


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_a_whole_node_is_read() -> None:
    whole = {
        "metadata": {
            "name": "gpu-1",
            "resourceVersion": "7",
            "labels": {"rack": "r1"},
            "annotations": {"rescue.ksyun.com/ignore": "true", "example.com/other": "long"},
        },
        "spec": {"unschedulable": True, "taints": [{"key": "a", "effect": "NoSchedule", "timeAdded": "2026"}]},
        "status": {
            "capacity": {"nvidia.com/gpu": "8", "cpu": "192"},
            "allocatable": {"nvidia.com/gpu": "7"},
            "conditions": [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
            "addresses": [
                {"type": "InternalIP", "address": "10.0.0.1"},
                {"type": "ExternalIP", "address": "203.0.113.1"},
                {"type": "Hostname", "address": "gpu-1"},
                {"type": "InternalDNS", "address": "gpu-1.internal"},
            ],
            "nodeInfo": {"bootID": "b1"},
        },
    }
    assert NodeReader().read(whole) == Node(
        "gpu-1",
        "7",
        labels={"rack": "r1"},
        annotations={"rescue.ksyun.com/ignore": "true"},
        taints=(Taint("a", "", "NoSchedule"),),
        unschedulable=True,
        ready=True,
        boot_id="b1",
        addresses=("10.0.0.1", "gpu-1", "gpu-1.internal"),
        gpus=8,
        gpus_allocatable=7,
    )


def test_a_node_of_which_nothing_is_known_but_its_name_is_not_ready() -> None:
    assert NodeReader().read({"metadata": {"name": "a", "resourceVersion": "1"}}) == Node("a", "1", ready=False)


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_ready_is_only_what_says_so(status: str) -> None:
    node = found() | {"status": {"conditions": [{"type": "Ready", "status": status}]}}
    assert not NodeReader().read(node).ready


@pytest.mark.parametrize(("quantity", "gpus"), [("8", 8), ("0", 0), ("1k", 1000), (4, 4), ("500m", 0)])
def test_a_quantity_of_gpus_is_a_count(quantity: Any, gpus: int) -> None:
    node = found() | {"status": {"capacity": {"example.com/gpu": quantity}}}
    assert NodeReader("example.com/gpu").read(node).gpus == gpus


def test_equal_labels_of_two_nodes_are_one_string() -> None:
    reader = NodeReader()
    first, second = (reader.read(found(pool="".join(("a", "b")))).labels for _ in range(2))
    assert next(iter(first.values())) is next(iter(second.values()))
    assert next(iter(first)) is next(iter(second))


def test_a_heartbeat_changes_nothing(seen: Seen) -> None:
    seen.list(found(version="1"))
    before, generation = seen.copy.snapshot(), seen.copy.generation
    seen.change(found(version="2"))
    seen.list(found(version="3"))
    assert seen.copy.snapshot() is before
    assert seen.copy.generation == generation


def test_a_change_leaves_all_other_nodes_the_objects_they_were(seen: Seen) -> None:
    seen.list(found("a"), found("b"))
    before, generation = seen.copy.snapshot(), seen.copy.generation
    seen.change(found("b", "2", rack="r2"))
    after = seen.copy.snapshot()
    assert seen.copy.generation > generation
    assert after["a"] is before["a"]
    assert (before["b"].labels, after["b"].labels) == ({}, {"rack": "r2"})


def test_a_list_forgets_what_is_gone_and_a_deletion_too(seen: Seen) -> None:
    seen.list(found("a"), found("b"), found("c"))
    seen.list(found("a"), found("b"))
    assert set(seen.copy.snapshot()) == {"a", "b"}
    generation = seen.copy.generation
    seen.copy.deleted(seen.copy.slim(found("b", "2")))
    assert set(seen.copy.snapshot()) == {"a"}
    assert seen.copy.generation > generation


def test_a_list_that_swaps_one_node_for_another_is_a_change(seen: Seen) -> None:
    seen.list(found("a"))
    generation = seen.copy.generation
    seen.list(found("b"))
    assert set(seen.copy.snapshot()) == {"b"}
    assert seen.copy.generation > generation


def test_the_first_boot_has_no_time_and_the_next_has_when_it_was_seen(seen: Seen) -> None:
    seen.list(found(boot="b1"))
    assert seen.booted_at() is None
    rebooted = seen.later()
    seen.change(found(version="2", boot="b2"))
    assert seen.booted_at() == rebooted


def test_a_boot_keeps_its_time_whatever_comes_after(seen: Seen) -> None:
    seen.list(found(boot="b1"))
    rebooted = seen.later()
    seen.list(found(version="2", boot="b2"))
    seen.later()
    seen.change(found(version="3", boot="b2", rack="r1"))
    seen.list(found(version="4", boot="b2", rack="r2"))
    assert seen.booted_at() == rebooted


def test_a_boot_id_that_comes_after_the_node_is_no_reboot(seen: Seen) -> None:
    seen.list(found(boot=""))
    seen.later()
    seen.change(found(version="2", boot="b1"))
    assert seen.booted_at() is None


def test_a_node_that_comes_back_under_its_name_is_a_new_one(seen: Seen) -> None:
    seen.list(found(boot="b1"))
    seen.copy.deleted(seen.copy.slim(found(boot="b1")))
    seen.change(found(version="5", boot="b2"))
    assert seen.booted_at() is None


def test_a_call_that_sees_a_boot_before_the_watch_dates_it_for_both(seen: Seen) -> None:
    seen.list(found(boot="b1"))
    rebooted = seen.later()
    assert seen.copy.read(found(version="2", boot="b2")).booted_at == rebooted
    seen.later()
    seen.change(found(version="2", boot="b2"))
    assert seen.booted_at() == rebooted


@pytest.mark.parametrize(
    ("patch", "written"),
    [
        pytest.param(NodePatch(), {}, id="nothing"),
        pytest.param(NodePatch(unschedulable=False), {"spec": {"unschedulable": False}}, id="uncordon"),
        pytest.param(NodePatch(labels={"a": None}), {"metadata": {"labels": {"a": None}}}, id="a label off"),
        pytest.param(
            NodePatch(annotations={"a": "b"}), {"metadata": {"annotations": {"a": "b"}}}, id="an annotation on"
        ),
    ],
)
def test_a_patch_names_what_it_changes_and_the_version(patch: NodePatch, written: dict[str, Any]) -> None:
    metadata = {"resourceVersion": "7", **written.get("metadata", {})}
    assert merge_patch(patch, "7", None) == {**written, "metadata": metadata}


def test_a_patch_without_any_taint_takes_all_off() -> None:
    assert merge_patch(NodePatch(taints=()), "7", [])["spec"] == {"taints": []}


def test_a_taint_that_stays_keeps_since_when_it_is_there() -> None:
    held = {"key": "a", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
    new = {"key": "b", "value": "x", "effect": "NoSchedule"}
    assert written_taints((Taint("a", "", "NoExecute"), Taint("b", "x", "NoSchedule")), [held]) == [held, new]
