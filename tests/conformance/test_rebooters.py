"""The conformance suite of the rebooter port, over each road."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.clock import ManualClock, WallClock
from pipeline.cluster.kube.api import KubeApi, Object, Query
from pipeline.cluster.kube.nodes import NodeReader
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.cluster.memory import Call, SimulatedCluster, Trouble
from pipeline.errors import TemporaryError
from pipeline.model.node import Node
from pipeline.rebooters.pod import PodRebooter
from pipeline.rebooters.port import Rebooter
from pipeline.rebooters.settings import PodRebooterConfig
from pipeline.rebooters.simulated import SimulatedRebooter
from tests.conformance.rebooters import RebooterConformance
from tests.fakes.machine import Machine
from tests.fakes.world import gpu_node
from tests.services.kube.nodes import NODES, boot, create_node, reaches
from tests.services.kube.plane import ControlPlane
from tests.services.kube.pods import pods

_NO_QUERY: Query = {}


class SimulatedStage:
    """The simulated cluster; its machines are its own."""

    def __init__(self) -> None:
        self._clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self._cluster = SimulatedCluster(self._clock, [gpu_node()])
        self.rebooter: Rebooter = SimulatedRebooter(self._cluster)

    async def node(self) -> Node:
        return await self._cluster.get_node("gpu-1")

    async def machine_obeys(self) -> None:
        self._clock.move_to(self._clock.now() + timedelta(hours=1))

    def lose_the_answer(self) -> None:
        self._cluster.troubles.next(Call.REBOOT, Trouble.LOST_ANSWER)

    def be_busy(self) -> None:
        self._cluster.troubles.next(Call.REBOOT, Trouble.TIMEOUT)

    def refuse(self) -> None:
        self._cluster.troubles.next(Call.REBOOT, Trouble.REFUSED)


class TestSimulatedRebooter(RebooterConformance):
    @pytest.fixture
    def stage(self) -> SimulatedStage:
        return SimulatedStage()


class LossyApi(KubeApi):
    """The API over a line that loses the next creation on its way there, or its answer on the way back."""

    loses_answer = False
    loses_call = False

    async def create(self, path: str, body: Object, query: Query = _NO_QUERY) -> Object:
        if self.loses_call:
            self.loses_call = False
            raise TemporaryError("no connection in time")
        created = await super().create(path, body, query)
        if self.loses_answer:
            self.loses_answer = False
            raise TemporaryError("no answer in time")
        return created


class PodStage:
    """A real API server; the machine, and the kubelet that starts every pod anew, are the stage's."""

    def __init__(self, api: LossyApi, name: str, namespace: str, machine: Machine) -> None:
        self._api = api
        self._name = name
        self._namespace = namespace
        self._machine = machine
        self.rebooter: Rebooter = self._rebooter(namespace)

    async def node(self) -> Node:
        return NodeReader().read(await self._api.get(f"{NODES}/{self._name}"))

    async def machine_obeys(self) -> None:
        for pod in (await self._api.get(pods(self._namespace)))["items"]:
            self._machine.run(pod, (await self.node()).boot_id)
            if self._machine.rebooted:
                await boot(self._api, self._name)

    def lose_the_answer(self) -> None:
        self._api.loses_answer = True

    def be_busy(self) -> None:
        self._api.loses_call = True

    def refuse(self) -> None:
        self.rebooter = self._rebooter(f"{self._namespace}-x")

    def _rebooter(self, namespace: str) -> PodRebooter:
        config = PodRebooterConfig(type="pod", image="busybox", namespace=namespace)
        return PodRebooter(self._api, config, WallClock())


class TestPodRebooter(RebooterConformance):
    @pytest.fixture
    async def stage(self, kube: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[PodStage]:
        api = LossyApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=kube.kubeconfig))
        name = f"gpu-{uuid.uuid4().hex[:8]}"
        await create_node(api, name)
        await reaches(api, name, "True")
        yield PodStage(api, name, namespace, Machine(tmp_path))
        await api.delete(pods(namespace), {"gracePeriodSeconds": 0})
        await api.delete(f"{NODES}/{name}")
        await api.close()
