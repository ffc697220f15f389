"""The pipeline as it is deployed: processes over a real Kafka and a real Elasticsearch, each with a store, a spool and
a lasting simulated cluster of its own; and the load on them.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from pipeline.clock import WallClock
from pipeline.cluster.memory import LastingCluster, load_cluster
from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig

_ROOT = Path(__file__).parents[2]
_LIMIT = 20
_FAULT = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=python3, GPU has fallen off the bus."
_NOISE = (
    "docker0: port 1(veth0a1b2c) entered blocking state",
    "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  570.124.06",
    "systemd[1]: Started session-42.scope",
)
_POLICY = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: reboot}
spec:
  rules:
  - priority: 10
    errorCode: ["79"]
    actions: [{name: cordon}, {name: drain}, {name: reboot, attribute: {unCordon: "true"}}]
"""


class Replica:
    """A place of one replica: its configuration, what it keeps there over its lives, and the process that lives now."""

    def __init__(
        self,
        folder: Path,
        nodes: list[str],
        source: dict[str, Any],
        sink: ElasticsearchSinkConfig,
    ) -> None:
        folder.mkdir()
        self.folder = folder
        self.refused = folder / "refused.ndjson"
        self._process: subprocess.Popen[bytes] | None = None
        written = {"pipeline.yaml": _settings(source, sink), "cluster.yaml": _cluster(nodes)}
        for name, content in written.items():
            (folder / name).write_text(json.dumps(content))
        (folder / "policy.yaml").write_text(_POLICY)

    def start(self) -> None:
        """Begin a life."""
        command = [sys.executable, "-m", "pipeline.cli", "run", "-c", "pipeline.yaml"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GPU_RESCUE_")}
        with (self.folder / "errors").open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**clean, "PYTHONPATH": str(_ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def kill(self) -> None:
        """SIGKILL; nothing to do where none lives."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_LIMIT)
        self._process = None

    def stop(self) -> int:
        """Let it end in order, and return the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(_LIMIT)

    def alive(self) -> bool:
        """Tell whether the process has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def errors(self) -> str:
        """What all its lives have said."""
        return (self.folder / "errors").read_text()

    @property
    def spooled(self) -> bool:
        """Whether records wait in the spool."""
        return any(path.stat().st_size for path in (self.folder / "spool").glob("*.ndjson"))

    @property
    def cluster(self) -> LastingCluster:
        """The cluster as its own file has it."""
        cluster = load_cluster(self.folder / "cluster.yaml", WallClock(), LastingCluster)
        cluster.recall(self.folder / "cluster.ndjson")
        return cluster

    @property
    def rebooted(self) -> Counter[str]:
        """How often each machine was turned off and on."""
        return Counter(effect["node"] for effect in self._effects("rebooted"))

    @property
    def cordons(self) -> Counter[tuple[str, bool]]:
        """How often each node was cordoned (True) and uncordoned (False)."""
        return Counter((effect["node"], effect["patch"]["unschedulable"]) for effect in self._effects("edited"))

    @property
    def taken(self) -> set[str]:
        """The nodes that were ever cordoned here."""
        return {node for node, cordoned in self.cordons if cordoned}

    @property
    def cordoned(self) -> set[str]:
        """The nodes that are cordoned now."""
        return self.taken - {node for node, cordoned in self.cordons if not cordoned}

    def _effects(self, what: str) -> Iterator[dict[str, Any]]:
        path = self.folder / "cluster.ndjson"
        # What is being written at its end is none yet.
        for line in path.read_text().split("\n")[:-1] if path.exists() else []:
            effect = json.loads(line)
            if effect["what"] == what:
                yield effect


@contextmanager
def running(replica: Replica) -> Iterator[Replica]:
    """A replica that is started, and that has no process left at the end."""
    replica.start()
    try:
        yield replica
    finally:
        replica.kill()


def _cluster(nodes: list[str]) -> dict[str, Any]:
    return {
        "timings": {"unnoticed": "0.5s", "boot": "1s", "ready": "0.5s", "gpus": "0.5s"},
        "nodes": [{"name": name} for name in nodes],
        "pods": [{"name": "train-0", "node": name, "namespace": name, "grace_period": "1s"} for name in nodes],
    }


def _settings(source: dict[str, Any], sink: ElasticsearchSinkConfig) -> dict[str, Any]:
    """Every guard is wide open: what is looked for is what is lost or done twice."""
    own = {"dead_letters": "refused.ndjson", "spool": {"path": "spool"}}
    return {
        "sources": [{"type": "kafka", "commit_every": "1s", **source}],
        "cluster": {"type": "simulated", "nodes": "cluster.yaml", "newcomers": False, "state": "cluster.ndjson"},
        "policies": ["policy.yaml"],
        "store": {"type": "sqlite", "path": "rescues.db"},
        "guards": {"max_nodes": 10_000, "max_percent": 100, "groups": [], "fabric": {"labels": []}},
        "execute": {"settle": "0s", "hold_poll": "1s", "retry_first": "1s"},
        "sinks": [{"type": "elasticsearch", "hosts": list(sink.hosts), "data_stream": sink.data_stream, **own}],
    }


@dataclass(slots=True)
class Load:
    """A shipper that writes the nodes' logs, and on each node one fault."""

    producer: AIOKafkaProducer
    topic: str
    nodes: list[str]
    pause: float
    faulty: list[str] = field(default_factory=list)
    _ending: bool = False

    async def run(self) -> None:
        """Have one node after the other fall, with noise of others around, until told to end or none is left."""
        noise = count()
        for node in self.nodes:
            if self._ending:
                return
            for _ in range(5):
                await self._write(self.nodes[next(noise) % len(self.nodes)], _NOISE[next(noise) % len(_NOISE)])
            await self._write(node, _FAULT)
            self.faulty.append(node)
            await asyncio.sleep(self.pause)

    def end(self) -> None:
        """Let no more nodes fall."""
        self._ending = True

    async def _write(self, node: str, text: str) -> None:
        line = {"@timestamp": datetime.now(UTC).isoformat(), "hostname": node, "msg": text}
        await self.producer.send(self.topic, json.dumps(line).encode(), key=node.encode())


@asynccontextmanager
async def load(address: str, topic: str, nodes: list[str], pause: float) -> AsyncIterator[Load]:
    """Have logs written, a fault every *pause* seconds; at the end all of it is in the topic, each line once."""
    producer = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True, acks="all")
    await producer.start()
    writing = Load(producer, topic, nodes, pause)
    task = asyncio.create_task(writing.run())
    try:
        yield writing
    finally:
        writing.end()
        try:
            async with asyncio.timeout(_LIMIT):
                await task
        finally:
            # Sends what waits, also to a broker that is on its way back.
            await producer.stop()


async def documents(config: ElasticsearchSinkConfig) -> list[tuple[str, str, str]]:
    """The id, the node and the action of every document of a stream, of all its indices."""
    sink = ElasticsearchSink(config)
    client = sink._connection.client().options(ignore_status=(404, 503))
    try:
        await client.indices.refresh(index=config.data_stream)
        found = await client.search(
            index=config.data_stream,
            size=10_000,
            track_total_hits=True,
            source_includes=["host.name", "event.action"],
        )
    finally:
        await sink.close()
    hits = found.get("hits", {"hits": [], "total": {"value": 0}})
    assert hits["total"]["value"] == len(hits["hits"])
    return [(hit["_id"], hit["_source"]["host"]["name"], hit["_source"]["event"]["action"]) for hit in hits["hits"]]
