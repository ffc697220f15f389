"""A real control plane: nodes become Ready, budgets hold, what was written outlives it."""

import uuid

import pytest

from pipeline.cluster.kube.api import KubeApi
from pipeline.errors import TemporaryError
from tests.services.kube.nodes import NODES, boot, come_up, create_node, go_down, reaches, readiness
from tests.services.kube.plane import ControlPlane, KubectlError
from tests.services.kube.pods import Kind, create_budget, create_pod, evict, gone, pods
from tests.services.kube.waiting import until


@pytest.fixture
def name() -> str:
    return f"gpu-{uuid.uuid4().hex[:8]}"


def test_kubectl_answers_and_its_complaint_is_raised(kube: ControlPlane, name: str) -> None:
    assert "Server Version: v1.37.2" in kube.kubectl("version")
    kube.kubectl("create", "-f", "-", input=f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
    assert name in kube.kubectl("get", "namespaces")
    with pytest.raises(KubectlError, match="not found"):
        kube.kubectl("get", "node", name)


async def test_a_node_becomes_ready_and_keeps_what_its_kubelet_said(kube_api: KubeApi, name: str) -> None:
    await create_node(kube_api, name, gpus=4, labels={"rack": "r1"})
    await reaches(kube_api, name, "True")
    found = await kube_api.get(f"{NODES}/{name}")
    assert found["metadata"]["labels"]["rack"] == "r1"
    assert found["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    assert "taints" not in found["spec"]
    first, second = found["status"]["nodeInfo"]["bootID"], await boot(kube_api, name)
    found = await kube_api.get(f"{NODES}/{name}")
    assert found["status"]["nodeInfo"]["bootID"] == second != first
    assert found["status"]["nodeInfo"]["kubeletVersion"]
    await go_down(kube_api, name)
    await come_up(kube_api, name)
    assert readiness(await kube_api.get(f"{NODES}/{name}")) == "True"


@pytest.mark.parametrize("kind", Kind)
async def test_a_bound_pod_of_each_kind_runs_and_ends(kube_api: KubeApi, namespace: str, name: str, kind: Kind) -> None:
    await create_node(kube_api, name)
    found = await create_pod(kube_api, namespace, "train", name, kind=kind, gpus=2, empty_dir=True)
    assert [reference["kind"] for reference in found["metadata"].get("ownerReferences", [])] == ([kind] if kind else [])
    assert found["spec"]["nodeName"] == name
    await kube_api.delete(f"{pods(namespace)}/train")
    await gone(kube_api, namespace, "train")


async def test_an_eviction_is_refused_while_a_budget_needs_the_pod(
    kube_api: KubeApi, namespace: str, name: str
) -> None:
    await create_node(kube_api, name)
    await create_pod(kube_api, namespace, "one", name, labels={"app": "train"})
    await create_budget(kube_api, namespace, "train", {"app": "train"}, least=1, healthy=1)
    with pytest.raises(TemporaryError, match="429"):
        await evict(kube_api, namespace, "one")
    await create_pod(kube_api, namespace, "two", name, labels={"app": "train"})

    async def evicted() -> bool:
        try:
            await evict(kube_api, namespace, "one")
        except TemporaryError:
            return False
        return True

    await until(evicted)
    await gone(kube_api, namespace, "one")
