"""Events about nodes as a source, on a real API server."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.cluster.announcer import AnnouncedReason, Announcement, Level
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.events import KubeAnnouncer
from pipeline.errors import PermanentError
from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.events.source import EventsSource
from pipeline.sources.port import Delivery
from tests.fakes.intake import OFF_THE_BUS, Inside
from tests.services.kube.events import agent_event
from tests.services.kube.plane import ControlPlane

SEED = "NVRM: Xid (PCI:0000:03:00): 62, Channel 00000001"
ORIGIN = "当前实例发生GPU Xid错误,pci:0000:03:00,xid:62,日志: Channel 00000001"


def everything(_: bytes) -> bool:
    return True


@asynccontextmanager
async def reading(plane: ControlPlane, namespace: str | None, **given: Any) -> AsyncIterator["Reader"]:
    config = EventsSourceConfig(type="events", namespace=namespace, kubeconfig=plane.kubeconfig, **given)
    source = EventsSource(config, everything)
    try:
        yield Reader(source.deliveries())
    finally:
        await source.close()


class Reader:
    def __init__(self, stream: AsyncIterator[Delivery]) -> None:
        self.stream = stream

    async def next(self) -> Delivery:
        async with asyncio.timeout(30):
            return await anext(self.stream)

    async def message(self) -> str:
        return str(json.loads((await self.next()).payload)["message"])


Put = Callable[..., Any]


@pytest.fixture
def put(kube_api: KubeApi, namespace: str) -> Put:
    """Write an agent's event into the test's namespace."""

    async def create(message: str, name: str = "", **given: Any) -> Any:
        event = agent_event(namespace, name or f"e-{uuid.uuid4().hex[:8]}", message, **given)
        return await kube_api.create(f"/api/v1/namespaces/{namespace}/events", event)

    return create


async def test_what_is_there_and_what_comes_is_read_in_either_form(
    kube: ControlPlane, namespace: str, put: Put
) -> None:
    await put(ORIGIN)
    async with reading(kube, namespace) as reader:
        assert await reader.message() == SEED
        await put(OFF_THE_BUS)
        assert await reader.message() == OFF_THE_BUS


async def test_each_time_an_event_happens_again_is_a_message_at_that_time(
    kube: ControlPlane, kube_api: KubeApi, namespace: str, put: Put
) -> None:
    await put(SEED, "again")
    async with reading(kube, namespace) as reader:
        first = await reader.next()
        then = "2026-11-20T12:00:07Z"
        for change in ({"metadata": {"labels": {"seen": "by-somebody"}}}, {"count": 5, "lastTimestamp": then}):
            await kube_api.patch(f"/api/v1/namespaces/{namespace}/events/again", change)
        second = await reader.next()
    assert second.time == datetime(2026, 11, 20, 12, 0, 7, tzinfo=UTC)
    assert (first.key, second.key) == ("gpu-1", "gpu-1")
    assert [d.position.split(":")[2].split("@")[0] for d in (first, second)] == ["1", "5"]


async def test_other_reasons_other_objects_and_our_own_events_are_not_read(
    kube: ControlPlane, kube_api: KubeApi, namespace: str, put: Put
) -> None:
    now = datetime.now(UTC)
    pod = {"kind": "Pod", "name": "p", "namespace": namespace}
    await put(SEED, reason="KernelOops")
    await put(SEED, involvedObject=pod)
    told = Announcement("gpu-1", "fault/a", Level.WARNING, AnnouncedReason.XID_ERROR, ORIGIN, 1, now, now)
    await KubeAnnouncer(kube_api, namespace).announce(told)
    await put(OFF_THE_BUS)
    async with reading(kube, namespace) as reader:
        assert await reader.message() == OFF_THE_BUS


async def test_several_reasons_are_read_side_by_side(kube: ControlPlane, namespace: str, put: Put) -> None:
    await put(SEED, reason="NVIDIAXid")
    async with reading(kube, namespace, reasons=["XidError", "NVIDIAXid"]) as reader:
        assert await reader.message() == SEED
        await put(OFF_THE_BUS)
        assert await reader.message() == OFF_THE_BUS


async def test_one_namespace_or_every_one(kube: ControlPlane, namespace: str, put: Put) -> None:
    reason = f"Xid{uuid.uuid4().hex[:8]}"
    await put(SEED, reason=reason)
    async with reading(kube, None, reasons=[reason]) as reader:
        assert await reader.message() == SEED
    async with reading(kube, "kube-public", reasons=[reason]) as reader:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await reader.next()


async def test_a_lost_connection_repeats_and_misses_nothing(own_kube: ControlPlane) -> None:
    def put(name: str) -> None:
        own_kube.kubectl("create", "-f", "-", input=json.dumps(agent_event("default", name, f"{SEED} {name}")))

    put("before")
    async with reading(own_kube, "default") as reader:
        assert await reader.message() == f"{SEED} before"
        own_kube.kill_api_server()
        await asyncio.to_thread(own_kube.start)
        put("after")
        assert await reader.message() == f"{SEED} after"


async def test_an_event_that_two_replicas_read_and_one_reads_again_is_one_rescue(
    kube: ControlPlane, namespace: str, put: Put
) -> None:
    inside = Inside()
    inside.world.clock.move_to(datetime.now(UTC) + timedelta(seconds=1))
    await put(OFF_THE_BUS)
    positions = []
    for _ in range(3):
        async with reading(kube, namespace) as reader:
            delivery = await reader.next()
        positions.append(delivery.position)
        inside = inside.restarted()
        for line in inside.intake.lines(delivery):
            await inside.intake.handle(line)
    assert len(set(positions)) == 1
    rescue = inside.rescue()
    assert (rescue.node, rescue.count, rescue.cause.fault.line.from_kernel) == ("gpu-1", 1, True)


async def test_reaching_tells_what_is_read_or_why_not(kube: ControlPlane, namespace: str) -> None:
    for kubeconfig, allowed in ((kube.kubeconfig, True), (kube.kubeconfig_for("restricted-token"), False)):
        source = EventsSource(EventsSourceConfig(type="events", namespace=namespace, kubeconfig=kubeconfig), everything)
        if allowed:
            assert await source.reach() == f"events XidError in {namespace}"
        else:
            with pytest.raises(
                PermanentError, match=f"we may not: list events -n {namespace}, watch events -n {namespace}"
            ):
                await source.reach()
        await source.close()
