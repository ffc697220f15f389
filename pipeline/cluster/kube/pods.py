"""The pods of a node: read, evicted, deleted."""

from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from math import ceil

from pipeline.cluster.kube.answers import NotServedError
from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.paths import is_name, named
from pipeline.errors import ConflictError, NotFoundError, PermanentError
from pipeline.model.node import Pod

_MIRROR = "kubernetes.io/config.mirror"
_GPUS = ("nvidia.com/gpu", "nvidia.com/gpu.shared")
_GPU_PARTS = "nvidia.com/mig-"
_FINISHED = frozenset({"Succeeded", "Failed"})
_DEFAULT_GRACE = 30


def read_pod(found: Object) -> Pod:
    """Return what a drain needs to know of a pod object."""
    metadata, spec, status = found["metadata"], found["spec"], found.get("status", {})
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        node=spec.get("nodeName", ""),
        owner=next((each["kind"] for each in metadata.get("ownerReferences", ()) if each.get("controller")), None),
        mirror=_MIRROR in metadata.get("annotations", ()),
        empty_dir=any("emptyDir" in each for each in spec.get("volumes", ())),
        finished=status.get("phase") in _FINISHED,
        uses_gpu=_uses_gpu(spec),
        deadline=datetime.fromisoformat(ends) if (ends := metadata.get("deletionTimestamp")) else None,
        grace_period=timedelta(seconds=spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE)),
        labels=metadata.get("labels", {}),
        uid=metadata["uid"],
    )


def _uses_gpu(spec: Object) -> bool:
    """Whether a container of the pod, an init container too, asks for GPUs, or for parts of one.

    What a pod claims by dynamic resource allocation is said in other objects; it is taken for a GPU, because a pod
    that is moved in vain comes off better than one that is rebooted away.
    """
    containers = (*spec.get("initContainers", ()), *spec["containers"])
    asked = (
        {**each.get("resources", {}).get("requests", {}), **each.get("resources", {}).get("limits", {})}
        for each in containers
    )
    return bool(spec.get("resourceClaims")) or any(
        _is_gpu(name) and amount != "0" for each in asked for name, amount in each.items()
    )


def _is_gpu(resource: str) -> bool:
    return resource in _GPUS or resource.startswith(_GPU_PARTS)


class Pods:
    """The calls about pods. A pod's uid goes with each, so that a namesake which came after it is left alone."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._eviction_version: str | None = None

    async def on(self, node: str) -> Sequence[Pod]:
        """Return every pod bound to the node, by namespace and name."""
        if not is_name(node):
            # Least of all those that are bound to no node yet, which is what the API takes an empty name for.
            return []
        pages = self._api.pages("/api/v1/pods", {"fieldSelector": f"spec.nodeName={node}"})
        pods = [read_pod(each) async for page in pages for each in page["items"]]
        return sorted(pods, key=lambda pod: (pod.namespace, pod.name))

    async def evict(self, pod: Pod) -> None:
        """Ask for the eviction; a budget's refusal (429), and what several budgets get (500), is a TemporaryError."""
        body = {
            "apiVersion": await self._evictions(),
            "kind": "Eviction",
            "metadata": {"namespace": pod.namespace, "name": pod.name},
            "deleteOptions": {"preconditions": {"uid": pod.uid}} if pod.uid else {},
        }
        await self._done(pod, self._api.create(f"{_path(pod)}/eviction", body))

    async def delete(self, pod: Pod, grace_period: timedelta) -> None:
        """Delete the pod."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": ceil(grace_period.total_seconds()),
            **({"preconditions": {"uid": pod.uid}} if pod.uid else {}),
        }
        await self._done(pod, self._api.delete(_path(pod), options))

    async def _done(self, pod: Pod, call: Awaitable[Object]) -> None:
        """Await the call; that the pod is gone is what it was for."""
        try:
            await call
        except NotServedError:
            raise
        except NotFoundError:
            return
        except ConflictError:
            # The uid is another one's; or somebody else writes to the pod at the same time.
            if await self._is_there(pod):
                raise

    async def _is_there(self, pod: Pod) -> bool:
        try:
            found = await self._api.get(_path(pod))
        except NotFoundError:
            return False
        return pod.uid in ("", found["metadata"]["uid"])

    async def _evictions(self) -> str:
        """Return the version of evictions that the server takes: v1 from Kubernetes 1.22 on, before it v1beta1.

        The group's own list would mislead: 1.21 has policy/v1, but no evictions in it.
        """
        if self._eviction_version is None:
            served = (await self._api.get("/api/v1"))["resources"]
            found = next((each for each in served if each["name"] == "pods/eviction"), None)
            if found is None:
                raise PermanentError("the API server offers no evictions (pods/eviction)")
            self._eviction_version = f"{found['group']}/{found['version']}"
        return self._eviction_version


def _path(pod: Pod) -> str:
    return named(f"{named('/api/v1/namespaces', pod.namespace)}/pods", pod.name)
