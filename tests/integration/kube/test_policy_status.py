"""The status of policies on a real API server: written once, read by kubectl, and followed by the policies in force."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.decide.rules import PolicySet
from pipeline.execute.policies import PolicyBook, PolicyWatch
from tests.fakes.faults import NOON
from tests.services.kube.plane import ControlPlane
from tests.services.kube.waiting import until

CRDS = Path(__file__).parents[3] / "config" / "chart" / "crds"
LIMIT = 20.0


@pytest.fixture
async def cluster(kube: ControlPlane, kube_api: KubeApi) -> AsyncIterator[KubernetesCluster]:
    """The cluster, followed."""
    for plural in ("rescuepolicies", "warmstandbypolicies"):
        kube.kubectl("apply", "-f", str(CRDS / f"{plural}.yaml"))
        kube.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{plural}.rescue.ksyun.com")
    found = KubernetesCluster(kube_api, ManualClock(NOON))
    following = asyncio.create_task(found.run())
    async with asyncio.timeout(LIMIT):
        await found.wait_synced()
    yield found
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


def _policy(name: str, **rule: Any) -> dict[str, Any]:
    head = {"apiVersion": "rescue.ksyun.com/v1", "kind": "RescuePolicy", "metadata": {"name": name}}
    return {**head, "spec": {"rules": [{"priority": 3, "actions": [{"name": "cordon"}], **rule}]}}


async def _seen(true: Callable[[], bool]) -> None:
    async def looked() -> bool:
        return true()

    await until(looked)


def _shown(cluster: KubernetesCluster, name: str) -> dict[str, Any]:
    return next((dict(each) for each in cluster.policies() if each["metadata"]["name"] == name), {})


async def test_what_became_of_each_policy_is_written_once_and_read_by_kubectl(
    cluster: KubernetesCluster, kube: ControlPlane
) -> None:
    label = f"pool-{uuid.uuid4().hex[:8]}"
    good, wrong = f"good-{label}", f"wrong-{label}"
    policies = [_policy(good, nodeSelector={"labels": {"pool": label}}), _policy(wrong, nodeSelector=None)]
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": policies})
    kube.kubectl("create", "-f", "-", input=manifests)
    try:
        await _seen(lambda: bool(_shown(cluster, good) and _shown(cluster, wrong)))
        clock = ManualClock(NOON)
        book = PolicyBook(PolicySet(), cluster, clock)
        watch = PolicyWatch(cluster, book)
        watch.refresh()
        names = {rule.policy for rule in book.current.rules}
        assert good in names
        assert wrong not in names
        await book.report()
        assert kube.kubectl("get", "rp", good, "--no-headers").split()[1:3] == ["True", "Questionable"]
        assert kube.kubectl("get", "rp", wrong, "--no-headers").split()[1:3] == ["False", "Invalid"]
        assert "nodeSelector: is blank; leave the key out" in kube.kubectl("describe", "rp", wrong)
        await _seen(lambda: "status" in _shown(cluster, good) and "status" in _shown(cluster, wrong))
        status = _shown(cluster, good)["status"]
        assert status["observedGeneration"] == 1
        assert status["unknownLabels"] == [f"Rule 0 asks for pool={label}, which no node carries today."]
        before, current = _shown(cluster, good)["metadata"]["resourceVersion"], book.current
        watch.refresh()
        assert book.current is current
        clock.move_to(NOON + timedelta(minutes=2))
        await book.report()
        after = json.loads(kube.kubectl("get", "rp", good, "-o", "json"))["metadata"]["resourceVersion"]
        assert after == before
    finally:
        kube.kubectl("delete", "-f", "-", input=manifests)


async def test_an_edited_policy_is_in_force_as_it_is_now(cluster: KubernetesCluster, kube: ControlPlane) -> None:
    name = f"edited-{uuid.uuid4().hex[:8]}"
    kube.kubectl("create", "-f", "-", input=json.dumps(_policy(name, errorCode=["62"])))
    try:
        await _seen(lambda: bool(_shown(cluster, name)))
        book = PolicyBook(PolicySet(), cluster, ManualClock(NOON))
        watch = PolicyWatch(cluster, book)
        watch.refresh()
        await book.report()
        patch = '[{"op": "replace", "path": "/spec/rules/0/priority", "value": 7}]'
        kube.kubectl("patch", "rp", name, "--type=json", "-p", patch)
        await _seen(lambda: _shown(cluster, name)["metadata"]["generation"] == 2)
        watch.refresh()
        assert [rule.priority for rule in book.current.rules if rule.policy == name] == [7]
        await book.report()
        status = json.loads(kube.kubectl("get", "rp", name, "-o", "json"))["status"]
        assert status["conditions"][0]["observedGeneration"] == status["observedGeneration"] == 2
    finally:
        kube.kubectl("delete", "rp", name)
