"""What the pipeline needs of a cluster before it can work there: kinds that are installed, and rights."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.policies import GROUP
from pipeline.errors import NotFoundError

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_OURS = "rescue.ksyun.com"


@dataclass(frozen=True, slots=True)
class Need:
    """Verbs on a resource in a namespace; with none, in all of them."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    namespace: str = ""

    @property
    def written(self) -> str:
        """The resource as kubectl writes it: `pods/eviction`, `rescues.rescue.ksyun.com`."""
        plural, slash, subresource = self.resource.partition("/")
        return f"{plural}.{self.group}{slash}{subresource}" if self.group else self.resource

    def right(self, verb: str) -> str:
        """Return one of its rights as `kubectl auth can-i` takes it: `patch nodes`, `create events -n default`."""
        return f"{verb} {self.written}" + (f" -n {self.namespace}" if self.namespace else "")


SEEING = (
    Need("", "nodes", ("list", "watch")),
    Need("", "pods", ("list",)),
    Need(_OURS, "rescuepolicies", ("list", "watch")),
    Need(_OURS, "warmstandbypolicies", ("list", "watch")),
)
"""What it takes to see nodes, their pods and the policies; a rehearsal needs no more of them."""

ACTING = (
    Need("", "nodes", ("get", "patch")),
    Need("", "pods", ("get", "delete")),
    Need("", "pods/eviction", ("create",)),
    Need(_OURS, "rescuepolicies", ("get",)),
    Need(_OURS, "rescuepolicies/status", ("update",)),
    Need(_OURS, "warmstandbypolicies", ("get",)),
    Need(_OURS, "warmstandbypolicies/status", ("update",)),
)
"""What it takes besides to rescue nodes, and to tell people of their policies."""


def keeping(namespace: str) -> tuple[Need, ...]:
    """Return what it takes to keep rescues, occurrences and the lease in a namespace."""
    return (
        Need("coordination.k8s.io", "leases", ("get", "create", "update"), namespace),
        Need(_OURS, "rescues", ("get", "list", "watch", "create", "patch", "delete"), namespace),
        Need(_OURS, "rescues/status", ("update",), namespace),
        Need(_OURS, "occurrences", ("get", "list", "watch", "create", "update", "delete"), namespace),
    )


def announcing(namespace: str) -> Need:
    """Return what it takes to write events into a namespace."""
    return Need("", "events", ("get", "create", "patch"), namespace)


def rebooting(namespace: str) -> Need:
    """Return what it takes beside `ACTING` to reboot by pods of a namespace."""
    return Need("", "pods", ("create",), namespace)


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


async def missing_namespaces(api: KubeApi, needs: Iterable[Need]) -> list[str]:
    """Return the namespaces of the needs that are not there; asked where we may create leases.

    It is asked by a write that is only tried: nobody lets us read namespaces.
    """
    asked = {need.namespace for need in needs if need.resource == "leases"}
    return [namespace for namespace in sorted(asked) if not await _is_there(api, namespace)]


async def missing_rights(api: KubeApi, needs: Iterable[Need]) -> list[str]:
    """Return what of the needs we may not do, each as `kubectl auth can-i` takes it: `patch nodes`."""
    questions = list(_questions(needs))
    answers = await asyncio.gather(*(_may(api, attributes) for _, attributes in questions))
    return [text for (text, _), may in zip(questions, answers, strict=True) if not may]


def _questions(needs: Iterable[Need]) -> Iterator[tuple[str, Mapping[str, str]]]:
    for need in needs:
        plural, _, subresource = need.resource.partition("/")
        for verb in need.verbs:
            asked = {"group": need.group, "resource": plural, "subresource": subresource, "verb": verb}
            yield need.right(verb), {**asked, "namespace": need.namespace}


async def _may(api: KubeApi, attributes: Mapping[str, str]) -> bool:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": dict(attributes)},
    }
    return bool((await api.create(_REVIEWS, body))["status"]["allowed"])


async def _is_there(api: KubeApi, namespace: str) -> bool:
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"generateName": "gpu-rescue-"}}
    try:
        await api.create(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", lease, {"dryRun": "All"})
    except NotFoundError:
        return False
    return True
