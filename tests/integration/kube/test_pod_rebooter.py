"""The pod that reboots a node: what a real API server makes of it."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.clock import ManualClock, WallClock
from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.cluster.kube.nodes import NodeReader
from pipeline.errors import NotFoundError, PermanentError, TemporaryError
from pipeline.execute.actions.port import Done, Intend, Wait
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY
from pipeline.model.plan import Cordon, Reboot
from pipeline.model.rescue import StepState
from pipeline.rebooters.pod import PodRebooter
from pipeline.rebooters.port import Asked
from pipeline.rebooters.settings import PodRebooterConfig
from tests.fakes.faults import NOON, plan, rescue
from tests.services.kube.nodes import NODES, boot, create_node, go_down, reaches
from tests.services.kube.pods import create_pod, pods

REQUEST = "gpu-1-xid-79-abc-reboot"


@pytest.fixture
async def node(kube_api: KubeApi) -> Node:
    name = f"gpu-{uuid.uuid4().hex[:8]}"
    taints = ({"key": "nvidia.com/gpu", "effect": "NoSchedule"}, {"key": "x", "effect": "NoExecute"})
    found = await create_node(kube_api, name, taints=taints)
    await reaches(kube_api, name, "True")
    return NodeReader().read(found)


def _rebooter(api: KubeApi, namespace: str, later: timedelta = timedelta(0)) -> PodRebooter:
    config = PodRebooterConfig(type="pod", image="registry.example/busybox:1", namespace=namespace)
    return PodRebooter(api, config, ManualClock(datetime.now(UTC) + later))


async def _names(api: KubeApi, namespace: str) -> set[str]:
    return {each["metadata"]["name"] for each in (await api.get(pods(namespace)))["items"]}


async def test_the_pod_goes_before_all_others_past_every_taint(kube_api: KubeApi, namespace: str, node: Node) -> None:
    await _rebooter(kube_api, namespace).reboot(node, REQUEST)
    found: Object = await kube_api.get(f"{pods(namespace)}/{REQUEST}")
    spec = found["spec"]
    assert (spec["nodeName"], spec["restartPolicy"]) == (node.name, "Never")
    assert (spec["hostPID"], spec["hostNetwork"]) == (True, True)
    assert (spec["priorityClassName"], spec["priority"]) == ("system-node-critical", 2_000_001_000)
    assert {"operator": "Exists"} in spec["tolerations"]
    assert [each["securityContext"] for each in spec["containers"]] == [{"privileged": True}]


async def test_a_node_that_is_not_ready_is_not_asked(kube_api: KubeApi, namespace: str, node: Node) -> None:
    await go_down(kube_api, node.name)
    down = NodeReader().read(await kube_api.get(f"/api/v1/nodes/{node.name}"))
    with pytest.raises(TemporaryError, match="is not Ready"):
        await _rebooter(kube_api, namespace).reboot(down, REQUEST)
    assert await _names(kube_api, namespace) == set()


async def test_a_namespace_that_lacks_is_not_taken_for_a_node_that_does(kube_api: KubeApi, node: Node) -> None:
    with pytest.raises(PermanentError, match=r"namespaces .* not found") as refused:
        await _rebooter(kube_api, f"none-{uuid.uuid4().hex[:8]}").reboot(node, REQUEST)
    assert not isinstance(refused.value, NotFoundError)


async def test_a_namesake_is_not_taken_for_the_reboot(kube_api: KubeApi, namespace: str, node: Node) -> None:
    await create_pod(kube_api, namespace, REQUEST, node.name)
    rebooter = _rebooter(kube_api, namespace)
    assert await rebooter.asked(node, REQUEST) is Asked.NO
    with pytest.raises(PermanentError, match="is not, or no longer"):
        await rebooter.reboot(node, REQUEST)


async def test_pods_of_hours_ago_go_with_the_next_reboot_but_nobody_elses(
    kube_api: KubeApi, namespace: str, node: Node
) -> None:
    await create_pod(kube_api, namespace, "somebody-elses", node.name)
    await _rebooter(kube_api, namespace).reboot(node, "earlier-reboot")
    await _rebooter(kube_api, namespace, timedelta(minutes=119)).reboot(node, "second-reboot")
    assert await _names(kube_api, namespace) == {"somebody-elses", "earlier-reboot", "second-reboot"}
    await _rebooter(kube_api, namespace, timedelta(minutes=121)).reboot(node, REQUEST)
    assert await _names(kube_api, namespace) == {"somebody-elses", REQUEST}


async def test_a_process_that_dies_after_the_asking_is_followed_by_one_that_waits_for_the_same_reboot(
    kube_api: KubeApi, namespace: str, node: Node
) -> None:
    cluster = KubernetesCluster(kube_api, WallClock())
    one = rescue("gpu-1-xid-79-abc", node=node.name, plan=plan(Cordon(), Reboot()))
    one = replace(one, cause=replace(one.cause, boot_id=node.boot_id))
    marks = {CORDONED_BY: one.name, CORDONED_AT: NOON.isoformat()}
    await kube_api.patch(f"{NODES}/{node.name}", {"metadata": {"annotations": marks}, "spec": {"unschedulable": True}})
    first = RebootRunner(cluster, _rebooter(kube_api, namespace))
    intend = await first.run(Reboot(), one, StepState(), NOON)
    assert isinstance(intend, Intend)
    # What the asking answers is lost with the process.
    await first.run(Reboot(), one, StepState(memo=intend.memo), NOON)
    second = RebootRunner(cluster, _rebooter(kube_api, namespace))
    waits = await second.run(Reboot(), one, StepState(memo=intend.memo), NOON)
    assert isinstance(waits, Wait)
    assert waits.memo is not None
    assert await _names(kube_api, namespace) == {REQUEST}
    await boot(kube_api, node.name)
    seen = await second.run(Reboot(), one, StepState(memo=waits.memo), NOON)
    assert isinstance(seen, Wait)
    assert seen.memo is not None
    assert isinstance(await second.run(Reboot(), one, StepState(memo=seen.memo), NOON), Done)
