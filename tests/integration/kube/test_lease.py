"""A lease on a real API server: one candidate at a time, whatever becomes of the one that leads, or of the server."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.lease import Lease
from pipeline.cluster.kube.settings import KubernetesClusterConfig, LeaseSettings
from tests.services.kube.plane import ControlPlane
from tests.services.kube.waiting import until

SETTINGS = LeaseSettings(
    duration=timedelta(seconds=4), renew_deadline=timedelta(seconds=2), retry_period=timedelta(seconds=0.3)
)


class Candidate:
    """One that leads when it can; `running` is whether its body does."""

    def __init__(self, api: KubeApi, namespace: str, name: str) -> None:
        self.lease = Lease(api, namespace, SETTINGS, name)
        self.running = False
        self.task = asyncio.create_task(self.lease.lead(self._body))

    async def runs(self, whether: bool = True) -> None:
        async def so() -> bool:
            return self.running is whether

        await until(so)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def _body(self) -> None:
        self.running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.running = False


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_two_candidates_take_turns_and_the_lease_is_handed_over_at_once(
    kube_api: KubeApi, namespace: str
) -> None:
    first = Candidate(kube_api, namespace, "a")
    await first.runs()
    second = Candidate(kube_api, namespace, "b")
    # For longer than the lease lasts by itself.
    await asyncio.wait({first.task, second.task}, timeout=5)
    assert (first.running, second.running) == (True, False)
    began = now()
    await first.stop()
    await second.runs()
    assert now() - began < 2
    await second.stop()
    found = await kube_api.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/gpu-rescue")
    assert found["spec"]["holderIdentity"] == ""


async def test_one_that_was_killed_is_followed_within_the_lease_duration(kube_api: KubeApi, namespace: str) -> None:
    await kube_api.create(
        f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
        {
            "metadata": {"name": "gpu-rescue"},
            "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 4, "renewTime": "2999-01-01T00:00:00.000000Z"},
        },
    )
    began = now()
    heir = Candidate(kube_api, namespace, "b")
    await heir.runs()
    assert 4.0 <= now() - began < 6.5
    await heir.stop()


async def test_a_server_that_is_away_ends_the_body_before_another_could_lead(own_kube: ControlPlane) -> None:
    config = KubernetesClusterConfig(
        type="kubernetes", kubeconfig=own_kube.kubeconfig, request_timeout=timedelta(seconds=1)
    )
    api = KubeApi(config)
    leader = Candidate(api, "default", "a")
    await leader.runs()
    began = now()
    await asyncio.to_thread(own_kube.kill_api_server)
    await leader.runs(False)
    assert now() - began < SETTINGS.duration.total_seconds()
    assert not leader.lease.leading
    await asyncio.to_thread(own_kube.start)
    await leader.runs()
    await leader.stop()
    await api.close()
