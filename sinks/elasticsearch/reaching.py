"""Finds out whether a server is there, which it is, and what it lacks."""

from typing import Any

from elasticsearch import ApiError, AsyncElasticsearch

from sinks.base import SinkError
from sinks.elasticsearch.connection import Connection, unknown_call

RIGHTS = ("auto_configure", "create_doc", "read", "view_index_metadata")
"""What a user or a key needs on the data stream: to write, to read back, to look whether it is there."""
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
        if kind == "nothing" and await _template_is_missing(client, stream):
            raise SinkError(f"{connection.name} ({version}) has no template for the data stream {stream}: {_INSTALL}")
    if kind not in ("data stream", "nothing"):
        raise SinkError(f"{connection.name} ({version}) has {stream}, but as an {kind} and not as a data stream")
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


async def _template_is_missing(client: AsyncElasticsearch, stream: str) -> bool:
    """Whether no template would make the stream; False where we may not know."""
    try:
        simulated = (await client.indices.simulate_index_template(name=stream)).body
    except ApiError as error:
        if error.status_code == 403:
            return False
        raise
    return not simulated.get("template", {}).get("mappings")
