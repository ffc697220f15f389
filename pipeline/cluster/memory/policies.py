"""The policy resources of the simulated cluster: manifests, and the status that was written into them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.errors import NotFoundError

Manifest = Mapping[str, Any]


class Policies:
    """Manifests in the order they were applied; applying new ones keeps the status of those that stay."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._status: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._manifests: dict[tuple[str, str], Manifest] = {}
        self._shown: tuple[Manifest, ...] = ()
        self.replace(manifests)

    def all(self) -> tuple[Manifest, ...]:
        """Return the manifests, status included; the same object until one of them changes."""
        return self._shown

    def replace(self, manifests: Iterable[Manifest]) -> None:
        """Apply these manifests and delete all others."""
        self._manifests = {_key(manifest): manifest for manifest in manifests}
        self._status = {key: status for key, status in self._status.items() if key in self._manifests}
        self._show()

    def set_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        """Replace the status of one policy; raise NotFoundError if there is none of that kind and name."""
        if (kind, name) not in self._manifests:
            raise NotFoundError(f"{kind} {name} does not exist")
        self._status[kind, name] = status
        self._show()

    def _show(self) -> None:
        self._shown = tuple(
            {**manifest, "status": self._status[key]} if key in self._status else manifest
            for key, manifest in self._manifests.items()
        )


def _key(manifest: Manifest) -> tuple[str, str]:
    return str(manifest.get("kind", "")), str(manifest.get("metadata", {}).get("name", ""))
