"""Sinks over a real Elasticsearch, each with a data stream of its own."""

import uuid
from pathlib import Path
from typing import Any

from pipeline.settings import shipped
from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig
from tests.services.elasticsearch.node import Elasticsearch


def new_stream() -> str:
    """A name that no test has had."""
    return f"logs-gpu_rescue.records-{uuid.uuid4().hex[:12]}"


def sink_config(node: Elasticsearch, folder: Path, **given: Any) -> ElasticsearchSinkConfig:
    """The settings of a sink into *node*, in whose secured form alice is let in."""
    own: dict[str, Any] = {
        "type": "elasticsearch",
        "hosts": [node.url],
        "data_stream": new_stream(),
        "dead_letters": folder / "refused.ndjson",
        # The machine of the tests may be a slow one, and busy.
        "timeout_seconds": 60,
    }
    if node.users:
        own["auth"] = {"username": "alice", "password": node.users["alice"].password}
    if node.certificate:
        own["tls"] = {"ca": node.certificate.authority}
    return ElasticsearchSinkConfig.model_validate(own | given)


async def install(config: ElasticsearchSinkConfig) -> list[str]:
    """Put in place what the stream needs; return what was told."""
    sink = ElasticsearchSink(config)
    try:
        return [told async for told in sink.install(shipped() / "elasticsearch")]
    finally:
        await sink.close()
