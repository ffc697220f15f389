"""What a real API server says to the calls of a rescue, beyond what the port promises."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.cluster.kube.pods import read_pod
from pipeline.cluster.kube.policies import GROUP, PLURALS
from pipeline.cluster.kube.rights import ACTING, keeping
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.errors import ConflictError, PermanentError, TemporaryError
from pipeline.model.node import NodePatch, Pod, Taint
from tests.services.kube.definitions import install
from tests.services.kube.nodes import NODES, boot, create_node, reaches
from tests.services.kube.plane import ControlPlane
from tests.services.kube.pods import create_budget, create_pod, pod, pods
from tests.services.kube.waiting import until

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
async def cluster(kube: ControlPlane, clock: ManualClock) -> AsyncIterator[KubernetesCluster]:
    """One that is not run: only calls are made."""
    config = KubernetesClusterConfig(type="kubernetes", kubeconfig=kube.kubeconfig, page_size=2)
    cluster = KubernetesCluster(KubeApi(config), clock)
    yield cluster
    await cluster.close()


async def _pod(api: KubeApi, namespace: str, name: str, node: str) -> Pod:
    return read_pod(await create_pod(api, namespace, name, node, labels={"app": "train"}, grace=60))


async def test_a_namesake_is_neither_evicted_nor_deleted(
    cluster: KubernetesCluster, kube_api: KubeApi, namespace: str, name: str
) -> None:
    await create_node(kube_api, name)
    before = await _pod(kube_api, namespace, "train", name)
    await cluster.delete_pod(before, timedelta(0))
    after = await _pod(kube_api, namespace, "train", name)
    await cluster.evict(before)
    await cluster.delete_pod(before, timedelta(0))
    assert list(await cluster.pods_on(name)) == [after]


async def test_pods_are_read_page_by_page_and_none_are_on_what_is_no_node(
    cluster: KubernetesCluster, kube_api: KubeApi, namespace: str, name: str
) -> None:
    await create_node(kube_api, name)
    made = [await _pod(kube_api, namespace, each, name) for each in ("a", "b", "c", "d", "e")]
    assert list(await cluster.pods_on(name)) == made
    await kube_api.create(pods(namespace), pod("bound-to-none", ""))
    assert list(await cluster.pods_on("")) == []


async def test_a_pod_under_two_budgets_cannot_be_evicted_for_now(
    cluster: KubernetesCluster, kube_api: KubeApi, namespace: str, name: str
) -> None:
    await create_node(kube_api, name)
    train = await _pod(kube_api, namespace, "train", name)
    for budget in ("one", "two"):
        await create_budget(kube_api, namespace, budget, {"app": "train"}, least=0, healthy=1)
    with pytest.raises(TemporaryError, match="500"):
        await cluster.evict(train)
    assert list(await cluster.pods_on(name)) == [train]


async def test_a_refused_eviction_names_the_budget(
    cluster: KubernetesCluster, kube_api: KubeApi, namespace: str, name: str
) -> None:
    await create_node(kube_api, name)
    train = await _pod(kube_api, namespace, "train", name)
    await create_budget(kube_api, namespace, "training", {"app": "train"}, least=1, healthy=1)
    with pytest.raises(TemporaryError, match=r"429 .*budget training needs 1 healthy pods and has 1"):
        await cluster.evict(train)


async def test_a_namespace_that_goes_takes_its_pods_with_it_in_time(
    cluster: KubernetesCluster, kube_api: KubeApi, namespace: str, name: str
) -> None:
    await create_node(kube_api, name)
    train = await _pod(kube_api, namespace, "train", name)
    await kube_api.delete(f"/api/v1/namespaces/{namespace}")
    with pytest.raises(TemporaryError, match="being terminated"):
        await cluster.evict(train)


async def test_a_taint_of_others_keeps_since_when_it_is_there(
    cluster: KubernetesCluster, kube_api: KubeApi, name: str
) -> None:
    since = "2026-01-01T00:00:00Z"
    await create_node(kube_api, name, taints=({"key": "a", "effect": "NoExecute", "timeAdded": since},))
    await reaches(kube_api, name, "True")
    node = await cluster.get_node(name)
    patch = NodePatch(taints=(*node.taints, Taint("b", "x", "NoSchedule")))
    patched = await cluster.patch_node(name, patch, node.resource_version)
    found = (await kube_api.get(f"{NODES}/{name}"))["spec"]["taints"]
    assert found[0] == {"key": "a", "effect": "NoExecute", "timeAdded": since}
    assert found[1] == {"key": "b", "value": "x", "effect": "NoSchedule"}
    with pytest.raises(ConflictError):
        await cluster.patch_node(name, patch, node.resource_version)
    cleared = await cluster.patch_node(name, NodePatch(taints=()), patched.resource_version)
    assert cleared.taints == ()


async def test_a_reboot_is_dated_when_it_is_seen(
    cluster: KubernetesCluster, kube_api: KubeApi, clock: ManualClock, name: str
) -> None:
    await create_node(kube_api, name)
    running = asyncio.create_task(cluster.run())

    async def known() -> bool:
        return name in cluster.nodes()

    await until(known)
    assert cluster.nodes()[name].booted_at is None
    clock.move_to(NOON + timedelta(minutes=5))
    boot_id = await boot(kube_api, name)

    async def rebooted() -> bool:
        return cluster.nodes()[name].boot_id == boot_id

    await until(rebooted)
    assert cluster.nodes()[name].booted_at == NOON + timedelta(minutes=5)
    assert (await cluster.get_node(name)).booted_at == NOON + timedelta(minutes=5)
    running.cancel()
    await asyncio.wait((running,))


async def test_who_may_do_nothing_is_told_every_right_that_lacks(kube: ControlPlane) -> None:
    user = kube.users["restricted"]
    config = KubernetesClusterConfig(type="kubernetes", kubeconfig=kube.kubeconfig_for(user.token))
    cluster = KubernetesCluster(KubeApi(config), ManualClock(NOON), [*ACTING, *keeping("our-place")])
    with pytest.raises(PermanentError) as caught:
        await cluster.reach()
    await cluster.close()
    told = str(caught.value)
    assert told.startswith("Kubernetes v1.37.2: ")
    for right in ("patch nodes", "create pods/eviction", "update leases.coordination.k8s.io -n our-place"):
        assert right in told


async def test_what_is_not_installed_is_named_and_then_what_answers(own_kube: ControlPlane, own_api: KubeApi) -> None:
    cluster = KubernetesCluster(own_api, ManualClock(NOON))
    with pytest.raises(PermanentError) as caught:
        await cluster.reach()
    assert str(caught.value) == (
        "Kubernetes v1.37.2: not installed: rescuepolicies.rescue.ksyun.com, warmstandbypolicies.rescue.ksyun.com, "
        "rescues.rescue.ksyun.com, occurrences.rescue.ksyun.com (the Helm chart brings them)"
    )
    await asyncio.to_thread(install, own_kube)
    for each in ("a", "b", "c"):
        await create_node(own_api, each)
    assert await cluster.reach() == "Kubernetes v1.37.2, 3 nodes"
    running = asyncio.create_task(cluster.run())
    await _policies_are_the_same_object_until_one_changes(cluster, own_api)
    running.cancel()
    await asyncio.wait((running,))


async def _policies_are_the_same_object_until_one_changes(cluster: KubernetesCluster, api: KubeApi) -> None:
    async def shows(number: int) -> None:
        async def there() -> bool:
            return cluster.synced and len(cluster.policies()) == number

        await until(there)

    for kind, name in (("WarmStandbyPolicy", "one"), ("RescuePolicy", "two"), ("RescuePolicy", "one")):
        await api.create(f"{GROUP}/{PLURALS[kind]}", _manifest(kind, name))
    await shows(3)
    shown = cluster.policies()
    assert [(each["kind"], each["metadata"]["name"]) for each in shown] == [
        ("RescuePolicy", "one"),
        ("RescuePolicy", "two"),
        ("WarmStandbyPolicy", "one"),
    ]
    assert all("managedFields" not in each["metadata"] for each in shown)
    assert cluster.policies() is shown
    path = f"{GROUP}/rescuepolicies/one"
    await cluster.set_policy_status("RescuePolicy", "one", {"ties": ["two"]})
    written = await api.get(path)
    await cluster.set_policy_status("RescuePolicy", "one", {"ties": ["two"]})
    assert await api.get(path) == written

    async def told() -> bool:
        return cluster.policies()[0].get("status") == {"ties": ["two"]}

    await until(told)
    assert cluster.policies() is not shown
    await cluster.set_policy_status("RescuePolicy", "one", {"unknownLabels": ["rack"]})
    assert (await api.get(path))["status"] == {"unknownLabels": ["rack"]}
    await api.delete(path)
    await shows(2)


def _manifest(kind: str, name: str) -> dict[str, object]:
    specs = {
        "RescuePolicy": {"rules": [{"actions": [{"name": "cordon"}]}]},
        "WarmStandbyPolicy": {"matches": [{"originNode": {"env": "dev"}, "targetNode": {"env": "dev"}}]},
    }
    return {"apiVersion": "rescue.ksyun.com/v1", "kind": kind, "metadata": {"name": name}, "spec": specs[kind]}
