"""A reflector on a real API server: what it shows is what there is, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.policies import GROUP
from pipeline.cluster.kube.reflector import Reflector
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from tests.services.kube.definitions import install
from tests.services.kube.nodes import NODES, create_node
from tests.services.kube.plane import ControlPlane
from tests.services.kube.waiting import until


class Shown:
    """What a copy is shown: the names that there are, with a label of each, and in what way it was told."""

    def __init__(self) -> None:
        self.nodes: dict[str, str] = {}
        self.lists = 0
        self.deleted_nodes: list[str] = []

    def listed(self, found: Sequence[tuple[str, str]]) -> None:
        self.nodes = dict(found)
        self.lists += 1

    def changed(self, found: tuple[str, str]) -> None:
        self.nodes |= [found]

    def deleted(self, found: tuple[str, str]) -> None:
        self.deleted_nodes.append(found[0])
        del self.nodes[found[0]]

    async def comes_to(self, **nodes: str) -> None:
        async def there() -> bool:
            return self.nodes == nodes

        await until(there)


def _slim(found: Object) -> tuple[str, str]:
    return found["metadata"]["name"], found["metadata"]["labels"].get("rack", "")


@asynccontextmanager
async def following(api: KubeApi) -> AsyncIterator[Shown]:
    shown = Shown()
    reflector = Reflector(api, NODES, _slim, shown)
    running = asyncio.create_task(reflector.run())
    async with asyncio.timeout(30):
        await reflector.wait_synced()
    assert reflector.synced
    try:
        yield shown
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.wait((running,))


async def _relabel(api: KubeApi, name: str, rack: str) -> None:
    await api.patch(f"{NODES}/{name}", {"metadata": {"labels": {"rack": rack}}})


@pytest.fixture
async def uncached_api(uncached_kube: ControlPlane) -> AsyncIterator[KubeApi]:
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=uncached_kube.kubeconfig))
    yield api
    await api.close()


async def test_all_pages_are_listed_and_every_change_is_told(own_api: KubeApi) -> None:
    for name in "abcde":
        await create_node(own_api, name)
    async with following(own_api) as shown:
        assert shown.nodes == dict.fromkeys("abcde", "")
        await create_node(own_api, "f")
        await _relabel(own_api, "b", "r1")
        await own_api.delete(f"{NODES}/a")
        await shown.comes_to(b="r1", c="", d="", e="", f="")
    assert (shown.lists, shown.deleted_nodes) == (1, ["a"])


async def test_a_watch_goes_on_where_the_server_has_ended_it(own_api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.cluster.kube.reflector._WATCHED", (1, 1))
    watches = 0
    watch = own_api.watch

    def counted(path: str, query: dict[str, str | int], silence: float) -> AsyncIterator[Object]:
        nonlocal watches
        watches += 1
        return watch(path, query, silence)

    monkeypatch.setattr(own_api, "watch", counted)
    async with following(own_api) as shown:

        async def third() -> bool:
            return watches >= 3

        await until(third)
        await create_node(own_api, "a")
        await shown.comes_to(a="")
    assert shown.lists == 1


async def test_after_a_compaction_all_is_listed_again(
    uncached_kube: ControlPlane, uncached_api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_node(uncached_api, "old")
    watch = uncached_api.watch
    began, go = asyncio.Event(), asyncio.Event()

    async def delayed(path: str, query: dict[str, str | int], silence: float) -> AsyncIterator[Object]:
        began.set()
        await go.wait()
        async for event in watch(path, query, silence):
            yield event

    monkeypatch.setattr(uncached_api, "watch", delayed)
    async with following(uncached_api) as shown:
        await began.wait()
        await uncached_api.delete(f"{NODES}/old")
        await create_node(uncached_api, "new")
        uncached_kube.compact()
        go.set()
        await shown.comes_to(new="")
        assert (shown.lists, shown.deleted_nodes) == (2, [])
        await _relabel(uncached_api, "new", "r1")
        await shown.comes_to(new="r1")


async def test_what_changes_while_the_server_is_away_is_seen_when_it_is_back(
    own_kube: ControlPlane, own_api: KubeApi
) -> None:
    for name in "abc":
        await create_node(own_api, name)
    async with following(own_api) as shown:
        await asyncio.to_thread(own_kube.kill_api_server)
        assert shown.nodes == {"a": "", "b": "", "c": ""}
        await asyncio.to_thread(own_kube.start)
        await own_api.delete(f"{NODES}/a")
        await create_node(own_api, "d")
        await _relabel(own_api, "b", "r1")
        await shown.comes_to(b="r1", c="", d="")
        await _relabel(own_api, "c", "r2")
        await shown.comes_to(b="r1", c="r2", d="")
    assert shown.lists >= 2


async def test_a_kind_that_is_not_installed_is_followed_once_it_is(own_kube: ControlPlane, own_api: KubeApi) -> None:
    shown = Shown()
    reflector = Reflector(own_api, f"{GROUP}/rescuepolicies", _slim, shown)
    running = asyncio.create_task(reflector.run())
    try:
        await asyncio.to_thread(install, own_kube)
        async with asyncio.timeout(30):
            await reflector.wait_synced()
        assert shown.nodes == {}
    finally:
        running.cancel()
        await asyncio.wait((running,))
