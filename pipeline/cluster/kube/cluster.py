"""A Kubernetes cluster behind the port."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pipeline.clock import Clock
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.node_copy import NodeCopy
from pipeline.cluster.kube.nodes import NodeReader, merge_patch, written_taints
from pipeline.cluster.kube.paths import named
from pipeline.cluster.kube.pods import Pods
from pipeline.cluster.kube.policies import KubePolicies
from pipeline.cluster.kube.reflector import Reflector, troubles
from pipeline.cluster.kube.rights import Need, missing_kinds, missing_namespaces, missing_rights
from pipeline.errors import ConflictError, PermanentError
from pipeline.model.node import Node, NodePatch, Pod

_NODES = "/api/v1/nodes"


class KubernetesCluster:
    """The cluster's nodes, pods and policies over its API.

    `run` keeps the copies that `nodes` and `policies` show; they show nothing before it runs. What is called on a
    cluster that cannot be reached, or as somebody without the right, raises as `KubeApi` says.
    """

    def __init__(self, api: KubeApi, clock: Clock, needs: Sequence[Need] = ()) -> None:
        """*clock* dates what is seen first; *needs* are the rights that `reach` asks for."""
        self._api = api
        self._needs = needs
        self._copy = NodeCopy(NodeReader(), clock)
        self._pods = Pods(api)
        self._policies = KubePolicies(api)
        self._reflectors: tuple[Reflector[Any], ...] = (
            Reflector(api, _NODES, self._copy.slim, self._copy),
            *self._policies.reflectors,
        )

    async def run(self) -> None:
        """Follow nodes and policies until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(reflector.run())

    async def look(self) -> None:
        """List nodes and policies once, for who does not run it; raises as KubeApi does."""
        for reflector in self._reflectors:
            await reflector.list()

    async def wait_synced(self) -> None:
        """Return when nodes and policies have been listed."""
        for reflector in self._reflectors:
            await reflector.wait_synced()

    @property
    def trouble(self) -> str | None:
        """Why nodes or policies are not known, or not followed; None when they are."""
        return troubles(self._reflectors)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    @property
    def synced(self) -> bool:
        """Whether nodes and policies have been listed: who knows the nodes alone would decide by no policy."""
        return all(reflector.synced for reflector in self._reflectors)

    @property
    def generation(self) -> int:
        """How many changes of nodes have been seen; a heartbeat is none."""
        return self._copy.generation

    def changed_since(self, generation: int) -> Iterable[str]:
        """Return the names of the nodes that were added, removed or changed after that generation."""
        return self._copy.changed_since(generation)

    def nodes(self) -> Mapping[str, Node]:
        """All nodes as last seen, a snapshot; a node that has not changed is the same object as in the one before."""
        return self._copy.snapshot()

    async def reach(self) -> str:
        """Tell version and size; PermanentError names what is not installed, and the rights that lack."""
        version = (await self._api.get("/version"))["gitVersion"]
        if lacking := await self._lacking():
            raise PermanentError(f"Kubernetes {version}: {'; '.join(lacking)}")
        page = await self._api.get(_NODES, {"limit": 1})
        nodes = len(page["items"]) + page["metadata"].get("remainingItemCount", 0)
        return f"Kubernetes {version}, {nodes} node{'' if nodes == 1 else 's'}"

    async def get_node(self, name: str) -> Node:
        """Return the node as the server holds it now."""
        return self._copy.read(await self._api.get(named(_NODES, name)))

    async def patch_node(self, name: str, patch: NodePatch, resource_version: str) -> Node:
        """Change the node if it still has *resource_version*; taints that stay keep the time they were added."""
        path = named(_NODES, name)
        taints = None
        if patch.taints is not None:
            found = await self._api.get(path)
            if found["metadata"]["resourceVersion"] != resource_version:
                raise ConflictError(f"node {name} has been modified since version {resource_version}")
            taints = written_taints(patch.taints, found.get("spec", {}).get("taints", ()))
        return self._copy.read(await self._api.patch(path, merge_patch(patch, resource_version, taints)))

    async def pods_on(self, node: str) -> Sequence[Pod]:
        """Return every pod bound to the node."""
        return await self._pods.on(node)

    async def evict(self, pod: Pod) -> None:
        """Ask for the pod's eviction; see `Pods`."""
        await self._pods.evict(pod)

    async def delete_pod(self, pod: Pod, grace_period: timedelta) -> None:
        """Delete the pod without asking any disruption budget."""
        await self._pods.delete(pod, grace_period)

    def policies(self) -> Sequence[Mapping[str, Any]]:
        """Return the policies of both kinds, status included; the same object until one of them changes."""
        return self._policies.all()

    async def set_policy_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        """Replace the status of a policy; what says the same already is not written again."""
        await self._policies.set_status(kind, name, status)

    async def _lacking(self) -> list[str]:
        kinds = await missing_kinds(self._api)
        rights = await missing_rights(self._api, self._needs)
        told = []
        if kinds:
            told.append(f"not installed: {', '.join(kinds)} (the Helm chart brings them)")
        if rights:
            told.append(f"we may not: {', '.join(rights)}")
        elif places := await missing_namespaces(self._api, self._needs):
            told.append(f"there is no namespace {', '.join(places)}")
        return told
