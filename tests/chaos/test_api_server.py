"""An API server that fails in every way it can, or is killed: rescues end as they would have without that."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.cluster.kube.api import KubeApi
from tests.fakes.kube_outcome import observed
from tests.fakes.kube_site import KubeReplica, fault, policy, running, whole
from tests.services.kube.definitions import install
from tests.services.kube.nodes import create_node
from tests.services.kube.plane import ControlPlane
from tests.services.kube.pods import Kind, create_pod
from tests.services.kube.proxy import Call, Proxy, Trouble
from tests.services.kube.waiting import until

NODES = 20
RATE = 0.15
LIMIT = 150.0
_ANY = (Trouble.BUSY, Trouble.BROKEN, Trouble.SILENT, Trouble.CUT)
_MADE = (Trouble.LOST, Trouble.UNHEARD)
_OF_WATCHES = (Trouble.BUSY, Trouble.BROKEN, Trouble.CUT, Trouble.EXPIRED, Trouble.DROPPED)


class Mischief:
    """Does harm to calls at random, and to the first of the watches, which are few and long, in any order.

    `done` counts what, of so many `calls`.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._of_watches = [*_OF_WATCHES] * 3
        self._chance.shuffle(self._of_watches)
        self.calls = 0
        self.done: Counter[Trouble] = Counter()

    async def asked(self, call: Call) -> Trouble | None:
        self.calls += 1
        trouble = self._trouble(call)
        if trouble is not None:
            self.done[trouble] += 1
        return trouble

    async def answered(self, call: Call) -> None:
        """Whether it is heard of was decided before."""

    def _trouble(self, call: Call) -> Trouble | None:
        if call.watch:
            return self._of_watches.pop() if self._of_watches else None
        return self._chance.choice(_possible(call)) if self._chance.random() < RATE else None


def _possible(call: Call) -> Sequence[Trouble]:
    match call.method:
        case "GET":
            return _ANY
        case "POST":
            # A create conflicts with nothing.
            return (*_ANY, *_MADE)
        case _:
            return (*_ANY, *_MADE, Trouble.CONFLICT)


@pytest.mark.parametrize("seed", [1])
async def test_calls_that_fail_at_random_lose_nothing_and_do_nothing_twice(
    rescue_kinds: ControlPlane, rescue_api: KubeApi, namespace: str, tmp_path: Path, seed: int
) -> None:
    nodes = [f"{namespace}-{number}" for number in range(NODES)]
    await asyncio.to_thread(rescue_kinds.kubectl, "apply", "-f", "-", input=policy(namespace, whole()))
    for node in nodes:
        await create_node(rescue_api, node, labels={"test": namespace})
        await create_pod(rescue_api, namespace, node, node, kind=Kind.REPLICA_SET)
    mischiefs = [Mischief(seed), Mischief(-seed)]
    proxies = [Proxy(rescue_kinds, each, tmp_path / f"{n}.kubeconfig") for n, each in enumerate(mischiefs)]
    replicas = [KubeReplica(tmp_path / str(n), proxy.kubeconfig, namespace) for n, proxy in enumerate(proxies)]
    async with (
        proxies[0].serving(),
        proxies[1].serving(),
        observed(rescue_api, namespace, *replicas) as outcome,
    ):
        with running(*replicas):
            await fall(nodes, replicas)
            await outcome.over(nodes, LIMIT)
    troubles = sum((each.done for each in mischiefs), Counter[Trouble]())
    print(f"seed {seed}: {troubles.total()} calls of {mischiefs[0].calls + mischiefs[1].calls}: {dict(troubles)}")
    assert set(troubles) == set(Trouble)
    outcome.check_once(nodes)


async def test_an_api_server_that_is_killed_in_the_middle_of_rescues_loses_nothing_and_does_nothing_twice(
    own_kube: ControlPlane, own_api: KubeApi, tmp_path: Path
) -> None:
    namespace, nodes = "killed", [f"gpu-{number}" for number in range(6)]
    await asyncio.to_thread(install, own_kube)
    await asyncio.to_thread(own_kube.kubectl, "apply", "-f", "-", input=policy(namespace, whole()))
    await own_api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    for node in nodes:
        await create_node(own_api, node, labels={"test": namespace})
    replicas = [KubeReplica(tmp_path / name, own_kube.kubeconfig, namespace) for name in ("first", "second")]
    async with observed(own_api, namespace, *replicas) as outcome:

        async def a_node_is_cordoned() -> bool:
            return any(outcome.witness.cordons.values())

        async def a_machine_reboots() -> bool:
            return outcome.witness.asked.total() > 0

        with running(*replicas):
            await fall(nodes, replicas)
            for middle in (a_node_is_cordoned, a_machine_reboots):
                await until(middle)
                await asyncio.to_thread(own_kube.kill_api_server)
                await asyncio.to_thread(own_kube.start)
            await outcome.over(nodes, LIMIT)
    outcome.check_once(nodes)


async def fall(nodes: Sequence[str], replicas: Sequence[KubeReplica]) -> None:
    """Have every replica read of the fault of each node, when all are ready."""
    for replica in replicas:
        await replica.ready()
    for node in nodes:
        line = fault(node)
        for replica in replicas:
            replica.tell(line)
