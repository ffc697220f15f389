"""Finds out whether a server is there, which it is, and what it lacks."""

from typing import Any

from elasticsearch import ApiError, AsyncElasticsearch

from sinks.base import SinkError
from sinks.elasticsearch.connection import Connection, unknown_call

RIGHTS = ("auto_configure", "create_doc", "read", "view_index_metadata")
"""What a user or a key needs on the data stream: to write, to read back, to look whether it is there."""
_OURS = "gpu_rescue"
_INSTALL = "run `gpu-rescue install elasticsearch`"


async def reach(connection: Connection, stream: str) -> str:
    """Return the version and what the stream is; raise SinkError, which says what is missing."""
    with connection.speaking():
        client = connection.client()
        version = await _version(client)
        missing = await _missing_rights(client, stream)
        if missing:
            raise SinkError(
                f"{connection.name} ({version}) knows us, but on {stream} we lack the rights {', '.join(missing)}"
            )
        kind = await kind_of(client, stream)
        if kind not in ("data stream", "nothing"):
            raise SinkError(f"{connection.name} ({version}) has {stream}, but as an {kind} and not as a data stream")
        lacking = await (_lacking_in_stream if kind == "data stream" else _lacking_in_template)(client, stream)
        if lacking:
            raise SinkError(f"{connection.name} ({version}) has {lacking} {stream}: {_INSTALL}")
    return f"Elasticsearch {version}, data stream {stream}" + ("" if kind == "data stream" else ", empty yet")


async def kind_of(client: AsyncElasticsearch, name: str) -> str:
    """Return what a name stands for: data stream, index, alias or nothing."""
    try:
        found = (await client.indices.resolve_index(name=name)).body
    except ApiError as error:
        if error.status_code == 404:
            return "nothing"
        raise
    kinds = {"data_streams": "data stream", "indices": "index", "aliases": "alias"}
    return next((kind for key, kind in kinds.items() if found.get(key)), "nothing")


async def _version(client: AsyncElasticsearch) -> str:
    try:
        return str((await client.info())["version"]["number"])
    except ApiError as error:
        if error.status_code == 403:
            return "its version is for those who may monitor it"
        raise


async def _missing_rights(client: AsyncElasticsearch, stream: str) -> list[str]:
    """The rights that we lack; none on a server without security."""
    try:
        asked: list[dict[str, Any]] = [{"names": [stream], "privileges": list(RIGHTS)}]
        told = (await client.security.has_privileges(index=asked)).body
    except ApiError as error:
        if unknown_call(error):
            return []
        raise
    return [right for right, granted in told["index"][stream].items() if not granted]


async def _lacking_in_template(client: AsyncElasticsearch, stream: str) -> str:
    """What is wrong with that from which the stream would be made; nothing where we may not know."""
    try:
        simulated = (await client.indices.simulate_index_template(name=stream)).body
    except ApiError as error:
        if error.status_code == 403:
            return ""
        raise
    mappings = simulated.get("template", {}).get("mappings")
    if not mappings:
        return "no template for the data stream"
    # A real server has one of its own for logs-*-*.
    return "" if _OURS in mappings.get("properties", {}) else "only a template without our fields for the data stream"


async def _lacking_in_stream(client: AsyncElasticsearch, stream: str) -> str:
    found = (await client.indices.get_mapping(index=stream)).body
    newest = found[max(found)]["mappings"]
    return "" if _OURS in newest.get("properties", {}) else "without our fields the data stream"
