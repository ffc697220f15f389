"""What the pipeline needs of a cluster before it can work there: kinds that are installed, and rights."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.policies import GROUP
from pipeline.errors import NotFoundError

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_OURS = "rescue.ksyun.com"


@dataclass(frozen=True, slots=True)
class Need:
    """Verbs on a resource; `namespaced` ones are needed in our namespace only."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    namespaced: bool = False

    @property
    def written(self) -> str:
        """The resource as kubectl writes it: `pods/eviction`, `rescues.rescue.ksyun.com`."""
        plural, slash, subresource = self.resource.partition("/")
        return f"{plural}.{self.group}{slash}{subresource}" if self.group else self.resource


NEEDS = (
    Need("", "nodes", ("get", "list", "watch", "patch")),
    Need("", "pods", ("get", "list", "delete")),
    Need("", "pods/eviction", ("create",)),
    Need("", "events", ("get", "create", "patch"), namespaced=True),
    Need("coordination.k8s.io", "leases", ("get", "create", "update"), namespaced=True),
    Need(_OURS, "rescuepolicies", ("get", "list", "watch")),
    Need(_OURS, "rescuepolicies/status", ("update",)),
    Need(_OURS, "warmstandbypolicies", ("get", "list", "watch")),
    Need(_OURS, "warmstandbypolicies/status", ("update",)),
    Need(_OURS, "rescues", ("get", "list", "watch", "create", "patch", "delete"), namespaced=True),
    Need(_OURS, "rescues/status", ("update",), namespaced=True),
    Need(_OURS, "occurrences", ("get", "list", "watch", "create", "update", "delete"), namespaced=True),
)
KINDS = ("rescuepolicies", "warmstandbypolicies", "rescues", "occurrences")
"""The resources of our own that must be installed; their definitions travel with the Helm chart."""


async def missing_kinds(api: KubeApi) -> list[str]:
    """Return those of `KINDS` that the API server does not know."""
    try:
        served = (await api.get(GROUP))["resources"]
    except NotFoundError:
        served = []
    known = {each["name"] for each in served}
    return [f"{kind}.{_OURS}" for kind in KINDS if kind not in known]


async def has_namespace(api: KubeApi, namespace: str) -> bool:
    """Whether there is such a namespace; asked by a write that is only tried, since nobody lets us read namespaces.

    Raises ForbiddenError without the right to create leases there.
    """
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"generateName": "gpu-rescue-"}}
    try:
        await api.create(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", lease, {"dryRun": "All"})
    except NotFoundError:
        return False
    return True


async def missing_rights(api: KubeApi, namespace: str) -> list[str]:
    """Return what we need and may not do, each as `kubectl auth can-i` takes it: `patch nodes`."""
    questions = list(_questions(namespace))
    answers = await asyncio.gather(*(_may(api, attributes) for _, attributes in questions))
    return [text for (text, _), may in zip(questions, answers, strict=True) if not may]


def _questions(namespace: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    for need in NEEDS:
        plural, _, subresource = need.resource.partition("/")
        where = {"namespace": namespace} if need.namespaced else {}
        for verb in need.verbs:
            asked = {"group": need.group, "resource": plural, "subresource": subresource, "verb": verb, **where}
            yield f"{verb} {need.written}" + (f" -n {namespace}" if need.namespaced else ""), asked


async def _may(api: KubeApi, attributes: Mapping[str, str]) -> bool:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": dict(attributes)},
    }
    return bool((await api.create(_REVIEWS, body))["status"]["allowed"])
