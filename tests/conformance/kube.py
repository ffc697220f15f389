"""A stage of real Kubernetes: an API server and the keeper of budgets; the kubelets are the stage's hands."""

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.cluster.kube.nodes import NodeReader
from pipeline.cluster.kube.pods import read_pod
from pipeline.cluster.kube.policies import GROUP, PLURALS, slim_manifest
from pipeline.cluster.port import EventType, NodeEvent
from pipeline.model.node import Pod
from tests.services.kube import pods as kubelets
from tests.services.kube.nodes import NODES, create_node
from tests.services.kube.waiting import until

_BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
_AT_ONCE = {"gracePeriodSeconds": 0}


class KubernetesStage:
    """Everything on it is in the namespace `default`, and is gone after `clear`."""

    def __init__(self, api: KubeApi, cluster: KubernetesCluster) -> None:
        self.cluster = cluster
        self._api = api
        self._first: Object = {}

    async def add_node(self, name: str, labels: Mapping[str, str]) -> None:
        self._first = await create_node(self._api, name, labels=labels)

    async def delete_node(self, name: str) -> None:
        await self._api.delete(f"{NODES}/{name}")

    async def add_pod(self, pod: Pod) -> Pod:
        grace = int(pod.grace_period.total_seconds())
        body = kubelets.pod(pod.name, pod.node, labels=pod.labels, grace=grace)
        await self._api.create(kubelets.pods(pod.namespace), body)
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        path = f"{kubelets.pods(pod.namespace)}/{pod.name}"
        return read_pod(await self._api.patch(f"{path}/status", {"status": status}))

    async def protect(self, namespace: str, labels: Mapping[str, str], available: int) -> None:
        found = await self._api.get(kubelets.pods(namespace))
        healthy = sum(labels.items() <= read_pod(each).labels.items() for each in found["items"])
        name = f"budget-{uuid.uuid4().hex[:8]}"
        await kubelets.create_budget(self._api, namespace, name, labels, available, healthy)

    async def grace_is_over(self) -> None:
        for pod in (await self._api.get(kubelets.pods("default")))["items"]:
            if "deletionTimestamp" in pod["metadata"]:
                await self._api.delete(f"{kubelets.pods('default')}/{pod['metadata']['name']}", _AT_ONCE)

    async def add_policy(self, manifest: Mapping[str, Any]) -> None:
        await self._api.create(
            f"{GROUP}/{PLURALS[manifest['kind']]}", {"apiVersion": "rescue.ksyun.com/v1", **manifest}
        )

    async def cache_has_caught_up(self) -> None:
        reader = NodeReader()

        async def caught_up() -> bool:
            nodes = [reader.read(each) for each in (await self._api.get(NODES))["items"]]
            policies = [
                slim_manifest(each)
                for plural in PLURALS.values()
                for each in (await self._api.get(f"{GROUP}/{plural}"))["items"]
            ]
            seen = [replace(node, booted_at=None) for node in self.cluster.nodes().values()]
            return self.cluster.synced and seen == nodes and list(self.cluster.policies()) == policies

        await until(caught_up)

    async def watch(self) -> AsyncIterator[NodeEvent]:
        reader = NodeReader()
        yield NodeEvent(EventType.ADDED, reader.read(self._first))
        version = self._first["metadata"]["resourceVersion"]
        async for event in self._api.watch(NODES, {"resourceVersion": version}, 30):
            yield NodeEvent(EventType(event["type"]), reader.read(event["object"]))

    async def clear(self) -> None:
        policies = [f"{GROUP}/{plural}" for plural in PLURALS.values()]
        for collection in (kubelets.pods("default"), _BUDGETS, NODES, *policies):
            await self._api.delete(collection, _AT_ONCE)
