"""From a line on Kafka to a cordoned node, on a real Kafka and a real API server: `gpu-rescue run` beside a bare loop.

Run with `python -m benchmarks.kubernetes`. A watch on the nodes tells when each is cordoned, by the clock of whoever
wrote the line. At rest one line is written at a time, to each in turn; in a burst a line of each of 200 nodes at once,
the loop's and ours in turn. The cluster has 5,000 nodes; the guards are raised, so that nothing is held. Memory and
start are those of the process before anything else happens; start ends when `/readyz` says ok.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from benchmarks.nodes import form, node
from benchmarks.topic import PARTITIONS, fill, open_producer
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.settings import NAMESPACE, KubernetesClusterConfig
from tests.services.errors import MissingError
from tests.services.folders import temporary_folder
from tests.services.kafka.broker import Kafka
from tests.services.kafka.topics import create_topic
from tests.services.kube import definitions
from tests.services.kube.plane import ControlPlane
from tests.services.ports import free_port

_NODES, _PROJECTED = 5_000, 100_000
_AT_REST, _BURSTS, _BURST = 50, 3, 200
_LIMIT, _PAUSE, _QUIET = 120.0, 0.05, 5.0
_PATH = "/api/v1/nodes"
_BARE = "bare"
"""The namespace of the bare loop's resources, which are no rescues that can be read."""
_POLICIES = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: seed}
spec:
  rules:
  - priority: 10
    errorCode: ["62"]
    nodeSelector: {operator: "any", labels: {app: demo, env: test}}
    actions:
    - name: cordon
    - name: drain
      attribute: {waittime: "20min"}
    - name: reboot
      attribute: {waittime: "20min", unCordon: "true"}
  - priority: 5
    errorCode: ["79"]
    actions: [{name: cordon}]
"""


@dataclass(frozen=True, slots=True)
class _Contestant:
    """Who reads a topic, and the fault that it is given there."""

    name: str
    topic: str
    code: int


_CONTESTANTS = (
    _Contestant("the bare loop", "bare", 79),
    _Contestant("gpu-rescue, cordon", "ours", 79),
    _Contestant("gpu-rescue, the seed's policy", "ours", 62),
)


@dataclass
class _Cordons:
    """When each node was seen cordoned."""

    seen: dict[str, float] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, api: KubeApi, version: str) -> None:
        """Follow the nodes until cancelled."""
        while True:
            asked: dict[str, str | int] = {"resourceVersion": version, "timeoutSeconds": 3600}
            async for event in api.watch(_PATH, asked, 3600):
                now, found = time.perf_counter(), event["object"]
                version = found["metadata"]["resourceVersion"]
                if found.get("spec", {}).get("unschedulable") and found["metadata"]["name"] not in self.seen:
                    self.seen[found["metadata"]["name"]] = now
                    self._changed.set()

    async def of(self, names: Sequence[str]) -> list[float]:
        """Return when each of these was cordoned, once all are."""
        async with asyncio.timeout(_LIMIT):
            while not all(name in self.seen for name in names):
                self._changed.clear()
                await self._changed.wait()
        return [self.seen[name] for name in names]


@dataclass(frozen=True, slots=True)
class _Start:
    """What a process needs to be ready: seconds, and megabytes that it holds then."""

    seconds: float
    held: float


@dataclass
class _Course:
    """The lines to be written, each for a node that had none yet."""

    address: str
    cordons: _Cordons
    names: Iterator[str]

    def __post_init__(self) -> None:
        self._producer = open_producer(self.address, linger_ms=0)

    async def run(self, contestant: _Contestant, count: int) -> list[float]:
        """Write a line for each of so many nodes at once; return the seconds until each was cordoned."""
        names = [next(self.names) for _ in range(count)]
        lines = [_line(name, contestant.code) for name in names]
        began = time.perf_counter()
        fill(self._producer, contestant.topic, lines)
        return [cordoned - began for cordoned in await self.cordons.of(names)]


def _line(host: str, code: int) -> bytes:
    text = f"NVRM: Xid (PCI:0000:3b:00): {code}, pid=1234, name=python3, Ch 00000008"
    return json.dumps({"@timestamp": datetime.now(UTC).isoformat(), "host": host, "msg": text}).encode()


def _config(folder: Path, kafka: str, kubeconfig: Path, port: int) -> Path:
    """Write the configuration of ours."""
    source = {"type": "kafka", "bootstrap_servers": [kafka], "topics": ["ours"], "group_id": "ours"}
    config = {
        "sources": [source],
        "cluster": {"type": "kubernetes", "kubeconfig": str(kubeconfig)},
        "store": {"type": "kubernetes"},
        "sinks": [{"type": "file", "path": str(folder / "records.ndjson")}],
        "guards": {"max_nodes": 10 * _NODES, "max_percent": 100, "fabric": {"labels": []}},
        "api": {"listen": f"127.0.0.1:{port}"},
    }
    path = folder / "pipeline.yaml"
    path.write_text(json.dumps(config))
    return path


@contextmanager
def _running(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with (folder / f"{words[0]}.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=log, stderr=log, cwd=folder, env=environment)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_LIMIT)
            finally:
                process.kill()


@contextmanager
def _ours(folder: Path, kafka: str, kubeconfig: Path) -> Iterator[_Start]:
    """Run gpu-rescue; it is ready in the block."""
    port, began = free_port(), time.perf_counter()
    config = _config(folder, kafka, kubeconfig, port)
    with _running(folder, "pipeline.cli", "run", "-c", str(config)) as process:
        while not _is_ready(port):
            if process.poll() is not None or time.perf_counter() - began > _LIMIT:
                raise RuntimeError((folder / "pipeline.cli.log").read_text()[-2000:])
            time.sleep(_PAUSE)
        seconds = time.perf_counter() - began
        yield _Start(seconds, _megabytes(process.pid))


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _object(shape: bytes, number: int) -> tuple[str, dict[str, Any]]:
    found = orjson.loads(node(shape, number))
    own = {key: value for key, value in found["metadata"].items() if key in ("name", "labels", "annotations")}
    own["labels"] |= {"app": "demo", "env": "test"}
    return own["name"], {**found, "apiVersion": "v1", "kind": "Node", "metadata": own}


async def _create_nodes(api: KubeApi) -> list[str]:
    """Create the nodes, as their kubelets describe them, and return their names."""
    shape = form()
    names, objects = zip(*(_object(shape, number) for number in range(_NODES)), strict=True)
    waiting = iter(objects)

    async def create() -> None:
        for body in waiting:
            await api.create(_PATH, body)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(16):
            tasks.create_task(create())
    return list(names)


@asynccontextmanager
async def _watching(api: KubeApi) -> AsyncIterator[_Cordons]:
    cordons = _Cordons()
    version = (await api.get(_PATH, {"limit": 1}))["metadata"]["resourceVersion"]
    watching = asyncio.create_task(cordons.watch(api, version))
    try:
        yield cordons
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def _compare(folder: Path, kafka: str, plane: ControlPlane) -> None:
    for topic in dict.fromkeys(each.topic for each in _CONTESTANTS):
        await create_topic(kafka, topic, PARTITIONS)
    await asyncio.to_thread(plane.kubectl, "apply", "-f", "-", input=_POLICIES)
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=plane.kubeconfig))
    with ExitStack() as stack:
        with _ours(folder, kafka, plane.kubeconfig) as alone:
            pass
        names = await _create_nodes(api)
        among = stack.enter_context(_ours(folder, kafka, plane.kubeconfig))
        _print_start(alone, among)
        stack.enter_context(_running(folder, "benchmarks.bareloop", kafka, "bare", str(plane.kubeconfig), _BARE))
        async with _watching(api) as cordons:
            course = _Course(kafka, cordons, iter(names))
            for contestant in _CONTESTANTS:
                await course.run(contestant, 1)
            await asyncio.sleep(_QUIET)
            _print("at rest, a line to its node", await _at_rest(course))
            _print(f"{_BURST} nodes at once", await _bursts(course))
    await api.close()


async def _at_rest(course: _Course) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {each.name: [] for each in _CONTESTANTS}
    for _ in range(_AT_REST):
        for contestant in _CONTESTANTS:
            found[contestant.name] += await course.run(contestant, 1)
            # What it does after the cordon is not to be in the way of the next line, which may be another's.
            await asyncio.sleep(4 * _PAUSE)
    return found


async def _bursts(course: _Course) -> dict[str, list[float]]:
    """Return of each when the last node was cordoned."""
    found: dict[str, list[float]] = {each.name: [] for each in _CONTESTANTS}
    for _ in range(_BURSTS):
        for contestant in _CONTESTANTS:
            found[contestant.name].append(max(await course.run(contestant, _BURST)))
            await asyncio.sleep(_QUIET)
    return found


def _print(told: str, found: dict[str, list[float]]) -> None:
    print(f"\n{told:<32}{'P50 ms':>10}{'ratio':>8}{'P99 ms':>10}{'ratio':>8}")
    base: tuple[float, float] | None = None
    for name, times in found.items():
        half, most = statistics.median(times), sorted(times)[int(len(times) * 0.99)]
        base = base or (half, most)
        print(f"{name:<32}{half * 1e3:>10.1f}{half / base[0]:>8.2f}{most * 1e3:>10.1f}{most / base[1]:>8.2f}")


def _print_start(alone: _Start, among: _Start) -> None:
    each = (among.held - alone.held) * 2**20 / _NODES
    projected = alone.held + each * _PROJECTED / 2**20
    print(f"{'':<32}{'start s':>10}{'held MB':>10}{'bytes a node':>14}")
    print(f"{'no nodes':<32}{alone.seconds:>10.1f}{alone.held:>10.0f}")
    print(f"{f'{_NODES:,} nodes':<32}{among.seconds:>10.1f}{among.held:>10.0f}{each:>14,.0f}")
    print(f"{f'{_PROJECTED:,} nodes, projected':<32}{'':>10}{projected:>10.0f}")


def main() -> None:
    """Print what it takes to start, and a row for each at rest and in a burst."""
    try:
        with (
            temporary_folder("kafka") as for_kafka,
            temporary_folder("kube") as for_plane,
            tempfile.TemporaryDirectory() as own,
        ):
            broker, plane = Kafka(for_kafka), ControlPlane(for_plane)
            try:
                broker.start()
                plane.start()
                definitions.install(plane)
                for namespace in (NAMESPACE, _BARE):
                    plane.kubectl("create", "namespace", namespace)
                asyncio.run(_compare(Path(own), broker.address, plane))
            finally:
                plane.stop()
                broker.stop()
    except MissingError as missing:
        print(f"left out: {missing}")


if __name__ == "__main__":
    main()
