"""Drain parity: what `kubectl drain --ignore-daemonsets` moves, we move; where not, the table says so, and why.

Each row is a node with pods and its twin, on a real API server; kubectl drains the one, we the other.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from pipeline.cluster.kube.api import KubeApi
from pipeline.model.plan import Drain
from tests.integration.kube.draining import PATIENCE, PodOf, Twins
from tests.services.kube.plane import ControlPlane
from tests.services.kube.pods import Kind, create_budget

NEVER = frozenset[str]()
APP = {"labels": {"app": "train"}}


@dataclass(frozen=True)
class End:
    """How a drain ends: whether it succeeds, and which pods have not been moved."""

    drained: bool
    left: frozenset[str] = NEVER


@dataclass(frozen=True)
class Row:
    """What stands on a node, how both are told to drain it, and how both do; `ours` only where that differs."""

    name: str
    pods: Mapping[str, PodOf]
    kubectl: End
    flags: tuple[str, ...] = ()
    drain: Drain = field(default_factory=lambda: Drain(PATIENCE))
    ours: End | None = None
    why: str = ""
    dead: bool = False
    later: timedelta = timedelta(0)


def _told(**told: object) -> Drain:
    return Drain(PATIENCE, **told)  # type: ignore[arg-type]


GONE = End(True)
STAYS = End(True, frozenset({"p"}))
REFUSED = End(False, frozenset({"p"}))
NOT_GONE_IN_TIME = End(False)
DELETE_EMPTY_DIR = ("--delete-emptydir-data",)
BARE = PodOf(Kind.BARE)

TABLE = [
    Row("a job's pod goes", {"p": PodOf()}, GONE),
    Row("a ReplicaSet's pod goes", {"p": PodOf(Kind.REPLICA_SET)}, GONE),
    Row("a StatefulSet's pod goes", {"p": PodOf(Kind.STATEFUL_SET)}, GONE),
    Row("a DaemonSet's pod stays", {"p": PodOf(Kind.DAEMON_SET)}, STAYS),
    Row(
        "a DaemonSet's pod stays, forced or not", {"p": PodOf(Kind.DAEMON_SET)}, STAYS, ("--force",), _told(force=True)
    ),
    Row("a finished pod of a DaemonSet goes", {"p": PodOf(Kind.DAEMON_SET, finished=True)}, GONE),
    Row(
        "a pod whose DaemonSet is gone",
        {"p": PodOf(Kind.DAEMON_SET, orphan=True)},
        REFUSED,
        ours=STAYS,
        why="the garbage collector takes it away; to ask for its DaemonSet costs a right and a call for each pod",
    ),
    Row(
        "a pod whose DaemonSet is gone, by force",
        {"p": PodOf(Kind.DAEMON_SET, orphan=True)},
        GONE,
        ("--force",),
        _told(force=True),
        ours=STAYS,
        why="as without force",
    ),
    Row(
        "a pod of a DaemonSet that is not Kubernetes' own",
        {"p": PodOf(Kind.DAEMON_SET, api_version="apps.kruise.io/v1alpha1")},
        GONE,
        ours=STAYS,
        why="it would be back at once, on the cordoned node too",
    ),
    Row("a mirror pod stays", {"p": PodOf(Kind.STATIC)}, STAYS),
    Row("a pod without controller is refused", {"p": BARE}, REFUSED),
    Row("force moves a pod without controller", {"p": BARE}, GONE, ("--force",), _told(force=True)),
    Row("a finished pod without controller goes", {"p": PodOf(Kind.BARE, finished=True)}, GONE),
    Row(
        "a pod with an emptyDir is refused",
        {"p": PodOf(settings={"empty_dir": True})},
        REFUSED,
        drain=_told(delete_empty_dir_data=False),
    ),
    Row("a pod with an emptyDir goes if told", {"p": PodOf(settings={"empty_dir": True})}, GONE, DELETE_EMPTY_DIR),
    Row(
        "a finished pod with an emptyDir goes",
        {"p": PodOf(settings={"empty_dir": True}, finished=True)},
        GONE,
        drain=_told(delete_empty_dir_data=False),
    ),
    Row("a terminating pod is waited for", {"p": PodOf(terminating=True)}, GONE),
    Row("a pod that does not end is waited for", {"p": PodOf(terminating=True, stuck=True)}, NOT_GONE_IN_TIME),
    Row(
        "one refused pod among others",
        {"p": BARE, "q": PodOf()},
        End(False, frozenset({"p", "q"})),
        ours=REFUSED,
        why="kubectl's person is there to try again; a rescue makes what way it can until the waittime is over",
    ),
    Row(
        "a terminating pod on a dead node",
        {"p": PodOf(terminating=True, stuck=True)},
        NOT_GONE_IN_TIME,
        ours=GONE,
        why="no kubelet will say that it has ended, and the reboot ends it",
        dead=True,
        later=timedelta(minutes=1),
    ),
    Row(
        "a terminating pod on a dead node, as kubectl can be told to treat it",
        {"p": PodOf(terminating=True, stuck=True)},
        GONE,
        ("--skip-wait-for-delete-timeout=1", "--timeout=30s"),
        dead=True,
        later=timedelta(minutes=1),
    ),
    Row(
        "only pods with GPUs, whose label kubectl is told",
        {"p": PodOf(settings={"labels": {"gpu": "no"}}), "q": PodOf(settings={"gpus": 1, "labels": {"gpu": "yes"}})},
        STAYS,
        ("--pod-selector=gpu=yes",),
        _told(gpu_pods_only=True),
    ),
]


@pytest.fixture
async def twins(kube: ControlPlane, kube_api: KubeApi, namespace: str) -> AsyncIterator[Twins]:
    both = Twins(kube, kube_api, namespace)
    yield both
    await both.clear()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
async def test_a_node_is_drained_as_kubectl_drains_it(row: Row, twins: Twins) -> None:
    await twins.furnish(row.pods, dead=row.dead)
    drained = await asyncio.gather(twins.kubectl(*row.flags), twins.gpu_rescue(row.drain, row.later))
    left = [frozenset(await twins.left(node)) for node in (twins.theirs, twins.ours)]
    theirs, ours = [End(*end) for end in zip(drained, left, strict=True)]
    assert (theirs, ours) == (row.kubectl, row.ours or row.kubectl)
    assert (theirs != ours) is bool(row.why)


async def test_both_wait_while_a_budget_blocks_and_go_on_when_it_opens(
    twins: Twins, kube_api: KubeApi, namespace: str
) -> None:
    await twins.furnish({"p": PodOf(settings=APP)})
    await create_budget(kube_api, namespace, "train", {"app": "train"}, least=2, healthy=2)
    drained = tuple(await asyncio.gather(twins.kubectl(), twins.gpu_rescue(Drain(PATIENCE))))
    assert drained == (False, False)
    assert [await twins.left(node) for node in (twins.theirs, twins.ours)] == [{"p"}, {"p"}]

    async def opens() -> None:
        await kube_api.delete(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/train")

    minute = timedelta(minutes=1)
    ends = asyncio.gather(twins.kubectl("--timeout=60s"), twins.gpu_rescue(Drain(minute)), opens())
    assert tuple(await ends) == (True, True, None)
    assert [await twins.left(node) for node in (twins.theirs, twins.ours)] == [set(), set()]
