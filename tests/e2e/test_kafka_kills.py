"""From Kafka into Elasticsearch, killed with kill -9 at random moments under load: each fault once, none missing."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.e2e.commands import LIMIT, ended, searching, sink_sets, started
from tests.fakes.elasticsearch import install, sink_config
from tests.integration.kafka.reading import eventually
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import Sent, produce

KILLS = 20
NOISE = 300
"""Lines between two faults."""
OPTIONS = {
    # A name of its own: it comes back to its partitions at once, dead or not.
    "sources.0.group_instance_id": "one",
    "sources.0.commit_every": "1s",
    "guards.max_nodes": 1000,
    "guards.max_percent": 100,
    "guards.fabric.labels": [],
    "execute.settle": "0s",
    "policies": [],
}
SETS = [word for key, value in OPTIONS.items() for word in ("--set", f"{key}={json.dumps(value)}")]


def line(node: str, text: str) -> Sent:
    told = {"@timestamp": datetime.now(UTC).isoformat(), "hostname": node, "msg": text}
    return Sent(json.dumps(told).encode(), key=node.encode())


@asynccontextmanager
async def load(address: str, topic: str) -> AsyncIterator[list[str]]:
    """Write noise and faults all the while; give the nodes with a fault, each with one."""
    nodes: list[str] = []

    async def writing() -> None:
        while True:
            node = f"gpu-{len(nodes)}"
            noise = [line(node, f"docker0: port {port}(veth0a1b2c) entered blocking state") for port in range(NOISE)]
            fault = line(node, "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=python3, GPU has fallen off the bus.")
            nodes.append(node)
            # A wave that has begun is written whole.
            await asyncio.shield(asyncio.create_task(produce(address, topic, [*noise, fault], compression_type="lz4")))
            await asyncio.sleep(0.2)

    task = asyncio.create_task(writing())
    try:
        yield nodes
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def reads(process: asyncio.subprocess.Process) -> None:
    """Return when it has its partitions."""
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT):
        while b"kafka.assigned" not in (said := await process.stderr.readline()):
            assert said, "it ended before it was killed"


def lines_of(path: Path) -> list[Any]:
    return [json.loads(text) for text in path.read_text().splitlines()]


async def test_a_run_that_is_killed_again_and_again_records_and_cordons_each_node_once(
    kafka: Kafka, elasticsearch: Elasticsearch, topic: str, tmp_path: Path
) -> None:
    config, moments = sink_config(elasticsearch, tmp_path), random.Random(5)
    await install(config)
    sets = [*SETS, *sink_sets(elasticsearch, config.data_stream)]
    async with load(kafka.address, topic) as nodes:
        for _ in range(KILLS):
            process = await started("run", tmp_path, kafka.address, topic, *sets)
            await reads(process)
            await asyncio.sleep(moments.uniform(0, 1.2))
            process.kill()
            out, err = await ended(process)
            assert process.returncode == -9, err
    async with searching(config, "rescue-succeeded") as healed:
        assert await healed(), "the kills came in the middle of the work"
        last = await started("run", tmp_path, kafka.address, topic, *sets)

        async def all_are() -> bool:
            return await healed() == set(nodes)

        await eventually(all_are)
    last.terminate()
    out, err = await ended(last)
    assert last.returncode == 0, err
    reading = await started("records", tmp_path, kafka.address, topic, *sets)
    out, err = await ended(reading)
    records = [json.loads(text) for text in out.splitlines()]
    told = Counter((record["host"]["name"], record["event"]["action"]) for record in records)
    for action in ("fault-detected", "rescue-planned", "step-ended", "rescue-succeeded"):
        assert {node: told[node, action] for node in nodes} == dict.fromkeys(nodes, 1), action
    assert len({record["event"]["id"] for record in records}) == len(records)
    effects = [effect for effect in lines_of(tmp_path / "rescue-cluster.json") if effect.get("what") == "edited"]
    assert Counter(effect["node"] for effect in effects) == dict.fromkeys(nodes, 1)
