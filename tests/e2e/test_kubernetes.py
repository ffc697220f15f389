"""The installed command on a real API server, by what people see of it with kubectl."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.settings import NAMESPACE
from tests.fakes.kube_site import KubeReplica, fault, policy, running, whole
from tests.fakes.kube_witness import Witness, watching
from tests.services.kube.nodes import create_node
from tests.services.kube.plane import ControlPlane, KubectlError
from tests.services.kube.pods import Kind, create_pod, gone
from tests.services.kube.waiting import until

SEED = "NVRM: Xid (PCI:0000:03:00): 62, Channel 00000001"
MESSAGE = "当前实例发生GPU Xid错误,pci:0000:03:00,xid:62,日志: Channel 00000001"
NAMESPACE_OBJECT = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
CORDON: Mapping[str, Any] = {"name": "cordon"}
WAITING: list[Mapping[str, Any]] = [
    CORDON,
    {"name": "drain"},
    {"name": "reboot", "attribute": {"waittime": "20min", "unCordon": "true"}},
]


class People:
    """Who looks at the cluster and acts on it with kubectl, at one node of theirs."""

    def __init__(self, plane: ControlPlane, node: str) -> None:
        self._plane = plane
        self.node = node

    async def kubectl(self, *words: str, input: str | None = None) -> str:
        return await asyncio.to_thread(self._plane.kubectl, *words, input=input)

    async def node_status(self) -> str:
        return (await self.kubectl("get", "node", self.node, "--no-headers")).split()[1]

    async def events(self) -> dict[str, str]:
        """The messages of the events about the node, by their reason."""
        selected = f"--field-selector=involvedObject.kind=Node,involvedObject.name={self.node}"
        found = json.loads(await self.kubectl("get", "event", "-n", NAMESPACE, selected, "-o", "json"))
        return {event["reason"]: event["message"] for event in found["items"]}

    async def apply(self, code: str, actions: list[Mapping[str, Any]]) -> None:
        """Apply the policy of the node's own, and return when it is in force."""
        await self.kubectl("apply", "-f", "-", input=policy(self.node, actions, code))
        await self.kubectl("wait", f"rescuepolicy/{self.node}", "--for=condition=Accepted", "--timeout=30s")

    async def rescue(self) -> dict[str, str]:
        """The node's rescue as `kubectl get rescues` lists it, cells by head; empty if there is none."""
        listed = await self.kubectl("get", "rescues", "-n", NAMESPACE)
        heads, *rows = listed.splitlines() or [""]
        # A cell may be empty or hold spaces: columns begin where their heads do.
        begins = [found.start() for found in re.finditer(r"\S+", heads)]
        places = list(zip(begins, [*begins[1:], None], strict=True))
        mine = [row for row in rows if self.node in row]
        return {heads[a:b].strip(): mine[0][a:b].strip() for a, b in places} if mine else {}

    async def sees(self, what: Callable[["People"], Awaitable[bool]]) -> None:
        """Return when people see it; raise TimeoutError when they don't."""
        await until(lambda: what(self))


@pytest.fixture
async def people(rescue_kinds: ControlPlane, rescue_api: KubeApi) -> People:
    """At a new node with a label of its own name."""
    name = f"gpu-{uuid.uuid4().hex[:8]}"
    people = People(rescue_kinds, name)
    await people.kubectl("apply", "-f", "-", input=NAMESPACE_OBJECT)
    await create_node(rescue_api, name, labels={"test": name, "app": name, "env": "test"})
    return people


@pytest.fixture
async def pipeline(people: People, rescue_kinds: ControlPlane, tmp_path: Path) -> AsyncIterator[KubeReplica]:
    """The command, ready; messages without a host name are of the people's node."""
    source = {"type": "stdin", "follow": True, "node": people.node}
    replica = KubeReplica(tmp_path / "replica", rescue_kinds.kubeconfig, NAMESPACE, sources=[source])
    with running(replica):
        await replica.ready()
        yield replica
        assert replica.stop() == 0, replica.errors
    assert "Traceback" not in replica.errors


@pytest.fixture
async def witness(rescue_api: KubeApi) -> AsyncIterator[Witness]:
    async with watching(rescue_api, NAMESPACE) as witness:
        yield witness


async def is_cordoned(people: People) -> bool:
    return await people.node_status() == "Ready,SchedulingDisabled"


async def waits_to_reboot(people: People) -> bool:
    return (await people.rescue()).get("STEP") == "reboot"


async def test_the_seeds_line_is_told_the_node_cordoned_drained_rebooted_and_put_back(
    people: People, pipeline: KubeReplica, witness: Witness, rescue_api: KubeApi, namespace: str
) -> None:
    await create_pod(rescue_api, namespace, "train", people.node, kind=Kind.REPLICA_SET, gpus=8)
    await people.apply("62", whole("2s"))
    pipeline.tell(SEED)
    await people.sees(is_cordoned)

    async def are_told(people: People) -> bool:
        return (await people.events()).get("XidError") == MESSAGE

    async def are_told_of_the_end(people: People) -> bool:
        return "RescueSucceeded" in await people.events()

    await people.sees(are_told)
    await gone(rescue_api, namespace, "train")
    await people.sees(are_told_of_the_end)
    assert await people.node_status() == "Ready"
    assert (witness.cordons[people.node], witness.asked[people.node], witness.boots[people.node]) == (
        [True, False],
        1,
        1,
    )
    listed = await people.rescue()
    assert {head: listed[head] for head in ("NODE", "CODE", "POLICY", "STATE")} == {
        "NODE": people.node,
        "CODE": "62",
        "POLICY": people.node,
        "STATE": "Succeeded",
    }
    steps = [
        record["gpu_rescue"]["step"]["action"]
        for record in pipeline.records
        if record["event"]["action"] == "step-ended"
    ]
    assert steps == ["cordon", "drain", "reboot", "unCordon"]
    assert {record["host"]["name"] for record in pipeline.records} == {people.node}


async def test_a_rescue_whose_node_a_person_uncordons_is_cancelled(people: People, pipeline: KubeReplica) -> None:
    await people.apply("79", WAITING)
    pipeline.tell(fault(people.node))
    await people.sees(waits_to_reboot)
    await people.kubectl("uncordon", people.node)

    async def see_it_cancelled(people: People) -> bool:
        return (await people.rescue()).get("STATE") == "Cancelled"

    await people.sees(see_it_cancelled)
    assert await people.node_status() == "Ready"
    endings = [record for record in pipeline.records if record["event"]["action"] == "rescue-cancelled"]
    assert [record["event"]["reason"] for record in endings] == ["uncordoned"]


async def test_a_node_that_a_person_opts_out_is_left_alone(people: People, pipeline: KubeReplica) -> None:
    await people.apply("79", [CORDON])
    await people.kubectl("annotate", "node", people.node, "rescue.ksyun.com/ignore=true")
    pipeline.tell(fault(people.node))

    async def are_told(people: People) -> bool:
        return "XidError" in await people.events()

    await people.sees(are_told)
    assert await people.node_status() == "Ready"
    assert await people.rescue() == {}
    skipped = [record for record in pipeline.records if record["event"]["action"] == "fault-skipped"]
    assert [record["event"]["reason"] for record in skipped] == ["opted-out"]


async def test_a_rescue_that_a_person_deletes_gives_its_node_back_and_is_gone(
    people: People, pipeline: KubeReplica
) -> None:
    await people.apply("79", WAITING)
    pipeline.tell(fault(people.node))
    await people.sees(waits_to_reboot)
    name = (await people.rescue())["NAME"]
    # kubectl waits until it is gone.
    await people.kubectl("delete", "rescue", name, "-n", NAMESPACE, "--timeout=15s")
    assert await people.node_status() == "Ready"
    endings = [record for record in pipeline.records if record["event"]["action"] == "rescue-cancelled"]
    assert [record["event"]["reason"] for record in endings] == ["deleted"]


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        pytest.param([{"name": "explode"}], "explode", id="an action that does not exist"),
        pytest.param([{"name": "reboot"}], "drain", id="a reboot without a drain"),
    ],
)
async def test_a_wrong_policy_is_refused_with_what_is_wrong(
    people: People, actions: list[Mapping[str, Any]], told: str
) -> None:
    with pytest.raises(KubectlError, match=told):
        await people.kubectl("apply", "-f", "-", input=policy(people.node, actions))
