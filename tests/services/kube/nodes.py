"""Nodes as their kubelets register them, and what becomes of their machines."""

import uuid
from collections.abc import Mapping
from typing import Any

from pipeline.cluster.kube.api import KubeApi, Object
from tests.services.kube.waiting import until

NODES = "/api/v1/nodes"
GPU = "nvidia.com/gpu"
DOWN = "sim/down"
"""The annotation of a node whose kubelet is silent (stages.yaml)."""


def node(
    name: str,
    *,
    gpus: int = 8,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    address: str = "10.1.0.1",
    taints: tuple[Mapping[str, str], ...] = (),
) -> Object:
    """Return a Ready node as JSON, on a boot of its own."""
    resources = {"cpu": "64", "memory": "512Gi", "pods": "110"} | ({GPU: str(gpus)} if gpus else {})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, **(labels or {})},
            "annotations": dict(annotations or {}),
        },
        "spec": {"taints": [dict(taint) for taint in taints]},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"bootID": str(uuid.uuid4()), "kubeletVersion": "v1.37.2", "operatingSystem": "linux"},
        },
    }


async def create_node(api: KubeApi, name: str, **settings: Any) -> Object:
    """Create what `node` returns, and return it as the API has it."""
    return await api.create(NODES, node(name, **settings))


async def boot(api: KubeApi, name: str) -> str:
    """Let the machine come up on a new boot, and return that boot's id."""
    boot_id = str(uuid.uuid4())
    await api.patch(f"{NODES}/{name}/status", {"status": {"nodeInfo": {"bootID": boot_id}}})
    return boot_id


async def go_down(api: KubeApi, name: str) -> None:
    """Let the kubelet fall silent; return when the node's Ready is Unknown."""
    await api.patch(f"{NODES}/{name}", {"metadata": {"annotations": {DOWN: "true"}}})
    await reaches(api, name, "Unknown")


async def come_up(api: KubeApi, name: str) -> None:
    """Let the kubelet speak again; return when the node is Ready."""
    await api.patch(f"{NODES}/{name}", {"metadata": {"annotations": {DOWN: None}}})
    await reaches(api, name, "True")


async def reaches(api: KubeApi, name: str, status: str) -> None:
    """Return when the node's condition Ready has this status; raise TimeoutError when it does not come to it."""

    async def there() -> bool:
        return readiness(await api.get(f"{NODES}/{name}")) == status

    await until(there)


def readiness(found: Object) -> str:
    """Return the status of a node's condition Ready: True, False or Unknown, which it is as well while it has none."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((str(condition["status"]) for condition in conditions if condition["type"] == "Ready"), "Unknown")
