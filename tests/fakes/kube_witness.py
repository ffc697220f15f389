"""Who sees what a site does to a real API server, and plays the machines there."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.reflector import Reflector
from pipeline.errors import TemporaryError
from tests.services.kube.nodes import NODES, boot
from tests.services.kube.pods import pods

_REBOOTERS = "app.kubernetes.io/component=rebooter"
_AGAIN = 0.2


class Witness:
    """Sees each cordon and uncordon, and each pod that reboots its node: the machine obeys it, in the noted boot only.

    `cordons` are, by node, what its `unschedulable` became, one after the other; `asked` how many pods were to reboot
    it; `boots` how often it did.
    """

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self.cordons: dict[str, list[bool]] = defaultdict(list)
        self.asked: Counter[str] = Counter()
        self.boots: Counter[str] = Counter()
        self._schedulable: dict[str, bool] = {}
        self._known: set[str] = set()
        self._told: asyncio.Queue[Object] = asyncio.Queue()

    async def run(self) -> None:
        """Look on until cancelled."""
        at_pods = Reflector(self._api, pods(self._namespace), dict, _Pods(self), {"labelSelector": _REBOOTERS})
        at_nodes = Reflector(self._api, NODES, dict, _Nodes(self))
        async with asyncio.TaskGroup() as tasks:
            for reflector in (at_pods, at_nodes):
                tasks.create_task(reflector.run())
            tasks.create_task(self._obey())

    def see_node(self, node: Object) -> None:
        """Note whether it was cordoned or uncordoned."""
        name, schedulable = node["metadata"]["name"], not node.get("spec", {}).get("unschedulable", False)
        if schedulable is not self._schedulable.get(name, True):
            self.cordons[name].append(not schedulable)
        self._schedulable[name] = schedulable

    def see_pod(self, pod: Object) -> None:
        """Have its machine obey, if it is a new one."""
        if pod["metadata"]["uid"] not in self._known:
            self._known.add(pod["metadata"]["uid"])
            self.asked[pod["spec"]["nodeName"]] += 1
            self._told.put_nowait(pod)

    async def _obey(self) -> None:
        while True:
            pod = await self._told.get()
            node = pod["spec"]["nodeName"]
            noted = {each["name"]: each["value"] for each in pod["spec"]["containers"][0]["env"]}["BOOT_ID"]
            try:
                found = await self._api.get(f"{NODES}/{node}")
                if found["status"]["nodeInfo"]["bootID"] == noted:
                    await boot(self._api, node)
                    self.boots[node] += 1
            except TemporaryError:
                self._told.put_nowait(pod)
                await asyncio.sleep(_AGAIN)


class _Nodes:
    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def listed(self, found: Sequence[Object]) -> None:
        for node in found:
            self._witness.see_node(node)

    def changed(self, found: Object) -> None:
        self._witness.see_node(found)

    def deleted(self, found: Object) -> None:
        """What it was stays known."""


class _Pods:
    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def listed(self, found: Sequence[Object]) -> None:
        for pod in found:
            self._witness.see_pod(pod)

    def changed(self, found: Object) -> None:
        self._witness.see_pod(found)

    def deleted(self, found: Object) -> None:
        """What it has told stays told."""


@asynccontextmanager
async def watching(api: KubeApi, namespace: str) -> AsyncIterator[Witness]:
    """A witness that looks on as long as the block runs."""
    witness = Witness(api, namespace)
    task = asyncio.create_task(witness.run())
    try:
        yield witness
    finally:
        task.cancel()
        await asyncio.wait({task})
