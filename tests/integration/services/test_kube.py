"""A real control plane: nodes become Ready, budgets hold, what was written outlives it."""

import asyncio
import subprocess
import uuid
from pathlib import Path

import pytest

from pipeline.cluster.kube.api import KubeApi
from pipeline.errors import TemporaryError
from tests.services.kube.nodes import NODES, boot, come_up, create_node, go_down, reaches, readiness
from tests.services.kube.plane import ControlPlane, KubectlError
from tests.services.kube.pods import STUCK, Kind, create_budget, create_pod, evict, finish, gone, pods
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


async def test_a_user_may_do_what_was_given_to_it(kube: ControlPlane, kube_api: KubeApi, namespace: str) -> None:
    restricted = kube.kubeconfig_for(kube.users["restricted"].token)
    assert (
        await asyncio.to_thread(
            kube.kubectl, "auth", "whoami", "-o=jsonpath={.status.userInfo.username}", kubeconfig=restricted
        )
        == "restricted"
    )
    with pytest.raises(KubectlError, match="forbidden"):
        await asyncio.to_thread(kube.kubectl, "get", "pods", "-n", namespace, kubeconfig=restricted)
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    await kube_api.create(f"{rights}/roles", {"metadata": {"name": "reader"}, "rules": rules})
    reader = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "testers"}]
    await kube_api.create(
        f"{rights}/rolebindings", {"metadata": {"name": "reader"}, "roleRef": reader, "subjects": subjects}
    )
    await asyncio.to_thread(kube.kubectl, "get", "pods", "-n", namespace, kubeconfig=restricted)
    with pytest.raises(KubectlError, match="forbidden"):
        await asyncio.to_thread(kube.kubectl, "get", "nodes", kubeconfig=restricted)


async def test_a_service_account_comes_in_by_its_token(kube: ControlPlane, kube_api: KubeApi, namespace: str) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await kube_api.create(accounts, {"metadata": {"name": "rescuer"}})
    issued = await kube_api.create(f"{accounts}/rescuer/token", {"spec": {}})
    kubeconfig = kube.kubeconfig_for(issued["status"]["token"])
    who = await asyncio.to_thread(kube.kubectl, "auth", "whoami", kubeconfig=kubeconfig)
    assert f"system:serviceaccount:{namespace}:rescuer" in who


def test_helm_reaches_it(kube: ControlPlane, helm: Path) -> None:
    told = subprocess.run(
        [helm, "list", "--all-namespaces", f"--kubeconfig={kube.kubeconfig}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert told.stdout.split() == ["NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP", "VERSION"]


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


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_has_finished_stays_so(kube_api: KubeApi, namespace: str, name: str, phase: str) -> None:
    await create_node(kube_api, name)
    await create_pod(kube_api, namespace, "train", name, kind=Kind.JOB)
    await finish(kube_api, namespace, "train", phase)
    # kwok has seen it by the time that it has made a later pod run.
    await create_pod(kube_api, namespace, "later", name)
    assert (await kube_api.get(f"{pods(namespace)}/train"))["status"]["phase"] == phase


async def test_a_stuck_pod_stays_when_it_is_deleted(kube_api: KubeApi, namespace: str, name: str) -> None:
    await create_node(kube_api, name)
    await create_pod(kube_api, namespace, "stuck", name, annotations=STUCK)
    await create_pod(kube_api, namespace, "later", name)
    for pod in ("stuck", "later"):
        await kube_api.delete(f"{pods(namespace)}/{pod}")
    await gone(kube_api, namespace, "later")
    assert (await kube_api.get(f"{pods(namespace)}/stuck"))["metadata"]["deletionTimestamp"]
    await kube_api.delete(f"{pods(namespace)}/stuck", {"gracePeriodSeconds": 0})
    await gone(kube_api, namespace, "stuck")


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
