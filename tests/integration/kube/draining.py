"""Two nodes with the same pods: `kubectl drain` drains the one, our drain the other."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pipeline.clock import WallClock
from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.port import Done, Outcome, Wait
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY
from pipeline.model.plan import Cordon, Drain
from pipeline.model.rescue import Rescue, StepState
from tests.fakes.faults import plan, rescue
from tests.services.kube.nodes import NODES, create_node, go_down
from tests.services.kube.plane import ControlPlane, KubectlError
from tests.services.kube.pods import Kind, pod, pods
from tests.services.kube.waiting import until

PATIENCE = timedelta(seconds=3)
"""How long either drain may take before it gives up."""

_QUIET = 6


@dataclass(frozen=True)
class PodOf:
    """A pod of the table: what it is, and what has come to it before the drains begin.

    `api_version` is that of its owner, where it is not Kubernetes' own; `stuck` is whether it never ends, `orphan`
    whether there is no such owner any more.
    """

    kind: Kind = Kind.JOB
    settings: Mapping[str, object] = field(default_factory=dict)
    finished: bool = False
    terminating: bool = False
    stuck: bool = False
    orphan: bool = False
    api_version: str = ""


class Twins:
    """A node for kubectl and one for us, in namespaces of their own, with the same pods by the same names."""

    def __init__(self, plane: ControlPlane, api: KubeApi, namespace: str) -> None:
        self._plane = plane
        self._api = api
        self._namespace = namespace
        mark = uuid.uuid4().hex[:8]
        self.theirs, self.ours = f"theirs-{mark}", f"ours-{mark}"

    async def furnish(self, rows: Mapping[str, PodOf], *, dead: bool = False) -> None:
        """Create both nodes and their pods, and wait until each pod is in its state."""
        for node in (self.theirs, self.ours):
            await create_node(self._api, node)
            for name, row in rows.items():
                await self._place(f"{node}-{name}", node, row)
            if dead:
                await go_down(self._api, node)

    async def kubectl(self, *flags: str) -> bool:
        """Drain the one as kubectl does; return whether it was drained in time."""
        words = ("drain", self.theirs, f"--timeout={int(PATIENCE.total_seconds())}s", "--ignore-daemonsets", *flags)
        try:
            await asyncio.to_thread(self._plane.kubectl, *words)
        except KubectlError:
            return False
        return True

    async def gpu_rescue(self, drain: Drain, later: timedelta = timedelta(0)) -> bool:
        """Drain the other as we do, by a clock that is *later* than the server's; return whether it was drained."""
        return isinstance(await self._drained(drain, later), Done)

    async def left(self, node: str) -> set[str]:
        """The pods that are there and have not been told to go, by their names in the table."""
        found = (await self._api.get(pods(self._namespace), {"fieldSelector": f"spec.nodeName={node}"}))["items"]
        return {each["metadata"]["name"].removeprefix(f"{node}-") for each in found if not _leaving(each)}

    async def clear(self) -> None:
        """Remove what no garbage collector would."""
        await self._api.delete(pods(self._namespace), {"gracePeriodSeconds": 0})
        for node in (self.theirs, self.ours):
            await self._api.delete(f"{NODES}/{node}")

    async def _place(self, name: str, node: str, row: PodOf) -> None:
        annotations = {"sim/stuck": "true"} if row.stuck else {}
        body = pod(name, node, kind=row.kind, annotations=annotations, **row.settings)  # type: ignore[arg-type]
        if row.api_version:
            body["metadata"]["ownerReferences"][0]["apiVersion"] = row.api_version
        if row.kind is Kind.DAEMON_SET and not row.orphan:
            await self._api.create(f"/apis/apps/v1/namespaces/{self._namespace}/daemonsets", _daemon_set(name))
        path = f"{pods(self._namespace)}/{name}"
        await self._api.create(pods(self._namespace), body)

        async def runs() -> bool:
            return await self._phase(path) == "Running"

        await until(runs)
        if row.finished:
            await self._finish(path)
        if row.terminating:
            await self._api.delete(path)

    async def _finish(self, path: str) -> None:
        """Let the pod's containers end, and the simulated kubelet, which may say twice that they run, be quiet."""
        held = 0

        async def ended() -> bool:
            nonlocal held
            held = held + 1 if await self._phase(path) == "Succeeded" else 0
            if not held:
                await self._api.patch(f"{path}/status", {"status": {"phase": "Succeeded"}})
            return held == _QUIET

        await until(ended)

    async def _phase(self, path: str) -> str:
        return str((await self._api.get(path)).get("status", {}).get("phase"))

    async def _drained(self, drain: Drain, later: timedelta) -> Outcome:
        cluster = KubernetesCluster(self._api, WallClock())
        runner = DrainRunner(cluster)
        one = rescue("parity", node=self.ours, plan=plan(Cordon(), drain))
        step = StepState()
        await self._api.patch(f"{NODES}/{self.ours}", _cordon(one))
        outcome: Outcome = Wait(timedelta(0))

        async def through() -> bool:
            nonlocal outcome, step
            outcome = await runner.run(drain, one, step, datetime.now(UTC) + later)
            if isinstance(outcome, Wait) and outcome.memo is not None:
                step = StepState(memo=outcome.memo)
            return not isinstance(outcome, Wait)

        await until(through)
        return outcome


def _leaving(found: Object) -> bool:
    return "deletionTimestamp" in found["metadata"]


def _cordon(one: Rescue) -> Object:
    marks = {CORDONED_BY: one.name, CORDONED_AT: datetime.now(UTC).isoformat()}
    return {"metadata": {"annotations": marks}, "spec": {"unschedulable": True}}


def _daemon_set(name: str) -> Object:
    labels = {"daemon": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "main"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name}, "spec": spec}
