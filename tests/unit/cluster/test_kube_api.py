"""Calls of the API where the server says what no real one can be made to say."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from pipeline.cluster.kube.answers import ExpiredError, ForbiddenError
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.pods import Pods
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.errors import BadInputError, PermanentError, TemporaryError
from pipeline.model.node import Pod

LIMIT = 0.3
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def kubeconfig(path: Path, **cluster: str) -> Path:
    """Write one by which nobody in particular comes to a cluster."""
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": "secret"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


@asynccontextmanager
async def serving(answer: Answer, folder: Path) -> AsyncIterator[KubeApi]:
    """An API of which *answer* is the server."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    file = kubeconfig(folder / "kubeconfig", server=f"http://127.0.0.1:{runner.addresses[0][1]}")
    api = KubeApi(
        KubernetesClusterConfig(
            type="kubernetes", kubeconfig=file, request_timeout=timedelta(seconds=LIMIT), page_size=2
        )
    )
    try:
        yield api
    finally:
        await api.close()
        await runner.cleanup()


async def _never(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def _half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"items": [')
    assert request.transport is not None
    request.transport.abort()
    return response


async def _stuck(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"items": [')
    return await _never(request)


async def _page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Welcome</html>", content_type="text/html")


async def _busy(request: web.Request) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "7"})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(_never, "GET /x: TimeoutError", id="no answer in time"),
        pytest.param(_stuck, "GET /x: TimeoutError", id="an answer that does not end"),
        pytest.param(_half, "GET /x: Client", id="a connection that breaks"),
        pytest.param(_page, "not JSON", id="a proxy's page"),
        pytest.param(_busy, "GET /x: 429", id="too many requests"),
    ],
)
async def test_what_may_pass_is_temporary_and_told(answer: Answer, told: str, tmp_path: Path) -> None:
    async with serving(answer, tmp_path) as api, asyncio.timeout(10 * LIMIT):
        with pytest.raises(TemporaryError, match=told):
            await api.get("/x")


async def test_the_delay_that_the_server_asks_for_is_told(tmp_path: Path) -> None:
    async with serving(_busy, tmp_path) as api:
        with pytest.raises(TemporaryError) as caught:
            await api.get("/x")
    assert caught.value.delay == timedelta(seconds=7)


async def test_a_port_where_nobody_listens_is_temporary(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "kubeconfig", server="http://127.0.0.1:1")
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=file))
    with pytest.raises(TemporaryError, match="GET /x: ClientConnectorError"):
        await api.get("/x")
    await api.close()


async def test_who_calls_is_told_by_the_token(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"came": request.headers["Authorization"]})

    async with serving(answer, tmp_path) as api:
        assert await api.get("/x") == {"came": "Bearer secret"}


async def test_a_list_is_read_page_by_page(tmp_path: Path) -> None:
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        more = {"continue": "a b&c"} if len(asked) < 3 else {}
        return web.json_response({"metadata": {"resourceVersion": "5", **more}, "items": [len(asked)]})

    async with serving(answer, tmp_path) as api:
        items = [item async for page in api.pages("/x", {"labelSelector": "a=b"}) for item in page["items"]]
    first = {"labelSelector": "a=b", "limit": "2"}
    assert items == [1, 2, 3]
    assert asked == [first, *[first | {"continue": "a b&c"}] * 2]


async def _events(request: web.Request, *chunks: bytes) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for chunk in chunks:
        await response.write(chunk)
    return response


async def test_a_watch_tells_events_however_they_are_cut_and_ends_with_the_server(tmp_path: Path) -> None:
    large = "x" * 3_000_000

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.query["watch"] == request.query["allowWatchBookmarks"] == "true"
        one, two = (json.dumps({"type": "ADDED", "object": name}).encode() for name in ("one", large))
        return await _events(
            request, one + b"\n" + two[:10], two[10:] + b"\n\n", b'{"type": "DELETED",', b'"object": 3}'
        )

    async with serving(answer, tmp_path) as api:
        events = [event["object"] async for event in api.watch("/x", {}, 5)]
    assert events == ["one", large, 3]


@pytest.mark.parametrize(("code", "kind"), [(410, ExpiredError), (403, ForbiddenError), (500, TemporaryError)])
async def test_an_error_within_a_watch_is_raised(code: int, kind: type[Exception], tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await _events(request, json.dumps({"type": "ERROR", "object": {"code": code}}).encode())

    async with serving(answer, tmp_path) as api:
        with pytest.raises(kind):
            await anext(aiter(api.watch("/x", {}, 5)))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(_never, TemporaryError, id="no answer"),
        pytest.param(_stuck, TemporaryError, id="silence in the middle"),
        pytest.param(_half, TemporaryError, id="a connection that breaks"),
        pytest.param(_busy, TemporaryError, id="too many requests"),
    ],
)
async def test_a_watch_that_falls_silent_or_breaks_is_told(
    answer: Answer, kind: type[Exception], tmp_path: Path
) -> None:
    async with serving(answer, tmp_path) as api, asyncio.timeout(10 * LIMIT):
        with pytest.raises(kind, match="WATCH /x"):
            await anext(aiter(api.watch("/x", {}, LIMIT)))


POD = Pod("default", "train", "gpu-1", uid="u1")


@pytest.mark.parametrize(
    ("served", "version"),
    [
        pytest.param({"group": "policy", "version": "v1beta1"}, "policy/v1beta1", id="Kubernetes 1.21"),
        pytest.param({"group": "policy", "version": "v1"}, "policy/v1", id="Kubernetes 1.22 and later"),
    ],
)
async def test_an_eviction_has_the_version_that_the_server_takes(
    served: dict[str, str], version: str, tmp_path: Path
) -> None:
    calls: list[str] = []
    bodies = []

    async def answer(request: web.Request) -> web.StreamResponse:
        calls.append(request.path)
        if request.path == "/api/v1":
            return web.json_response({"resources": [{"name": "pods"}, {"name": "pods/eviction", **served}]})
        bodies.append(await request.json())
        return web.json_response({"kind": "Status"})

    async with serving(answer, tmp_path) as api:
        pods = Pods(api)
        await pods.evict(POD)
        await pods.evict(POD)
    assert calls == ["/api/v1", *["/api/v1/namespaces/default/pods/train/eviction"] * 2]
    assert bodies[0]["apiVersion"] == version
    assert bodies[0]["deleteOptions"] == {"preconditions": {"uid": "u1"}}


async def test_a_server_without_evictions_is_not_taken_for_a_pod_that_is_gone(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"resources": [{"name": "pods"}]})

    async with serving(answer, tmp_path) as api:
        with pytest.raises(PermanentError, match="no evictions"):
            await Pods(api).evict(POD)


async def test_a_path_that_is_not_served_is_not_taken_for_a_pod_that_is_gone(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/api/v1":
            return web.json_response({"resources": [{"name": "pods/eviction", "group": "policy", "version": "v1"}]})
        return web.Response(status=404, text="404 page not found")

    async with serving(answer, tmp_path) as api:
        with pytest.raises(PermanentError, match="404 page not found"):
            await Pods(api).evict(POD)
        with pytest.raises(PermanentError, match="404 page not found"):
            await Pods(api).delete(POD, timedelta(0))


@pytest.mark.parametrize("there", [True, False], ids=["it is still there", "it is gone"])
async def test_a_conflict_of_a_pod_is_over_only_when_the_pod_is(there: bool, tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"metadata": {"uid": "u1" if there else "u2"}})
        return web.json_response({"reason": "Conflict"}, status=409)

    async with serving(answer, tmp_path) as api:
        if there:
            with pytest.raises(TemporaryError):
                await Pods(api).delete(POD, timedelta(0))
        else:
            await Pods(api).delete(POD, timedelta(0))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(None, "kubeconfig: there is no such file; name a kubeconfig", id="a file that is not there"),
        pytest.param("", "kubeconfig: cannot be used: it is no kubeconfig; name", id="an empty file"),
        pytest.param("just words", "kubeconfig: cannot be used: it is no kubeconfig; name", id="no kubeconfig"),
        pytest.param("clusters: []\nusers: [\n", "kubeconfig:3: ", id="no YAML"),
        pytest.param("[1, 2]", "kubeconfig: cannot be used: ", id="a list"),
        pytest.param(
            "{clusters: [], users: [], contexts: [], current-context: x}",
            "kubeconfig: cannot be used: ",
            id="a context that is not there",
        ),
        pytest.param(
            "{clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', certificate-authority: CA}}], "
            "users: [{name: u, user: {}}], contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}",
            "kubeconfig: cannot be used: ",
            id="an authority that is not there",
        ),
        pytest.param(
            "{clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', certificate-authority-data: d29yZHM=}}], "
            "users: [{name: u, user: {}}], contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}",
            "kubeconfig: cannot be used: ",
            id="an authority that is no certificate",
        ),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named(text: str | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInputError) as caught:
        await KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=file)).get("/version")
    (complaint,) = caught.value.complaints
    assert complaint.place.startswith(str(file))
    assert told in str(complaint)


async def test_without_a_name_the_files_are_those_of_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kubeconfig(tmp_path / "there", server="http://127.0.0.1:1")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{file}")
    api = KubeApi(KubernetesClusterConfig(type="kubernetes"))
    with pytest.raises(TemporaryError, match="GET /version: ClientConnectorError"):
        await api.get("/version")
    await api.close()
    file.unlink()
    with pytest.raises(BadInputError, match=rf"{tmp_path / 'none'}:{file}: there is no such file; name a kubeconfig"):
        await KubeApi(KubernetesClusterConfig(type="kubernetes")).get("/version")


async def test_a_context_that_the_kubeconfig_lacks_is_named(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "kubeconfig", server="http://127.0.0.1:1")
    config = KubernetesClusterConfig(type="kubernetes", kubeconfig=file, context="elsewhere")
    with pytest.raises(BadInputError, match="elsewhere"):
        await KubeApi(config).get("/version")
