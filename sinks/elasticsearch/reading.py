"""Reads records out of a data stream, oldest first."""

from collections.abc import AsyncIterator
from typing import Any

from elasticsearch import ApiError, AsyncElasticsearch

from sinks.base import Query, Record
from sinks.elasticsearch.connection import Connection
from sinks.ndjson import as_record, matches

_PAGE = 1000
_KEEP = "1m"


async def read(connection: Connection, stream: str, query: Query) -> AsyncIterator[Record]:
    """Yield the records that match, each once, among them all that were written before the call.

    A stream that is not there has none. Raises SinkError.
    """
    with connection.speaking():
        client = connection.client()
        point = await _point_in_time(client, stream)
        if point is None:
            return
        try:
            moment: list[Record] = []
            at: int | None = None
            async for milliseconds, record in _hits(client, point, query):
                if milliseconds != at:
                    for told in _in_order(moment, query):
                        yield told
                    moment, at = [], milliseconds
                moment.append(record)
            for told in _in_order(moment, query):
                yield told
        finally:
            await client.close_point_in_time(id=point)


async def _point_in_time(client: AsyncElasticsearch, stream: str) -> str | None:
    try:
        await client.indices.refresh(index=stream)
    except ApiError as error:
        # Whoever may only read sees what is a second old, as Kibana does.
        if error.status_code not in (403, 404):
            raise
    try:
        opened = await client.open_point_in_time(index=stream, keep_alive=_KEEP)
    except ApiError as error:
        if error.status_code == 404:
            return None
        raise
    return str(opened["id"])


async def _hits(client: AsyncElasticsearch, point: str, query: Query) -> AsyncIterator[tuple[int, Record]]:
    after: list[Any] | None = None
    while True:
        page = await client.search(
            pit={"id": point, "keep_alive": _KEEP},
            query={"bool": {"filter": _filters(query)}},
            # Documents of one millisecond come in the order in which they were written.
            sort=[{"@timestamp": "asc"}, {"_seq_no": "asc"}],
            search_after=after,
            size=_PAGE,
            track_total_hits=False,
        )
        for hit in page["hits"]["hits"]:
            after = hit["sort"]
            record = as_record(hit["_source"])
            if record is not None:
                yield hit["sort"][0], record
        if len(page["hits"]["hits"]) < _PAGE:
            return


def _filters(query: Query) -> list[dict[str, Any]]:
    filters: list[dict[str, Any]] = []
    if query.node is not None:
        filters.append({"term": {"host.name": query.node}})
    if query.action is not None:
        filters.append({"term": {"event.action": query.action}})
    if query.since is not None:
        filters.append({"range": {"@timestamp": {"gte": query.since.isoformat()}}})
    return filters


def _in_order(moment: list[Record], query: Query) -> list[Record]:
    """The records of one millisecond, which is as exact as the index is, by the times that they hold themselves.

    Written again after the stream has rolled over, a record is there twice: in this one moment, since its time is its
    own.
    """
    once: dict[str, Record] = {}
    for record in moment:
        if matches(query, record):
            once.setdefault(record.id, record)
    return sorted(once.values(), key=lambda record: record.time)
