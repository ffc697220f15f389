"""The replica that leads is killed at every write of a rescue, with another one standing by: that one finishes it.

One rescue for the fault, one reboot, cordoned once and uncordoned once, each record once by its id.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path

from pipeline.cluster.kube.api import KubeApi
from pipeline.errors import NotFoundError
from pipeline.execute.store_kube import KubernetesStore
from tests.fakes.kube_outcome import check_once, done, is_over
from tests.fakes.kube_site import KubeReplica, fault, policy, running
from tests.fakes.kube_witness import Witness, watching
from tests.integration.kube.stores import replica as following
from tests.services.kube.nodes import create_node
from tests.services.kube.plane import ControlPlane
from tests.services.kube.pods import Kind, create_pod
from tests.services.kube.proxy import Call, Proxy, Trouble
from tests.services.kube.waiting import until

NAME = "chaos-leader"
ACTIONS = [
    {"name": "cordon"},
    {"name": "drain", "attribute": {"waittime": "2s"}},
    {"name": "reboot", "attribute": {"unCordon": "true"}},
]
PAIRS = 4
LEAST = 15
"""Writes of a rescue: create, the start and the end of four steps, the intent of the reboot, ..."""
LIMIT = 60.0


class When(StrEnum):
    """Around a write."""

    BEFORE = "before the write arrives"
    AFTER = "after the write is made, before its answer"


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """The write of a rescue at which its leader is killed."""

    write: int
    when: When


class Killer:
    """Counts what a replica writes about one node, and kills it at the moment: `hit` is that write then."""

    def __init__(self, replica: KubeReplica) -> None:
        self._replica = replica
        self._node = ""
        self._moment: Moment | None = None
        self._writes = 0
        self._fatal: Call | None = None
        self.hit: Call | None = None

    def aim(self, node: str, moment: Moment) -> None:
        """Wait for that moment of the rescue of that node."""
        self._node, self._moment, self._writes = node, moment, 0
        self._fatal = self.hit = None

    async def asked(self, call: Call) -> Trouble | None:
        """Kill before it arrives, if that is the moment."""
        if self._moment is None or not _is_about(call, self._node):
            return None
        self._writes += 1
        if self._writes != self._moment.write:
            return None
        self._fatal = call
        if self._moment.when is When.AFTER:
            return None
        self._shoot(call)
        return Trouble.CUT

    async def answered(self, call: Call) -> None:
        """Kill now that it is done, if that is the moment."""
        if call is self._fatal:
            self._shoot(call)

    def _shoot(self, call: Call) -> None:
        self._moment, self.hit = None, call
        self._replica.kill()


def _is_about(call: Call, node: str) -> bool:
    kinds = ("/rescues", "/occurrences", "/nodes/", "/pods")
    return call.writes and any(kind in call.path for kind in kinds) and node.encode() in call.path.encode() + call.body


@dataclass(frozen=True, slots=True)
class Place:
    """One replica, whose calls go through a proxy of its own."""

    replica: KubeReplica
    proxy: Proxy
    killer: Killer


class Pair:
    """Two replicas that share a lease."""

    def __init__(self, api: KubeApi, namespace: str, places: list[Place], store: KubernetesStore, witness: Witness):
        self._api = api
        self._lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/gpu-rescue"
        self._leader, self._heir = places
        self.replicas = [place.replica for place in places]
        self.store = store
        self.witness = witness

    async def leads(self) -> None:
        """Return when the leader does."""

        async def holds() -> bool:
            try:
                found = await self._api.get(self._lease)
            except NotFoundError:
                return False
            return bool(found["spec"]["holderIdentity"].startswith(f"{self._leader.replica.name}_"))

        await until(holds)

    async def strike(self, node: str, moment: Moment) -> Call | None:
        """Let a node fall; return the write at which the leader was killed, None if the rescue was over before it."""
        await self.leads()
        await self._heir.replica.ready()
        killer, line = self._leader.killer, fault(node)
        killer.aim(node, moment)
        self._leader.replica.tell(line)

        async def hit_or_over() -> bool:
            return killer.hit is not None or is_over(self.store, node)

        await until(hit_or_over, LIMIT)
        if killer.hit is not None:
            # What was not acknowledged is delivered again, and perhaps what was.
            self._heir.replica.tell(line)
            self._leader.replica.start()
            self._leader, self._heir = self._heir, self._leader
        return killer.hit


@asynccontextmanager
async def pair(plane: ControlPlane, api: KubeApi, namespace: str, folder: Path) -> AsyncIterator[Pair]:
    """Two replicas, started; at the end none has anything more to say than it should."""
    await api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    await asyncio.to_thread(folder.mkdir)
    places = []
    for name in ("first", "second"):
        kubeconfig = folder / f"{name}.kubeconfig"
        replica = KubeReplica(folder / name, kubeconfig, namespace)
        killer = Killer(replica)
        places.append(Place(replica, Proxy(plane, killer, kubeconfig), killer))
    async with AsyncExitStack() as stack:
        for place in places:
            await stack.enter_async_context(place.proxy.serving())
        store = await stack.enter_async_context(following(api, namespace))
        witness = await stack.enter_async_context(watching(api, namespace))
        first, second = (place.replica for place in places)
        with running(first):
            made = Pair(api, namespace, places, store, witness)
            await first.ready()
            await made.leads()
            with running(second):
                yield made
        assert "Traceback" not in first.errors + second.errors


async def test_another_replica_finishes_the_rescue_at_whichever_write_the_leader_is_killed(
    rescue_kinds: ControlPlane, rescue_api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(rescue_kinds.kubectl, "apply", "-f", "-", input=policy(NAME, ACTIONS))
    moments = (Moment(write, when) for write in count(1) for when in When)
    hits: dict[Moment, Call] = {}
    over = False

    async def strike(number: int) -> None:
        nonlocal over
        async with pair(rescue_kinds, rescue_api, f"{namespace}-{number}", tmp_path / str(number)) as struck:
            nodes = []
            while not over:
                moment = next(moments)
                node = f"{namespace}-{moment.write}-{moment.when.name.lower()}"
                await create_node(rescue_api, node, labels={"test": NAME})
                await create_pod(rescue_api, namespace, node, node, kind=Kind.REPLICA_SET)
                nodes.append(node)
                # The last one's rescue may go on meanwhile, and be struck once more.
                if hit := await struck.strike(node, moment):
                    hits[moment] = hit
                else:
                    over = True
            await done(struck.store, nodes, LIMIT)
            for node in nodes:
                check_once(struck.store, struck.witness, struck.replicas, node)

    async with asyncio.TaskGroup() as tasks:
        for number in range(PAIRS):
            tasks.create_task(strike(number))
    for moment, hit in sorted(hits.items()):
        print(f"killed at write {moment.write}, {moment.when}: {hit}")
    assert len(hits) >= 2 * LEAST
