"""Puts in place what a server must have before records come: templates, a policy of life cycles, the data stream."""

from collections.abc import AsyncIterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import ApiError, AsyncElasticsearch

from sinks.base import SinkError
from sinks.elasticsearch.connection import Connection, unknown_call
from sinks.elasticsearch.outcomes import as_answer
from sinks.elasticsearch.reaching import kind_of

TEMPLATE = "gpu-rescue-records"
"""Name of the index template and of the policy; those of the component templates begin with it."""
MAPPINGS, SETTINGS, LIFECYCLE = (f"{TEMPLATE}@{part}" for part in ("mappings", "settings", "lifecycle"))


async def install(connection: Connection, stream: str, folder: Path) -> AsyncIterator[str]:
    """Put in place what *stream* needs from the files in *folder*, and tell of each thing what was done.

    Called again it changes nothing. A server without life cycles keeps records until somebody deletes them. Raises
    SinkError, after which it can be called again.
    """
    template = _json(folder / "index-template.json")
    if not any(fnmatch(stream, pattern) for pattern in template["index_patterns"]):
        patterns = ", ".join(template["index_patterns"])
        raise SinkError(f"what is put in place is for data streams of the name {patterns}, and not for {stream}")
    with connection.speaking():
        client = connection.client()
        policy = await _policy(client, _json(folder / "lifecycle-policy.json"))
        yield f"lifecycle policy {TEMPLATE}: {policy or 'left out: this server has no life cycles'}"
        parts = {MAPPINGS: "mappings", SETTINGS: "settings"} | ({LIFECYCLE: "lifecycle"} if policy else {})
        for name, file in parts.items():
            told = await _put(client, f"/_component_template/{name}", _json(folder / f"component-{file}.json"))
            yield f"component template {name}: {told}"
        yield f"index template {TEMPLATE}: {await _put(client, f'/_index_template/{TEMPLATE}', template)}"
        mappings = _json(folder / "component-mappings.json")["template"]["mappings"]
        yield f"data stream {stream}: {await _stream(client, stream, mappings)}"


async def _policy(client: AsyncElasticsearch, body: dict[str, Any]) -> str:
    """What was done; nothing on a server that has no life cycles."""
    try:
        return await _put(client, f"/_ilm/policy/{TEMPLATE}", body)
    except ApiError as error:
        if unknown_call(error):
            return ""
        raise


async def _put(client: AsyncElasticsearch, path: str, body: dict[str, Any]) -> str:
    before = await _get(client, path)
    await _call(client, "PUT", path, body)
    if before is None:
        return "created"
    return "as it was" if before == await _get(client, path) else "changed"


async def _get(client: AsyncElasticsearch, path: str) -> Any:
    try:
        return _timeless(await _call(client, "GET", path))
    except ApiError as error:
        if error.status_code == 404:
            return None
        raise


async def _stream(client: AsyncElasticsearch, stream: str, mappings: dict[str, Any]) -> str:
    kind = await kind_of(client, stream)
    if kind == "nothing":
        return await _made(client, stream)
    if kind != "data stream":
        raise SinkError(f"{stream} is there, but as an {kind}: delete it, or name another data stream")
    before = await _get(client, f"/{stream}/_mapping")
    try:
        # A stream keeps the mapping that it was made with: what is new since then is to be found at once.
        await _call(client, "PUT", f"/{stream}/_mapping", mappings)
    except ApiError as error:
        if error.status_code != 400:
            raise
        await client.indices.rollover(alias=stream)
        return f"rolled over, since its mapping is another one: {as_answer(error).told}"
    return "as it was" if before == await _get(client, f"/{stream}/_mapping") else "new fields are mapped"


async def _made(client: AsyncElasticsearch, stream: str) -> str:
    try:
        await client.indices.create_data_stream(name=stream)
    except ApiError as error:
        if unknown_call(error):
            return "will be made by the first record"
        raise
    return "created"


async def _call(client: AsyncElasticsearch, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"accept": "application/json", "content-type": "application/json"}
    return (await client.perform_request(method, path, headers=headers, body=body)).body


def _timeless(told: Any) -> Any:
    """The answer without the moments and version numbers at which it was written."""
    if isinstance(told, dict):
        passing = ("created_date_millis", "modified_date_millis", "modified_date", "version", "in_use_by")
        return {key: _timeless(value) for key, value in told.items() if key not in passing}
    return [_timeless(value) for value in told] if isinstance(told, list) else told


def _json(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(path.read_bytes())
    return loaded
