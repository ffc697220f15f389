"""A control plane that is killed, stopped and started: what was written stays, and nothing of it is left over."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pipeline.cluster.kube.answers import ExpiredError
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.errors import TemporaryError
from tests.services.fixtures import running
from tests.services.folders import temporary_folder
from tests.services.identities import Identity
from tests.services.kube.nodes import NODES, create_node, reaches
from tests.services.kube.parts import Part
from tests.services.kube.plane import ControlPlane
from tests.services.kube.pods import create_pod, gone, pods

LIMIT = 60
STARTER = """
import sys, time
from pathlib import Path
from tests.services.kube.parts import Part
from tests.services.kube.plane import ControlPlane
from tests.services.processes import leashed

def told(command):
    process = leashed(command)
    print(process.identity.pid, flush=True)
    return process

ControlPlane(Path(sys.argv[1]), parts=tuple(Part), launch=told).start()
print("ready", flush=True)
time.sleep(600)
"""


@asynccontextmanager
async def administrator(kube: ControlPlane) -> AsyncIterator[KubeApi]:
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=kube.kubeconfig))
    try:
        yield api
    finally:
        await api.close()


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param(ControlPlane.stop_api_server, id="an API server that is stopped"),
        pytest.param(ControlPlane.kill_api_server, id="an API server that is killed"),
        pytest.param(ControlPlane.stop, id="all of it stopped"),
        pytest.param(ControlPlane.kill, id="all of it killed"),
    ],
)
async def test_what_was_written_outlives(own_kube: ControlPlane, ending: Callable[[ControlPlane], None]) -> None:
    async with administrator(own_kube) as api:
        written = await create_node(api, "gpu-1")
        await asyncio.to_thread(ending, own_kube)
        assert own_kube.process is None
        with pytest.raises(TemporaryError):
            await api.get(f"{NODES}/gpu-1")
        await asyncio.to_thread(own_kube.start)
        assert (await api.get(f"{NODES}/gpu-1"))["metadata"]["uid"] == written["metadata"]["uid"]


def test_a_second_start_changes_nothing(own_kube: ControlPlane) -> None:
    serving = own_kube.process
    own_kube.start()
    assert own_kube.process is serving


async def test_who_goes_on_from_before_a_compaction_is_told_that_it_expired(uncached_kube: ControlPlane) -> None:
    async with administrator(uncached_kube) as api:
        before = (await create_node(api, "gpu-1"))["metadata"]["resourceVersion"]
        for name in ("gpu-2", "gpu-3"):
            await create_node(api, name)
        assert await asyncio.to_thread(uncached_kube.compact) > int(before)
        with pytest.raises(ExpiredError):
            async for event in api.watch(NODES, {"resourceVersion": before}, silence=LIMIT):
                pytest.fail(f"it was not forgotten: {event}")


async def test_nodes_and_pods_live_on_when_the_api_server_was_away() -> None:
    with running("kube", lambda folder: ControlPlane(folder, parts=(Part.KWOK,))) as kube:
        async with administrator(kube) as api:
            await create_node(api, "gpu-1")
            await asyncio.to_thread(kube.kill_api_server)
            await asyncio.to_thread(kube.start)
            await create_node(api, "gpu-2")
            await reaches(api, "gpu-2", "True")
            await create_pod(api, "default", "train", "gpu-2")
            await api.delete(f"{pods('default')}/train")
            await gone(api, "default", "train")


@pytest.mark.usefixtures("kube")
def test_nothing_of_it_outlives_a_starter_that_is_killed() -> None:
    with (
        temporary_folder("kube") as folder,
        subprocess.Popen([sys.executable, "-c", STARTER, str(folder)], stdout=subprocess.PIPE, text=True) as starter,
    ):
        assert starter.stdout
        *pids, ready = [starter.stdout.readline().strip() for _ in (*Part, "ready")]
        assert ready == "ready"
        servers = [Identity.of(int(pid)) for pid in pids]
        starter.kill()
    until = time.monotonic() + LIMIT
    while any(server.alive() for server in servers) and time.monotonic() < until:
        time.sleep(0.02)
    assert [server.alive() for server in servers] == [False] * len(Part)
