"""What it costs to know the nodes of a cluster: bytes and CPU per node, beside a typed list of the same pages.

Run with `python -m benchmarks.nodes`. The pages are served on the loopback. CPU and memory are those of a process that
does nothing but list, then lists anew. The baseline lists the first of these pages in kubernetes_asyncio's models.
"""

import asyncio
import gc
import json
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api

from pipeline.clock import WallClock
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.node_copy import NodeCopy
from pipeline.cluster.kube.nodes import NodeReader
from pipeline.cluster.kube.reflector import Reflector
from pipeline.cluster.kube.settings import KubernetesClusterConfig

_NODES, _TYPED, _PAGE = 100_000, 3_000, 500
_GOAL_MB = 400
_LABELS = 30
_LIMIT = 300
_PLACES = ("NAME", "ADDRESS", "RACK", "CLIQUE", "NUMBER")


def form() -> bytes:
    """Return a GPU node as an API server writes it, with its images and who wrote which field, and `_PLACES` in it."""
    own = {"kubernetes.io/hostname": "NAME", "rack": "RACK", "nvidia.com/gpu.clique": "CLIQUE"}
    labels = own | {f"nvidia.com/gpu.feature-{index}": f"value-{index}" for index in range(_LABELS - len(own))}
    resources = {"cpu": "192", "memory": "2113536Ki", "nvidia.com/gpu": "8", "pods": "110"}
    since = {"lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    kinds = ("NetworkUnavailable", "MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
    said = {"reason": "KubeletSaysSo", "message": "kubelet has sufficient of it"}
    images = [{"names": [f"registry.example.com/team/app-{index}:1"], "sizeBytes": index << 24} for index in range(30)]
    addresses = {"Hostname": "NAME", "InternalIP": "ADDRESS", "InternalDNS": "NAME.internal", "ExternalIP": "ADDRESS"}
    linux = dict.fromkeys(("operatingSystem", "architecture", "osImage", "kernelVersion", "kubeletVersion"), "linux")
    written: dict[str, Any] = {"f:metadata": {"f:labels": {f"f:{key}": {} for key in labels}}}
    return orjson.dumps(
        {
            "metadata": {
                "name": "NAME",
                "uid": "NUMBER-0000-4000-8000-000000000000",
                "resourceVersion": "1NUMBER",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": labels,
                "annotations": {"node.alpha.kubernetes.io/ttl": "0", "csi.volume.kubernetes.io/nodeid": "NAME"},
                "managedFields": [
                    {"manager": "kubelet", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": written}
                ],
            },
            "spec": {"podCIDR": "10.0.0.0/24", "providerID": "cloud://NAME"},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": [{"type": kind, "status": str(kind == "Ready"), **said, **since} for kind in kinds],
                "addresses": [{"type": kind, "address": value} for kind, value in addresses.items()],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                "nodeInfo": {
                    **linux,
                    "bootID": "NUMBER-1111-4000-8000-000000000000",
                    "machineID": "NUMBER",
                    "systemUUID": "NUMBER",
                    "containerRuntimeVersion": "containerd://2",
                    "kubeProxyVersion": "",
                },
                "images": images,
            },
        }
    )


def node(shape: bytes, number: int) -> bytes:
    a, b, c = number >> 16, number >> 8 & 255, number & 255
    own = (f"ip-10-{a}-{b}-{c}", f"10.{a}.{b}.{c}", f"r{number // 32}", f"{number // 18:08x}.0", f"{number:08}")
    for place, value in zip(_PLACES, own, strict=True):
        shape = shape.replace(place.encode(), value.encode())
    return shape


async def _serve() -> tuple[web.AppRunner, int]:
    """Serve the nodes in pages; who watches waits, since nothing happens."""
    shape = form()

    async def answer(request: web.Request) -> web.Response:
        if "watch" in request.query:
            await asyncio.Event().wait()
        start = int(request.query.get("continue") or 0)
        more = b',"continue":"%d"' % (start + _PAGE) if start + _PAGE < _NODES else b""
        items = b",".join(node(shape, number) for number in range(start, start + _PAGE))
        body = b'{"kind":"NodeList","metadata":{"resourceVersion":"2"%s},"items":[%s]}' % (more, items)
        return web.Response(body=body, content_type="application/json")

    application = web.Application()
    application.router.add_get("/api/v1/nodes", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1]


def _megabytes(field: str) -> float:
    """Return a line of our memory: VmRSS is what we hold now, VmHWM the most we have held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


async def _list(url: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        one = {"clusters": [{"name": "c", "cluster": {"server": url}}], "users": [{"name": "u", "user": {}}]}
        context = {"contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}
        kubeconfig.write_text(json.dumps(one | context))
        config = KubernetesClusterConfig(
            type="kubernetes", kubeconfig=kubeconfig, page_size=_PAGE, request_timeout=timedelta(seconds=60)
        )
        api = KubeApi(config)
        copy = NodeCopy(NodeReader(), WallClock())
        gc.collect()
        before, costs, seen = _megabytes("VmRSS"), [], []
        for _ in range(2):
            began = time.process_time()
            reflector = Reflector(api, "/api/v1/nodes", copy.slim, copy)
            following = asyncio.create_task(reflector.run())
            await reflector.wait_synced()
            costs.append((time.process_time() - began) / _NODES)
            following.cancel()
            await asyncio.wait((following,))
            seen.append(copy.snapshot())
        await api.close()
    first, second = seen
    assert len(first) == _NODES
    assert len(first["ip-10-0-0-1"].labels) == _LABELS
    assert second is first
    gc.collect()
    held, peak = (_megabytes(field) - before for field in ("VmRSS", "VmHWM"))
    return {"cpu": costs[0], "again": costs[1], "held": held, "peak": peak}


async def _list_typed(url: str) -> dict[str, Any]:
    configuration = Configuration(host=url)
    async with ApiClient(configuration) as client:
        began, listed, more = time.process_time(), 0, ""
        while listed < _TYPED:
            page = await CoreV1Api(client).list_node(limit=_PAGE, _continue=more)
            listed, more = listed + len(page.items), page.metadata._continue or ""
        return {"cpu": (time.process_time() - began) / listed}


async def _measure() -> tuple[dict[str, Any], dict[str, Any]]:
    runner, port = await _serve()
    try:
        slim, typed = [await _child(name, f"http://127.0.0.1:{port}") for name in ("slim", "typed")]
    finally:
        await runner.cleanup()
    return slim, typed


async def _child(name: str, url: str) -> dict[str, Any]:
    words = (sys.executable, "-m", "benchmarks.nodes", name, url)
    root = Path(__file__).parents[1]
    child = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, cwd=root)
    output, _ = await asyncio.wait_for(child.communicate(), _LIMIT)
    found: dict[str, Any] = orjson.loads(output)
    return found


def main() -> None:
    """Print what a node costs."""
    slim, typed = asyncio.run(_measure())
    print(f"{f'{_NODES:,} nodes, {_LABELS} labels, {len(form()):,} bytes of JSON each':<56}{'ms':>8}{'to typed':>10}")
    for told, cost in (("list", slim["cpu"]), ("list anew", slim["again"]), ("typed list", typed["cpu"])):
        print(f"{told + ', CPU per node':<56}{cost * 1e3:>8.3f}{cost / typed['cpu']:>10.2f}")
    for told, memory in (("held", slim["held"]), ("most at any time, two lists", slim["peak"])):
        print(f"{told + f', of {_GOAL_MB} MB':<56}{memory:>5.0f} MB{memory * 2**20 / _NODES:>8.0f} bytes per node")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["slim", url]:
            print(json.dumps(asyncio.run(_list(url))))
        case ["typed", url]:
            print(json.dumps(asyncio.run(_list_typed(url))))
        case _:
            main()
