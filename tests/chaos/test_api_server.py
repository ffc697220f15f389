"""An API server that fails in every way it can, or is killed: rescues end as they would have without that."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from pipeline.cluster.kube.api import KubeApi
from tests.fakes.kube_outcome import check_once, done
from tests.fakes.kube_site import KubeReplica, fault, policy, running
from tests.fakes.kube_witness import watching
from tests.integration.kube.stores import replica as following
from tests.services.kube.definitions import install
from tests.services.kube.nodes import create_node
from tests.services.kube.plane import ControlPlane
from tests.services.kube.pods import Kind, create_pod
from tests.services.kube.proxy import Call, Proxy, Trouble
from tests.services.kube.waiting import until

ACTIONS = [
    {"name": "cordon"},
    {"name": "drain", "attribute": {"waittime": "30s"}},
    {"name": "reboot", "attribute": {"unCordon": "true"}},
]
NODES = 20
RATE = 0.15
LIMIT = 150.0
_ANY = (Trouble.BUSY, Trouble.BROKEN, Trouble.SILENT, Trouble.CUT)
_MADE = (Trouble.LOST, Trouble.UNHEARD)


class Mischief:
    """Does harm to every so many a call, at random; `done` counts what."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.done: Counter[Trouble] = Counter()

    async def asked(self, call: Call) -> Trouble | None:
        if self._chance.random() >= RATE:
            return None
        trouble = self._chance.choice(_possible(call))
        self.done[trouble] += 1
        return trouble

    async def answered(self, call: Call) -> None:
        """Whether it is heard of was decided before."""


def _possible(call: Call) -> Sequence[Trouble]:
    if call.watch:
        return (*_ANY, Trouble.EXPIRED, Trouble.DROPPED)
    if call.method == "GET":
        return _ANY
    # A create conflicts with nothing.
    return (*_ANY, *_MADE) if call.method == "POST" else (*_ANY, *_MADE, Trouble.CONFLICT)


@pytest.mark.parametrize("seed", [1])
async def test_calls_that_fail_at_random_lose_nothing_and_do_nothing_twice(
    rescue_kinds: ControlPlane, rescue_api: KubeApi, namespace: str, tmp_path: Path, seed: int
) -> None:
    await asyncio.to_thread(rescue_kinds.kubectl, "apply", "-f", "-", input=policy(namespace, ACTIONS))
    nodes = [f"{namespace}-{number}" for number in range(NODES)]
    for node in nodes:
        await create_node(rescue_api, node, labels={"test": namespace})
        await create_pod(rescue_api, namespace, node, node, kind=Kind.REPLICA_SET)
    mischiefs = [Mischief(seed), Mischief(seed + 1000)]
    proxies = [Proxy(rescue_kinds, each, tmp_path / f"{n}.kubeconfig") for n, each in enumerate(mischiefs)]
    replicas = [KubeReplica(tmp_path / f"replica-{n}", each.kubeconfig, namespace) for n, each in enumerate(proxies)]
    async with AsyncExitStack() as stack:
        for proxy in proxies:
            await stack.enter_async_context(proxy.serving())
        store = await stack.enter_async_context(following(rescue_api, namespace))
        witness = await stack.enter_async_context(watching(rescue_api, namespace))
        with running(*replicas):
            for replica in replicas:
                await replica.ready()
            for node in nodes:
                line = fault(node)
                for replica in replicas:
                    replica.tell(line)
            await done(store, nodes, LIMIT)
    troubles = sum((each.done for each in mischiefs), Counter[Trouble]())
    print(f"seed {seed}: {dict(troubles)}")
    assert set(troubles) == set(Trouble)
    for node in nodes:
        check_once(store, witness, replicas, node)
    assert all("Traceback" not in replica.errors for replica in replicas)


async def test_an_api_server_that_is_killed_in_the_middle_of_rescues_loses_nothing_and_does_nothing_twice(
    own_kube: ControlPlane, own_api: KubeApi, tmp_path: Path
) -> None:
    namespace = "killed"
    await asyncio.to_thread(install, own_kube)
    await asyncio.to_thread(own_kube.kubectl, "apply", "-f", "-", input=policy(namespace, ACTIONS))
    await own_api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    nodes = [f"gpu-{number}" for number in range(6)]
    for node in nodes:
        await create_node(own_api, node, labels={"test": namespace})
    replicas = [KubeReplica(tmp_path / name, own_kube.kubeconfig, namespace) for name in ("first", "second")]
    async with following(own_api, namespace) as store, watching(own_api, namespace) as witness:
        with running(*replicas):
            for replica in replicas:
                await replica.ready()

            async def cordoned() -> bool:
                return any(witness.cordons.values())

            async def asked() -> bool:
                return bool(witness.asked)

            for node in nodes:
                line = fault(node)
                for replica in replicas:
                    replica.tell(line)
            for middle in (cordoned, asked):
                await until(middle)
                await asyncio.to_thread(own_kube.kill_api_server)
                await asyncio.to_thread(own_kube.start)
            await done(store, nodes, LIMIT)
    for node in nodes:
        check_once(store, witness, replicas, node)
    assert all("Traceback" not in replica.errors for replica in replicas)
