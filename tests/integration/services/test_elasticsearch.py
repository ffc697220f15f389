"""A real node: data streams, conflicts, what outlives it, who is let in."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from elastic_transport import TlsError
from elasticsearch import AsyncElasticsearch, AuthenticationException, AuthorizationException

from tests.services.elasticsearch.configuration import User
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.errors import StartError


@asynccontextmanager
async def client(node: Elasticsearch, **settings: Any) -> AsyncIterator[AsyncElasticsearch]:
    authority = {"ca_certs": str(node.certificate.authority)} if node.certificate else {}
    opened = AsyncElasticsearch(node.url, request_timeout=60, max_retries=0, **(authority | settings))
    try:
        yield opened
    finally:
        await opened.close()


async def create(opened: AsyncElasticsearch, stream: str, *ids: str) -> list[int]:
    """Put one document per id into *stream* by one bulk request, and return each one's status."""
    operations: list[dict[str, Any]] = []
    for name in ids:
        operations += [{"create": {"_id": name}}, {"@timestamp": "2026-11-24T10:00:00Z", "event": {"id": name}}]
    answer = await opened.bulk(index=stream, operations=operations, refresh=True)
    return [item["create"]["status"] for item in answer["items"]]


async def make_template(opened: AsyncElasticsearch) -> str:
    """Make an index template for the data streams of a name of its own, and return such a stream's name."""
    name = f"rescues-{uuid.uuid4().hex[:12]}"
    mapping = {"dynamic": "strict", "properties": {"@timestamp": {"type": "date"}, "event.id": {"type": "keyword"}}}
    await opened.indices.put_index_template(
        name=name, index_patterns=[f"{name}-*"], data_stream={}, priority=500, template={"mappings": mapping}
    )
    return f"{name}-default"


async def test_a_bulk_create_makes_a_data_stream_and_a_second_one_is_a_conflict(elasticsearch: Elasticsearch) -> None:
    async with client(elasticsearch) as opened:
        stream = await make_template(opened)
        assert await create(opened, stream, "a", "b") == [201, 201]
        assert await create(opened, stream, "b", "c") == [409, 201]
        found = await opened.search(index=stream, sort=["event.id"])
        assert [hit["_source"]["event"]["id"] for hit in found["hits"]["hits"]] == ["a", "b", "c"]
        resolved = await opened.indices.resolve_index(name=stream)
        assert [entry["name"] for entry in resolved["data_streams"]] == [stream]


async def test_a_document_that_the_mapping_refuses_stands_in_no_other_ones_way(elasticsearch: Elasticsearch) -> None:
    async with client(elasticsearch) as opened:
        stream = await make_template(opened)
        time = {"@timestamp": "2026-11-24T10:00:00Z"}
        operations: list[dict[str, Any]] = [
            {"create": {"_id": "good"}},
            time,
            {"create": {"_id": "bad"}},
            {**time, "unknown": 1},
        ]
        answer = await opened.bulk(index=stream, operations=operations)
        assert [item["create"]["status"] for item in answer["items"]] == [201, 400]


async def test_what_was_acknowledged_outlives_a_stop_in_order_and_a_kill(own_elasticsearch: Elasticsearch) -> None:
    node, ids = own_elasticsearch, [f"{number:03d}" for number in range(200)]
    async with client(node) as opened:
        stream = await make_template(opened)
        assert set(await create(opened, stream, *ids)) == {201}
    await asyncio.to_thread(node.stop)
    assert "closed" in (node.folder / "log").read_text().splitlines()[-1]
    await asyncio.to_thread(node.start)
    async with client(node) as opened:
        assert await create(opened, stream, ids[0], "after a stop") == [409, 201]
    await asyncio.to_thread(node.kill)
    await asyncio.to_thread(node.start)
    async with client(node) as opened:
        assert await create(opened, stream, "after a stop", "after a kill") == [409, 201]
        assert (await opened.count(index=stream))["count"] == len(ids) + 2


@pytest.mark.parametrize("login", [None, ("alice", "wrong"), ("nobody", "alice-secret")], ids=str)
async def test_who_is_unknown_is_refused(secured_elasticsearch: Elasticsearch, login: tuple[str, str] | None) -> None:
    async with client(secured_elasticsearch, basic_auth=login) as opened:
        with pytest.raises(AuthenticationException) as refused:
            await opened.info()
        assert refused.value.status_code == 401


async def test_a_user_does_what_the_roles_allow(secured_elasticsearch: Elasticsearch) -> None:
    async with client(secured_elasticsearch, basic_auth=("alice", "alice-secret")) as alice:
        stream = await make_template(alice)
        assert await create(alice, stream, "a") == [201]
    async with client(secured_elasticsearch, basic_auth=("bob", "bob-secret")) as bob:
        assert (await bob.count(index=stream))["count"] == 1
        for forbidden in (create(bob, stream, "b"), make_template(bob)):
            with pytest.raises(AuthorizationException) as refused:
                await forbidden
            assert refused.value.status_code == 403


async def test_an_api_key_opens_what_it_is_for_until_it_is_invalidated(secured_elasticsearch: Elasticsearch) -> None:
    async with client(secured_elasticsearch, basic_auth=("alice", "alice-secret")) as alice:
        stream = await make_template(alice)
        rights = {"writer": {"indices": [{"names": [stream], "privileges": ["create_doc", "auto_configure"]}]}}
        made = await alice.security.create_api_key(name="gpu-rescue", role_descriptors=rights)
        async with client(secured_elasticsearch, api_key=made["encoded"]) as keyed:
            assert await create(keyed, stream, "a") == [201]
            with pytest.raises(AuthorizationException):
                await keyed.count(index=stream)
            await alice.security.invalidate_api_key(ids=[made["id"]])
            with pytest.raises(AuthenticationException):
                await create(keyed, stream, "b")


async def test_a_certificate_of_an_unknown_authority_is_refused(secured_elasticsearch: Elasticsearch) -> None:
    async with client(secured_elasticsearch, ca_certs=None, basic_auth=("alice", "alice-secret")) as opened:
        with pytest.raises(TlsError):
            await opened.info()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's node runs as somebody else")
def test_a_folder_that_its_user_cannot_enter_is_named(elasticsearch: Elasticsearch, tmp_path: Path) -> None:
    # The artifact is there by now, and a Java.
    del elasticsearch
    tmp_path.chmod(0o700)
    with pytest.raises(StartError, match=f"may not enter .*{tmp_path.parents[1].name}"):
        Elasticsearch(tmp_path / "node").start()


def test_a_reserved_name_is_refused_where_it_is_given() -> None:
    with pytest.raises(ValueError, match="elastic"):
        User("elastic", "secret")
