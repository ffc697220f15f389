"""The replica that leads is killed at every write of a rescue, with another one standing by: that one finishes it.

One rescue for the fault, one reboot, cordoned once and uncordoned once, each record once by its id.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path

from pipeline.cluster.kube.api import KubeApi
from pipeline.errors import NotFoundError
from tests.fakes.kube_outcome import Outcome, observed
from tests.fakes.kube_site import KubeReplica, fault, policy, running, whole
from tests.services.kube.nodes import create_node
from tests.services.kube.plane import ControlPlane
from tests.services.kube.pods import Kind, create_pod
from tests.services.kube.proxy import Call, Proxy, Trouble
from tests.services.kube.waiting import until

NAME = "chaos-leader"
PAIRS = 6
LEAST = 15
"""Writes of a rescue: its creation, two saves for each step, how far it is recorded, those to node and pods."""
LIMIT = 60.0


class When(StrEnum):
    """Around a write."""

    BEFORE = "before the write arrives"
    AFTER = "after the write is made, before its answer"


@dataclass(frozen=True, slots=True)
class Moment:
    """The write of a rescue at which its leader is killed."""

    write: int
    when: When


class Aim:
    """The moment that is waited for, over the writes of both: on a busy machine the lease may change hands before it.

    `hit` is the write at which somebody was killed.
    """

    def __init__(self, node: str = "", moment: Moment | None = None) -> None:
        self._node = node
        self._moment = moment
        self._writes = 0
        self._fatal: Call | None = None
        self.hit: Call | None = None

    def counts(self, call: Call) -> bool:
        """Count a call, and return whether its arrival is the moment."""
        if self._moment is None or not _is_about(call, self._node):
            return False
        self._writes += 1
        if self._writes != self._moment.write:
            return False
        self._fatal = call
        return self._moment.when is When.BEFORE

    def is_fatal(self, call: Call) -> bool:
        """Whether that call, now that it is done, is the moment."""
        return call is self._fatal and self.hit is None


class Killer:
    """Kills a replica at the moment that its pair aims at."""

    def __init__(self, replica: KubeReplica) -> None:
        self._replica = replica
        self.aim = Aim()

    async def asked(self, call: Call) -> Trouble | None:
        """Kill before it arrives, if that is the moment."""
        if not self.aim.counts(call):
            return None
        self._shoot(call)
        return Trouble.CUT

    async def answered(self, call: Call) -> None:
        """Kill now that it is done, if that is the moment."""
        if self.aim.is_fatal(call):
            self._shoot(call)

    def _shoot(self, call: Call) -> None:
        self.aim.hit = call
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

    def __init__(self, api: KubeApi, namespace: str, leader: Place, heir: Place, outcome: Outcome) -> None:
        self._api = api
        self._lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/gpu-rescue"
        self._leader, self._heir = leader, heir
        self._dead: set[str] = set()
        self.outcome = outcome

    async def leads(self) -> None:
        """Return when one of the living leads: that is the leader from now on."""

        async def lives() -> bool:
            holder = await self._holder()
            if not holder or holder in self._dead:
                return False
            if not holder.startswith(self._leader.replica.name):
                self._leader, self._heir = self._heir, self._leader
            return True

        await until(lives, LIMIT)

    async def _holder(self) -> str:
        try:
            found = await self._api.get(self._lease)
        except NotFoundError:
            return ""
        return str(found["spec"]["holderIdentity"])

    async def strike(self, node: str, moment: Moment) -> Call | None:
        """Let a node fall; return the write at which who made it was killed, None if the rescue was over before it."""
        await self.leads()
        await self._heir.replica.ready()
        aim, line = Aim(node, moment), fault(node)
        self._leader.killer.aim = self._heir.killer.aim = aim
        self._leader.replica.tell(line)

        async def hit_or_over() -> bool:
            return aim.hit is not None or self.outcome.is_over(node)

        await until(hit_or_over, LIMIT)
        if aim.hit is None:
            return None
        if not self._leader.replica.alive():
            self._leader, self._heir = self._heir, self._leader
        if (holder := await self._holder()).startswith(self._heir.replica.name):
            self._dead.add(holder)
        # What was not acknowledged is delivered again, and perhaps what was.
        self._leader.replica.tell(line)
        self._heir.replica.start()
        return aim.hit


def place(plane: ControlPlane, folder: Path, namespace: str) -> Place:
    """A replica that lives in that folder, and whoever may kill it."""
    kubeconfig = folder.with_suffix(".kubeconfig")
    replica = KubeReplica(folder, kubeconfig, namespace)
    killer = Killer(replica)
    return Place(replica, Proxy(plane, killer, kubeconfig), killer)


@asynccontextmanager
async def pair(plane: ControlPlane, api: KubeApi, folder: Path) -> AsyncIterator[Pair]:
    """Two replicas in a namespace of their own, called like the folder; the one that leads was started first."""
    namespace = folder.name
    await api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    await asyncio.to_thread(folder.mkdir)
    first, second = (place(plane, folder / name, namespace) for name in ("first", "second"))
    async with (
        first.proxy.serving(),
        second.proxy.serving(),
        observed(api, namespace, first.replica, second.replica) as outcome,
    ):
        made = Pair(api, namespace, first, second, outcome)
        with running(first.replica):
            await made.leads()
            with running(second.replica):
                yield made


async def test_another_replica_finishes_the_rescue_at_whichever_write_the_leader_is_killed(
    rescue_kinds: ControlPlane, rescue_api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(rescue_kinds.kubectl, "apply", "-f", "-", input=policy(NAME, whole("2s")))
    moments = (Moment(write, when) for write in count(1) for when in When)
    hits: dict[Moment, Call] = {}
    over = False

    async def strike(number: int) -> None:
        nonlocal over
        async with pair(rescue_kinds, rescue_api, tmp_path / f"{namespace}-{number}") as struck:
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
            await struck.outcome.over(nodes, LIMIT)
        struck.outcome.check_once(nodes)

    async with asyncio.TaskGroup() as tasks:
        for number in range(PAIRS):
            tasks.create_task(strike(number))
    for moment, hit in hits.items():
        print(f"killed at write {moment.write}, {moment.when}: {hit}")
    assert len(hits) >= 2 * LEAST
