"""A cluster and a store that are watched: the judge is told what the pipeline does to them when it does it."""

from collections.abc import Mapping
from datetime import timedelta

from pipeline.model.node import Node, NodePatch, Pod
from pipeline.model.rescue import Rescue
from tests.fakes.judge import Judge
from tests.fakes.killing import KillingCluster, KillingStore


class JudgedCluster(KillingCluster):
    """Tells the judge of each effect before it happens, and of each cordon after it, whoever made it."""

    judge: Judge | None = None
    _by_us = False

    def truth(self) -> Mapping[str, Node]:
        """All nodes as they are, however far the cache is behind."""
        self.settle()
        return self._objects.all()

    async def patch_node(self, name: str, patch: NodePatch, resource_version: str) -> Node:
        before = self.truth().get(name)
        if self.judge is not None and before is not None and before.resource_version == resource_version:
            self.judge.patch(before, patch)
        self._by_us = True
        try:
            return await super().patch_node(name, patch, resource_version)
        finally:
            self._by_us = False

    def edit_node(self, name: str, patch: NodePatch) -> Node:
        before = self._objects.get(name)
        after = super().edit_node(name, patch)
        if self.judge is not None:
            self.judge.edited(before, after, patch, by_us=self._by_us)
        return after

    def delete_node(self, name: str) -> None:
        super().delete_node(name)
        if self.judge is not None:
            self.judge.ours.pop(name, None)

    async def evict(self, pod: Pod) -> None:
        if self.judge is not None:
            self.judge.pod(pod)
        await super().evict(pod)

    async def delete_pod(self, pod: Pod, grace_period: timedelta) -> None:
        if self.judge is not None:
            self.judge.pod(pod)
        await super().delete_pod(pod, grace_period)

    def reboot(self, node: str, request: str) -> None:
        self.killer.moment(f"before the reboot of {node}")
        if self.judge is not None:
            self.judge.reboot(self._objects.get(node), request)
        super().reboot(node, request)
        self.killer.moment(f"after the reboot of {node}")


class JudgedStore(KillingStore):
    """Tells the judge of each rescue that begins or ends."""

    judge: Judge | None = None

    def _put(self, rescue: Rescue) -> Rescue:
        before = self.get(rescue.name)
        saved = super()._put(rescue)
        if self.judge is not None and not saved.dry_run:
            if saved.begun and (before is None or not before.begun):
                self.judge.begins(saved)
            if saved.status.ended and (before is None or not before.status.ended):
                self.judge.ends(saved)
        return saved
