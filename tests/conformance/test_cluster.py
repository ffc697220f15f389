"""The conformance suite of the cluster port, over each adapter."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.clock import ManualClock, WallClock
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.cluster.memory import Budget, SimulatedCluster
from pipeline.cluster.port import NodeEvent
from pipeline.model.node import Node, Pod
from tests.conformance.cluster import GRACE, ClusterConformance
from tests.conformance.kube import KubernetesStage
from tests.services.fixtures import running
from tests.services.kube.definitions import install
from tests.services.kube.parts import Part
from tests.services.kube.plane import ControlPlane


class SimulatedStage:
    """The simulated cluster; its people and kubelets are its own."""

    def __init__(self) -> None:
        self._clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.cluster = SimulatedCluster(self._clock)

    async def add_node(self, name: str, labels: Mapping[str, str]) -> None:
        self.cluster.add_node(Node(name, "", labels=labels))

    async def delete_node(self, name: str) -> None:
        self.cluster.delete_node(name)

    async def add_pod(self, pod: Pod) -> Pod:
        return self.cluster.add_pod(pod)

    async def protect(self, namespace: str, labels: Mapping[str, str], available: int) -> None:
        self.cluster.add_budget(Budget("budget", namespace, labels, min_available=available))

    async def grace_is_over(self) -> None:
        self._clock.move_to(self._clock.now() + GRACE)

    async def add_policy(self, manifest: Mapping[str, Any]) -> None:
        self.cluster.set_policies([*self.cluster.policies(), manifest])

    async def cache_has_caught_up(self) -> None:
        self.cluster.settle()

    def watch(self) -> AsyncIterator[NodeEvent]:
        return self.cluster.watch()


class TestSimulatedCluster(ClusterConformance):
    @pytest.fixture
    def stage(self) -> SimulatedStage:
        return SimulatedStage()


@pytest.fixture(scope="session")
def empty_kube() -> Iterator[ControlPlane]:
    """A control plane in which nothing happens by itself, but that budgets are kept."""
    with running("kube", lambda folder: ControlPlane(folder, parts=(Part.CONTROLLERS,))) as server:
        install(server)
        yield server


class TestKubernetesCluster(ClusterConformance):
    @pytest.fixture
    async def stage(self, empty_kube: ControlPlane) -> AsyncIterator[KubernetesStage]:
        api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=empty_kube.kubeconfig))
        cluster = KubernetesCluster(api, WallClock())
        running = asyncio.create_task(cluster.run())
        stage = KubernetesStage(api, cluster)
        yield stage
        await stage.clear()
        running.cancel()
        await asyncio.wait((running,))
        await cluster.close()
