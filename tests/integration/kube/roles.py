"""The roles of the chart's release, whole and with less in them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from pipeline.cluster.kube.api import KubeApi, Object
from tests.integration.kube.charting import Right, rights

RBAC = "/apis/rbac.authorization.k8s.io/v1"


async def roles(admin: KubeApi) -> list[Object]:
    """Return the release's roles, of the cluster and of namespaces."""
    selected = {"labelSelector": "app.kubernetes.io/instance=gr"}
    kinds = {kind: await admin.get(f"{RBAC}/{kind.lower()}s", selected) for kind in ("ClusterRole", "Role")}
    return [{**role, "kind": kind} for kind, found in kinds.items() for role in found["items"]]


@asynccontextmanager
async def without(admin: KubeApi, lost: Iterable[Right]) -> AsyncIterator[None]:
    """Have the roles lack these rights."""
    whole = await roles(admin)
    for role in whole:
        await admin.patch(_path(role), {"rules": _rules(set(rights([role])).difference(lost))})
    try:
        yield
    finally:
        for role in whole:
            await admin.patch(_path(role), {"rules": role["rules"]})


def _rules(left: Iterable[Right]) -> list[Object]:
    return [{"apiGroups": [group], "resources": [resource], "verbs": [verb]} for group, resource, verb, _ in left]


def _path(role: Object) -> str:
    name, namespace = role["metadata"]["name"], role["metadata"].get("namespace")
    return f"{RBAC}/namespaces/{namespace}/roles/{name}" if namespace else f"{RBAC}/clusterroles/{name}"
