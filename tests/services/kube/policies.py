"""The kinds of policies, whatever is in them."""

from collections.abc import Mapping

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.policies import GROUP, PLURALS
from pipeline.errors import NotFoundError, TemporaryError
from tests.services.kube.waiting import until

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_GROUP = "rescue.ksyun.com"


async def install(api: KubeApi, kinds: Mapping[str, str] = PLURALS) -> None:
    """Define the kinds, given with their plurals; return when the API server serves them."""
    for kind, plural in kinds.items():
        await api.create(_DEFINITIONS, _definition(kind, plural))

        async def served(plural: str = plural) -> bool:
            try:
                await api.get(f"{GROUP}/{plural}")
            except (NotFoundError, TemporaryError):
                return False
            return True

        await until(served)


def _definition(kind: str, plural: str) -> dict[str, object]:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}},
    }
    return {
        "metadata": {"name": f"{plural}.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "scope": "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }
