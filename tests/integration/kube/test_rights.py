"""The pipeline as the chart installs it, with no more than the rights of its service account: all of them are used,
and with one less a call that it makes is refused. What was asked, and whether it was allowed, is the audit log's word.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.clock import WallClock
from pipeline.cluster.kube.answers import ForbiddenError
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.cluster.kube.rights import ACTING, SEEING, Need, announcing, keeping, missing_rights, rebooting
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.execute.progress import cancelled
from pipeline.model.rescue import CancelReason
from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.events.source import reading
from tests.conformance.test_occurrences import seen
from tests.fakes.faults import NOON, rescue
from tests.integration.kube.charting import Object
from tests.integration.kube.released import AGENTS, OURS, Installed, installed
from tests.integration.kube.stores import replica
from tests.services.folders import temporary_folder
from tests.services.kube.events import agent_event
from tests.services.kube.nodes import NODES, boot, create_node, reaches
from tests.services.kube.pods import create_budget, create_pod, pods
from tests.services.kube.waiting import until

RESCUES = f"/apis/rescue.ksyun.com/v1/namespaces/{OURS}/rescues"
OCCURRENCES = f"/apis/rescue.ksyun.com/v1/namespaces/{OURS}/occurrences"
EVENTS = f"/api/v1/namespaces/{AGENTS}/events"
NEEDS = (
    *SEEING,
    *ACTING,
    *keeping(OURS),
    announcing(OURS),
    rebooting(OURS),
    reading(EventsSourceConfig(type="events", namespace=AGENTS)),
)
LONG_AGO = timedelta(days=40)
WINDOW = timedelta(minutes=1)
"""The release's `guards.incident_window`."""

LIMIT = 60.0


@pytest.fixture(scope="module")
def ran(helm: Path) -> Iterator[Installed]:
    """A release whose pipeline has been through all its parts."""
    with temporary_folder("release") as folder, installed(helm, folder) as release:
        asyncio.run(_everything(release, folder))
        yield release


@asynccontextmanager
async def _as(kubeconfig: Path) -> AsyncIterator[KubeApi]:
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=kubeconfig))
    try:
        yield api
    finally:
        await api.close()


async def _everything(release: Installed, folder: Path) -> None:
    async with _as(release.plane.kubeconfig) as admin:
        await _a_cluster_with_a_past(admin)
        words = release.command("run", folder)
        with (folder / "run.log").open("wb") as told:
            process = await asyncio.create_subprocess_exec(*words, cwd=folder, stdout=told, stderr=told)
        try:
            await _faults(admin)
            await _rescued(admin)
        except TimeoutError as error:
            error.add_note((folder / "run.log").read_text()[-4000:])
            raise
        finally:
            process.terminate()
            assert await asyncio.wait_for(process.wait(), LIMIT) == 0
    async with _as(release.kubeconfig) as ours:
        await _a_namesake_is_left_alone(ours)


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
    for name, node, code in (("one", "origin", 62), ("two", "broken", 79), ("three", "worn", 63)):
        line = f"NVRM: Xid (PCI:0000:03:00): {code}, Channel 00000001"
        await admin.create(EVENTS, agent_event(AGENTS, name, line, node, lastTimestamp=_stamp(first)))

    async def noted() -> bool:
        return any(each["spec"]["gpu"]["node"] == "worn" for each in (await admin.get(OCCURRENCES))["items"])

    async def told() -> bool:
        return await _told(admin, 1)

    for condition in (noted, told):
        await until(condition, LIMIT)
    await admin.patch(f"{EVENTS}/three", {"count": 2, "lastTimestamp": _stamp(first + WINDOW * 0.7)})


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


def _is_use(asked: Object, need: Need, verb: str) -> bool:
    """Whether a request is what the right is for."""
    about = asked["objectRef"]
    resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
    somewhere = need.namespace in ("", about.get("namespace"))
    return somewhere and (about.get("apiGroup", ""), resource, asked["verb"]) == (need.group, need.resource, verb)


@asynccontextmanager
async def _without(admin: KubeApi, need: Need, verb: str) -> AsyncIterator[None]:
    """Have the release's roles lack one right."""
    scope = f"namespaces/{need.namespace}/roles" if need.namespace else "clusterroles"
    collection = f"/apis/rbac.authorization.k8s.io/v1/{scope}"
    whole = [each for each in (await admin.get(collection))["items"] if "gr-gpu-rescue" in each["metadata"]["name"]]
    for role in whole:
        rules = [rule for each in role["rules"] if (rule := _less(each, need, verb))["verbs"]]
        await admin.patch(f"{collection}/{role['metadata']['name']}", {"rules": rules})
    try:
        yield
    finally:
        for role in whole:
            await admin.patch(f"{collection}/{role['metadata']['name']}", {"rules": role["rules"]})


def _less(rule: Object, need: Need, verb: str) -> Object:
    concerned = (rule["apiGroups"], rule["resources"]) == ([need.group], [need.resource])
    return {**rule, "verbs": [each for each in rule["verbs"] if not (concerned and each == verb)]}


async def _repeat(ours: KubeApi, asked: Object) -> None:
    """Make the same call once more; it is refused before anybody looks at what goes with it."""
    path = urlsplit(asked["requestURI"]).path
    match asked["verb"]:
        case "get" | "list":
            await ours.get(path)
        case "watch":
            await anext(ours.watch(path, {}, LIMIT))
        case "create":
            await ours.create(path, {})
        case "update":
            await ours.replace(path, {})
        case "patch":
            await ours.patch(path, {})
        case "delete":
            await ours.delete(path)


def test_nothing_that_the_pipeline_asks_for_is_forbidden(ran: Installed) -> None:
    assert {each["annotations"]["authorization.k8s.io/decision"] for each in ran.asked()} == {"allow"}


RIGHTS = [pytest.param(need, verb, id=need.right(verb)) for need in NEEDS for verb in need.verbs]


@pytest.mark.parametrize(("need", "verb"), RIGHTS)
async def test_each_right_is_used_and_without_it_that_call_is_refused(need: Need, verb: str, ran: Installed) -> None:
    used = next((each for each in ran.asked() if _is_use(each, need, verb)), None)
    assert used is not None, "nothing needs it"
    async with _as(ran.plane.kubeconfig) as admin, _as(ran.kubeconfig) as ours, _without(admin, need, verb):

        async def lacks() -> bool:
            return await missing_rights(ours, NEEDS) == [need.right(verb)]

        await until(lacks)
        with pytest.raises(ForbiddenError, match=f'cannot {verb} resource "{need.resource}"'):
            await _repeat(ours, used)


async def test_the_check_finds_nothing_missing(ran: Installed, tmp_path: Path) -> None:
    words = ran.command("check", tmp_path, "--online")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, cwd=tmp_path, stdout=pipe, stderr=pipe)
    out, errors = await asyncio.wait_for(process.communicate(), LIMIT)
    assert (process.returncode, errors.decode()) == (0, "")
    assert "cluster (kubernetes): ok, Kubernetes v" in out.decode()
