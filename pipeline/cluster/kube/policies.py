"""The policy resources: kept by list and watch, and given their status."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.paths import named
from pipeline.cluster.kube.reflector import Reflector
from pipeline.errors import NotFoundError

GROUP = "/apis/rescue.ksyun.com/v1"
PLURALS: Mapping[str, str] = {"RescuePolicy": "rescuepolicies", "WarmStandbyPolicy": "warmstandbypolicies"}
"""The kinds of policies, in the order in which they are shown, and their collections."""

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class PolicyCopy:
    """A copy of the policies of one kind."""

    def __init__(self) -> None:
        self._manifests: dict[str, Object] = {}
        self.shown: tuple[Object, ...] = ()

    def listed(self, found: Sequence[Object]) -> None:
        """Take these for all there are."""
        self._show({_name(manifest): manifest for manifest in found})

    def changed(self, found: Object) -> None:
        """Take this one for new, or in the place of what it was."""
        self._show({**self._manifests, _name(found): found})

    def deleted(self, found: Object) -> None:
        """Forget this one."""
        self._show({name: manifest for name, manifest in self._manifests.items() if name != _name(found)})

    def _show(self, manifests: dict[str, Object]) -> None:
        if manifests != self._manifests:
            self._manifests = manifests
            self.shown = tuple(manifests[name] for name in sorted(manifests))


class KubePolicies:
    """The policies of all kinds."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._copies = {kind: PolicyCopy() for kind in PLURALS}
        self.reflectors = [
            Reflector(api, f"{GROUP}/{PLURALS[kind]}", slim_manifest, copy) for kind, copy in self._copies.items()
        ]
        self._parts: tuple[tuple[Object, ...], ...] = tuple(copy.shown for copy in self._copies.values())
        self._shown: tuple[Object, ...] = ()

    def all(self) -> Sequence[Mapping[str, Any]]:
        """Return the manifests by kind and name, status included; the same object until one of them changes."""
        parts = tuple(copy.shown for copy in self._copies.values())
        if any(part is not before for part, before in zip(parts, self._parts, strict=True)):
            self._parts, self._shown = parts, tuple(manifest for part in parts for manifest in part)
        return self._shown

    async def set_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        """Replace the status of a policy, unless it is that already; ConflictError if somebody writes meanwhile."""
        if kind not in PLURALS:
            raise NotFoundError(f"{kind} is no kind of policy")
        path = named(f"{GROUP}/{PLURALS[kind]}", name)
        found = await self._api.get(path)
        if found.get("status", {}) != status:
            await self._api.replace(f"{path}/status", {**found, "status": dict(status)})


def slim_manifest(found: Object) -> Object:
    """Return the object without what the API server keeps for itself: who wrote which field, and what was applied."""
    metadata = {key: value for key, value in found["metadata"].items() if key != "managedFields"}
    annotations = {key: value for key, value in metadata.pop("annotations", {}).items() if key != _LAST_APPLIED}
    return {**found, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}


def _name(manifest: Object) -> str:
    name: str = manifest["metadata"]["name"]
    return name
