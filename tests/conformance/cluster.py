"""What every adapter of the cluster port promises, whatever stands behind it.

A stage sets the scene through other means than the port (a person's kubectl, a kubelet), so that one suite runs over
the simulated cluster and over a real API server.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol

import pytest

from pipeline.cluster.port import Cluster, EventType, NodeEvent
from pipeline.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from pipeline.model.node import Node, NodePatch, Pod, Taint

GRACE = timedelta(seconds=30)


class Stage(Protocol):
    """A cluster under test and the hands that set it up."""

    @property
    def cluster(self) -> Cluster: ...

    async def add_node(self, name: str, labels: Mapping[str, str]) -> None: ...

    async def delete_node(self, name: str) -> None: ...

    async def add_pod(self, pod: Pod) -> Pod:
        """Return the pod as the cluster holds it, running."""
        ...

    async def protect(self, namespace: str, labels: Mapping[str, str], available: int) -> None:
        """Add a disruption budget that wants so many pods available."""
        ...

    async def grace_is_over(self) -> None:
        """Let the kubelets end what is terminating."""
        ...

    async def add_policy(self, manifest: Mapping[str, Any]) -> None: ...

    async def cache_has_caught_up(self) -> None: ...

    def watch(self) -> AsyncIterator[NodeEvent]: ...


class ClusterConformance:
    """The suite; a subclass gives it a `stage` fixture with a fresh cluster."""

    async def test_a_patch_with_the_current_version_changes_the_node(self, stage: Stage) -> None:
        node = await _node(stage)
        patched = await stage.cluster.patch_node(node.name, NodePatch(unschedulable=True), node.resource_version)
        assert patched.unschedulable
        assert patched.resource_version != node.resource_version
        assert await stage.cluster.get_node(node.name) == patched

    async def test_a_patch_with_an_old_version_is_a_conflict_and_changes_nothing(self, stage: Stage) -> None:
        node = await _node(stage)
        first = await stage.cluster.patch_node(node.name, NodePatch(labels={"a": "1"}), node.resource_version)
        with pytest.raises(ConflictError):
            await stage.cluster.patch_node(node.name, NodePatch(unschedulable=True), node.resource_version)
        assert await stage.cluster.get_node(node.name) == first

    async def test_cordon_and_uncordon_leave_all_else_as_it_was(self, stage: Stage) -> None:
        node = await _node(stage)
        cordoned = await stage.cluster.patch_node(node.name, NodePatch(unschedulable=True), node.resource_version)
        back = await stage.cluster.patch_node(node.name, NodePatch(unschedulable=False), cordoned.resource_version)
        assert (back.unschedulable, back.labels, back.annotations) == (False, node.labels, node.annotations)

    async def test_a_patch_merges_labels_and_annotations_and_none_removes(self, stage: Stage) -> None:
        node = await _node(stage, {"keep": "1", "drop": "2"})
        patch = NodePatch(
            labels={"drop": None, "add": "3", "absent": None}, annotations={"rescue.ksyun.com/why": "Xid 79"}
        )
        patched = await stage.cluster.patch_node(node.name, patch, node.resource_version)
        assert patched.labels == {**_without(node.labels, "drop"), "add": "3"}
        assert patched.annotations["rescue.ksyun.com/why"] == "Xid 79"

    async def test_a_patch_that_names_taints_replaces_them(self, stage: Stage) -> None:
        node = await _node(stage)
        taint = Taint("example.com/offline", "yes", "NoSchedule")
        patched = await stage.cluster.patch_node(node.name, NodePatch(taints=(taint,)), node.resource_version)
        assert patched.taints == (taint,)
        same = await stage.cluster.patch_node(node.name, NodePatch(labels={"a": "1"}), patched.resource_version)
        assert same.taints == (taint,)

    @pytest.mark.parametrize(
        "patch",
        [
            pytest.param(NodePatch(labels={"a": "two words"}), id="a label value with a blank"),
            pytest.param(NodePatch(labels={"a": "x" * 64}), id="a label value of 64 characters"),
            pytest.param(NodePatch(annotations={"not a key": "x"}), id="an annotation key with blanks"),
            pytest.param(NodePatch(taints=(Taint("a", "b", "NoWay"),)), id="an effect that does not exist"),
        ],
    )
    async def test_an_invalid_patch_is_refused_for_good(self, stage: Stage, patch: NodePatch) -> None:
        node = await _node(stage)
        with pytest.raises(PermanentError):
            await stage.cluster.patch_node(node.name, patch, node.resource_version)
        assert await stage.cluster.get_node(node.name) == node

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param(lambda cluster: cluster.get_node("nobody"), id="get_node"),
            pytest.param(lambda cluster: cluster.patch_node("nobody", NodePatch(), "1"), id="patch_node"),
            pytest.param(
                lambda cluster: cluster.set_policy_status("RescuePolicy", "nobody", {}), id="set_policy_status"
            ),
        ],
    )
    async def test_what_does_not_exist_is_not_found(
        self, stage: Stage, call: Callable[[Cluster], Awaitable[object]]
    ) -> None:
        with pytest.raises(NotFoundError):
            await call(stage.cluster)

    async def test_pods_on_a_node_are_those_bound_to_it(self, stage: Stage) -> None:
        node = await _node(stage)
        await stage.add_node("other", {})
        here = await stage.add_pod(_pod("here", node.name))
        await stage.add_pod(_pod("there", "other"))
        assert list(await stage.cluster.pods_on(node.name)) == [here]
        assert list(await stage.cluster.pods_on("nobody")) == []

    async def test_an_evicted_pod_is_terminating_until_its_grace_period_is_over(self, stage: Stage) -> None:
        node = await _node(stage)
        pod = await stage.add_pod(_pod("bare", node.name))
        await stage.cluster.evict(pod)
        assert [pod.terminating for pod in await stage.cluster.pods_on(node.name)] == [True]
        await stage.grace_is_over()
        assert list(await stage.cluster.pods_on(node.name)) == []

    async def test_evicting_again_or_too_late_is_fine(self, stage: Stage) -> None:
        node = await _node(stage)
        pod = await stage.add_pod(_pod("bare", node.name))
        await stage.cluster.evict(pod)
        await stage.cluster.evict(pod)
        await stage.grace_is_over()
        await stage.cluster.evict(pod)
        await stage.cluster.delete_pod(pod, GRACE)
        assert list(await stage.cluster.pods_on(node.name)) == []

    async def test_a_budget_that_would_be_broken_says_not_now(self, stage: Stage) -> None:
        node = await _node(stage)
        pod = await stage.add_pod(_pod("bare", node.name))
        await stage.protect(pod.namespace, pod.labels, available=1)
        with pytest.raises(TemporaryError):
            await stage.cluster.evict(pod)
        assert list(await stage.cluster.pods_on(node.name)) == [pod]

    async def test_a_budget_with_room_lets_as_many_go_as_it_has_room_for(self, stage: Stage) -> None:
        node = await _node(stage)
        first, second = [await stage.add_pod(_pod(name, node.name)) for name in ("one", "two")]
        await stage.protect(first.namespace, first.labels, available=1)
        await stage.cluster.evict(first)
        with pytest.raises(TemporaryError):
            await stage.cluster.evict(second)
        await stage.cluster.evict(first)
        assert [pod.name for pod in await stage.cluster.pods_on(node.name) if not pod.terminating] == ["two"]

    async def test_deleting_asks_no_budget_and_a_grace_of_zero_is_at_once(self, stage: Stage) -> None:
        node = await _node(stage)
        pod = await stage.add_pod(_pod("bare", node.name))
        await stage.protect(pod.namespace, pod.labels, available=1)
        await stage.cluster.delete_pod(pod, GRACE)
        assert [pod.terminating for pod in await stage.cluster.pods_on(node.name)] == [True]
        await stage.cluster.delete_pod(pod, timedelta(0))
        assert list(await stage.cluster.pods_on(node.name)) == []

    async def test_the_cache_shows_what_was_written_and_its_generation_grows(self, stage: Stage) -> None:
        node = await _node(stage)
        await stage.cache_has_caught_up()
        before = stage.cluster.generation
        patched = await stage.cluster.patch_node(node.name, NodePatch(unschedulable=True), node.resource_version)
        await stage.cache_has_caught_up()
        assert stage.cluster.synced
        assert stage.cluster.nodes()[node.name] == patched
        assert stage.cluster.generation > before
        await stage.delete_node(node.name)
        await stage.cache_has_caught_up()
        assert node.name not in stage.cluster.nodes()

    async def test_the_cache_tells_which_nodes_have_changed_since_a_generation(self, stage: Stage) -> None:
        node = await _node(stage)
        await stage.cache_has_caught_up()
        assert node.name in stage.cluster.changed_since(0)
        before = stage.cluster.generation
        assert node.name not in stage.cluster.changed_since(before)
        await stage.cluster.patch_node(node.name, NodePatch(unschedulable=True), node.resource_version)
        await stage.cache_has_caught_up()
        changed = stage.cluster.generation
        assert list(stage.cluster.changed_since(before)).count(node.name) == 1
        await stage.delete_node(node.name)
        await stage.cache_has_caught_up()
        assert node.name in stage.cluster.changed_since(changed)
        assert node.name not in stage.cluster.changed_since(stage.cluster.generation)

    async def test_a_watch_tells_what_is_there_and_then_every_change(self, stage: Stage) -> None:
        node = await _node(stage)
        watch = stage.watch()
        await stage.cluster.patch_node(node.name, NodePatch(unschedulable=True), node.resource_version)
        await stage.delete_node(node.name)
        events = [await anext(watch) for _ in range(3)]
        assert [event.type for event in events] == [EventType.ADDED, EventType.MODIFIED, EventType.DELETED]
        assert [event.node.unschedulable for event in events] == [False, True, True]

    async def test_the_status_of_a_policy_is_written_into_it(self, stage: Stage) -> None:
        spec = {"rules": [{"actions": [{"name": "cordon"}]}]}
        await stage.add_policy({"kind": "RescuePolicy", "metadata": {"name": "one"}, "spec": spec})
        await stage.cluster.set_policy_status("RescuePolicy", "one", {"ties": ["two"]})
        await stage.cache_has_caught_up()
        (policy,) = stage.cluster.policies()
        assert (policy["spec"], policy["status"]) == (spec, {"ties": ["two"]})


async def _node(stage: Stage, labels: Mapping[str, str] | None = None) -> Node:
    await stage.add_node("gpu-a", labels or {})
    return await stage.cluster.get_node("gpu-a")


def _pod(name: str, node: str) -> Pod:
    return Pod("default", name, node, grace_period=GRACE, labels={"app": "demo"})


def _without(labels: Mapping[str, str], key: str) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != key}
