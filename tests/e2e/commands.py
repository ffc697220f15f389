"""The command line as the sites have it, from Kafka into Elasticsearch, and a look at what it has recorded."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pipeline.settings import shipped
from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig
from tests.services.elasticsearch.node import Elasticsearch

EXAMPLE = shipped() / "examples" / "kafka-elasticsearch.yaml"
LIMIT = 60


async def started(command: str, folder: Path, address: str, topic: str, *sets: str) -> asyncio.subprocess.Process:
    """Start *command* with the example's configuration, but for the broker, the topic and *sets*."""
    options = {
        "sources.0.bootstrap_servers": [address],
        "sources.0.topics": [topic],
        "sources.0.group_id": topic,
    }
    given = [word for key, value in options.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    words = ["-m", "pipeline.cli", *command.split(), "-c", str(EXAMPLE), *given, *sets]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, *words, cwd=folder, stdout=pipe, stderr=pipe)


async def ended(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """Wait for its end; return what it has written to standard output and to standard error."""
    out, err = await asyncio.wait_for(process.communicate(), LIMIT)
    return out.decode(), err.decode()


def sink_sets(node: Elasticsearch, stream: str) -> list[str]:
    """The options by which the example's sink is that data stream."""
    options = {"hosts": [node.url], "data_stream": stream, "timeout_seconds": 60}
    return [word for key, value in options.items() for word in ("--set", f"sinks.0.{key}={json.dumps(value)}")]


@asynccontextmanager
async def searching(
    config: ElasticsearchSinkConfig, action: str = "rescue-planned"
) -> AsyncIterator[Callable[[], Awaitable[set[str]]]]:
    """Give what returns the nodes with a record of *action*."""
    sink = ElasticsearchSink(config)
    # The stream is made with the first record, and takes a moment.
    client = sink._connection.client().options(ignore_status=(404, 503))
    wanted = {"term": {"event.action": action}}
    of_nodes = {"nodes": {"terms": {"field": "host.name", "size": 1000}}}

    async def hosts() -> set[str]:
        await client.indices.refresh(index=config.data_stream)
        found = await client.search(index=config.data_stream, query=wanted, aggs=of_nodes, size=0)
        return {bucket["key"] for bucket in found.get("aggregations", {}).get("nodes", {}).get("buckets", [])}

    try:
        yield hosts
    finally:
        await sink.close()
