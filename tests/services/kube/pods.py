"""Bound pods of every kind, and budgets over them."""

import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.errors import NotFoundError
from tests.services.kube.nodes import GPU
from tests.services.kube.waiting import until

STUCK = {"sim/stuck": "true"}
"""The annotations of a pod that stays Terminating (stages.yaml)."""


class Kind(StrEnum):
    """Who brought a pod: the kind of its owner, as its reference says."""

    BARE = ""
    REPLICA_SET = "ReplicaSet"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    JOB = "Job"
    STATIC = "Node"
    """A mirror pod: its machine runs it whatever the API server is told."""


def pods(namespace: str) -> str:
    """Return the path of a namespace's pods."""
    return f"/api/v1/namespaces/{namespace}/pods"


def pod(
    name: str,
    node: str,
    *,
    kind: Kind = Kind.BARE,
    owner: str = "",
    gpus: int = 0,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    empty_dir: bool = False,
    grace: int = 1,
) -> Object:
    """Return a pod as JSON that is bound to *node*, with a container that asks for *gpus*.

    Its owner, called *owner* or like the pod, need not exist. *grace*, in seconds, is how long it takes to end when
    it is deleted.
    """
    limits = {GPU: str(gpus)} if gpus else {}
    mirror = {"kubernetes.io/config.mirror": uuid.uuid4().hex} if kind is Kind.STATIC else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": dict(labels or {}),
            "annotations": {**mirror, **(annotations or {})},
            "ownerReferences": [_reference(kind, owner or (node if kind is Kind.STATIC else name))] if kind else [],
        },
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": grace,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "main", "image": "main", "resources": {"limits": limits}}],
            "volumes": [{"name": "scratch", "emptyDir": {}}] if empty_dir else [],
        },
    }


def _reference(kind: Kind, name: str) -> Object:
    versions = {Kind.JOB: "batch/v1", Kind.STATIC: "v1"}
    return {
        "apiVersion": versions.get(kind, "apps/v1"),
        "kind": str(kind),
        "name": name,
        "uid": str(uuid.uuid4()),
        "controller": True,
    }


async def create_pod(api: KubeApi, namespace: str, name: str, node: str, **settings: Any) -> Object:
    """Create what `pod` returns, and return it when it is Running."""
    path = f"{pods(namespace)}/{name}"
    await api.create(pods(namespace), pod(name, node, **settings))

    async def runs() -> bool:
        return bool((await api.get(path)).get("status", {}).get("phase") == "Running")

    await until(runs)
    return await api.get(path)


async def finish(api: KubeApi, namespace: str, name: str, phase: str = "Succeeded") -> None:
    """Let the pod's containers end; *phase* may also be Failed."""
    await api.patch(f"{pods(namespace)}/{name}/status", {"status": {"phase": phase}})


async def evict(api: KubeApi, namespace: str, name: str) -> None:
    """Ask for an eviction. Raises TemporaryError for a 429: a budget does not allow it now."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    await api.create(f"{pods(namespace)}/{name}/eviction", body)


async def gone(api: KubeApi, namespace: str, name: str) -> None:
    """Return when the pod does not exist any more; raise TimeoutError when it stays."""

    async def absent() -> bool:
        try:
            await api.get(f"{pods(namespace)}/{name}")
        except NotFoundError:
            return True
        return False

    await until(absent)


async def create_budget(
    api: KubeApi, namespace: str, name: str, labels: Mapping[str, str], least: int, healthy: int
) -> None:
    """Create a budget by which *least* pods with these labels stay; return when it knows of the *healthy* ones."""
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    spec = {"minAvailable": least, "selector": {"matchLabels": dict(labels)}}
    await api.create(path, {"metadata": {"name": name}, "spec": spec})

    async def counted() -> bool:
        return bool((await api.get(f"{path}/{name}")).get("status", {}).get("currentHealthy") == healthy)

    await until(counted)
