"""A pipeline that goes through all its parts: its nodes, their faults, and what must have come of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.clock import WallClock
from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.execute.progress import cancelled
from pipeline.model.rescue import CancelReason
from tests.conformance.test_occurrences import seen
from tests.fakes.faults import NOON, rescue
from tests.integration.kube.released import AGENTS, OURS, Installed
from tests.integration.kube.stores import replica
from tests.services.kube.events import agent_event
from tests.services.kube.nodes import NODES, boot, create_node, reaches
from tests.services.kube.pods import create_budget, create_pod, pods
from tests.services.kube.waiting import until

RESCUES = f"/apis/rescue.ksyun.com/v1/namespaces/{OURS}/rescues"
OCCURRENCES = f"/apis/rescue.ksyun.com/v1/namespaces/{OURS}/occurrences"
EVENTS = f"/api/v1/namespaces/{AGENTS}/events"
LONG_AGO = timedelta(days=40)
WINDOW = timedelta(minutes=1)
"""The release's `guards.incident_window`."""

LIMIT = 60.0

CORDON, DRAIN = {"name": "cordon"}, {"name": "drain", "attribute": {"waittime": "1s", "onTimeout": "force"}}
VALUES: dict[str, Any] = {
    "nodeEvents": {"enabled": True, "namespace": AGENTS},
    "rebooter": {"type": "pod", "image": "busybox:1.37"},
    "policies": {
        "all": {
            "rules": [
                {
                    "priority": 10,
                    "errorCode": ["62"],
                    "actions": [
                        CORDON,
                        {"name": "enableWarmStandby"},
                        DRAIN,
                        {"name": "reboot", "attribute": {"waittime": "0s", "unCordon": "true"}},
                    ],
                },
                {"priority": 20, "errorCode": ["79"], "actions": [CORDON, DRAIN, {"name": "offline"}]},
                {
                    "priority": 30,
                    "errorCode": ["63"],
                    "repeat": {"count": 9, "within": "1day"},
                    "actions": [CORDON],
                },
            ]
        }
    },
    "warmStandbyPolicies": {"all": {"matches": [{"originNode": {"a": "b"}, "targetNode": {"a": "b"}}]}},
    "config": {
        "guards": {"max_percent": 100, "incident_window": "1min"},
        "execute": {"settle": "0s"},
        "lease": {"retry_period": "1s"},
    },
}


@asynccontextmanager
async def calls_of(kubeconfig: Path) -> AsyncIterator[KubeApi]:
    """The calls of whoever comes in by that file."""
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=kubeconfig))
    try:
        yield api
    finally:
        await api.close()


@asynccontextmanager
async def pipeline(release: Installed, folder: Path, *words: str) -> AsyncIterator[None]:
    """The release's pipeline in a process, which ends in order; what it said is with the error of a wait in vain."""
    log = folder / "run.log"
    with log.open("wb") as told:
        command = release.command("run", folder, *words)
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=release.environment, stdout=told, stderr=told
        )
    try:
        yield
    except TimeoutError as error:
        error.add_note(log.read_text()[-4000:])
        raise
    finally:
        process.terminate()
        status = await asyncio.wait_for(process.wait(), LIMIT)
    assert status == 0


async def everything(release: Installed, folder: Path) -> None:
    """Take a pipeline through all its parts, as the release's service account."""
    async with calls_of(release.plane.kubeconfig) as admin:
        await _a_cluster_with_a_past(admin)
        async with pipeline(release, folder):
            await _faults(admin)
            await _rescued(admin)
    async with calls_of(release.kubeconfig) as ours:
        await _a_namesake_is_left_alone(ours)


async def fault(admin: KubeApi, node: str, code: int, time: datetime) -> None:
    """An agent tells of a fault of the node."""
    line = f"NVRM: Xid (PCI:0000:03:00): {code}, Channel 00000001"
    await admin.create(EVENTS, agent_event(AGENTS, node, line, node, lastTimestamp=_stamp(time)))


async def rescue_of(admin: KubeApi, node: str) -> Object:
    """Return the rescue of a node when it has ended."""
    found: list[Object] = []

    async def ended() -> bool:
        rescues = (await admin.get(RESCUES))["items"]
        found[:] = [each for each in rescues if each["spec"]["node"] == node and "ended" in each.get("status", {})]
        return bool(found)

    await until(ended, LIMIT)
    return found[0]


async def _a_cluster_with_a_past(admin: KubeApi) -> None:
    """Nodes with pods, one of which no budget lets go; a standby; and what is kept no longer."""
    for name in ("origin", "broken", "worn"):
        await create_node(admin, name)
    await create_node(admin, "standby", labels={"rescue.ksyun.com/warm-standby": "true"})
    await admin.patch(f"{NODES}/standby", {"spec": {"unschedulable": True}})
    for name in ("origin", "standby", "broken", "worn"):
        await reaches(admin, name, "True")
    await admin.create("/api/v1/namespaces", {"metadata": {"name": "jobs"}})
    await create_pod(admin, "jobs", "goes", "origin")
    await create_pod(admin, "jobs", "stays", "origin", labels={"app": "stays"})
    await create_budget(admin, "jobs", "stays", {"app": "stays"}, 1, 1)
    async with replica(admin, OURS) as store:
        past = datetime.now(UTC) - LONG_AGO
        made = await store.create(rescue("long-ago", "worn", past))
        over = cancelled(made, past, CancelReason.DELETED, "over")
        await store.save(replace(over, recorded=len(over.journal)))
        await store.note(seen("long-ago", past - NOON))


async def _faults(admin: KubeApi) -> None:
    """An agent tells of three faults, and once more of one of them, which is so much later that it is noted again."""
    first = datetime.now(UTC) - timedelta(minutes=2)
    for node, code in (("origin", 62), ("broken", 79), ("worn", 63)):
        await fault(admin, node, code, first)

    async def noted() -> bool:
        return any(each["spec"]["gpu"]["node"] == "worn" for each in (await admin.get(OCCURRENCES))["items"])

    async def told() -> bool:
        return await _told(admin, 1)

    for condition in (noted, told):
        await until(condition, LIMIT)
    await admin.patch(f"{EVENTS}/worn", {"count": 2, "lastTimestamp": _stamp(first + WINDOW * 0.7)})


async def _told(admin: KubeApi, count: int) -> bool:
    """Whether the event about the worn node says that the fault was seen so often."""
    events = (await admin.get(f"/api/v1/namespaces/{OURS}/events"))["items"]
    return any((each["involvedObject"]["name"], each["count"]) == ("worn", count) for each in events)


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


async def _rescued(admin: KubeApi) -> None:
    """Play the machine that is rebooted, and wait until all is done and cleaned up."""

    async def asked() -> bool:
        return bool((await admin.get(pods(OURS)))["items"])

    await until(asked, LIMIT)
    await boot(admin, "origin")

    async def done() -> bool:
        rescues = (await admin.get(RESCUES))["items"]
        states = sorted((each["spec"]["node"], each.get("status", {}).get("state")) for each in rescues)
        return states == [("broken", "Succeeded"), ("origin", "Succeeded")] and not any(
            each["metadata"].get("finalizers") for each in rescues
        )

    async def forgotten() -> bool:
        return all(each["metadata"]["name"] != "long-ago" for each in (await admin.get(OCCURRENCES))["items"])

    async def told_again() -> bool:
        return await _told(admin, 2)

    for condition in (done, forgotten, told_again):
        await until(condition, LIMIT)
    assert not (await admin.get(f"{NODES}/origin"))["spec"].get("unschedulable")
    assert (await admin.get(f"{NODES}/broken"))["spec"]["unschedulable"]


async def _a_namesake_is_left_alone(ours: KubeApi) -> None:
    """Ask for the eviction of a pod whose name another one has by now, which in a drain takes a race."""
    cluster = KubernetesCluster(ours, WallClock())
    (reboots,) = await cluster.pods_on("origin")
    await cluster.evict(replace(reboots, uid="of-another"))
    assert await cluster.pods_on("origin") == [reboots]
