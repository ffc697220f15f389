"""Who is let in, whom is trusted, and what people are told when it goes wrong."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sinks.base import Query, Record, SinkError
from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig
from tests.fakes.elasticsearch import install, new_stream, sink_config
from tests.services.elasticsearch.node import Elasticsearch

START = datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC)
ONE = Record("r/1", START, {"@timestamp": START.isoformat(), "event": {"id": "r/1"}})
KEY_OF_A_WRITER: dict[str, Any] = {
    "records": {
        "cluster": ["monitor"],
        "indices": [
            {
                "names": ["logs-gpu_rescue.records-*"],
                "privileges": ["auto_configure", "create_doc", "read", "view_index_metadata", "maintenance"],
            }
        ],
    }
}


@asynccontextmanager
async def sink(config: ElasticsearchSinkConfig) -> AsyncIterator[ElasticsearchSink]:
    opened = ElasticsearchSink(config)
    try:
        yield opened
    finally:
        await opened.close()


async def api_key(config: ElasticsearchSinkConfig, rights: dict[str, Any]) -> str:
    async with sink(config) as admin:
        made = await admin._connection.client().security.create_api_key(name="test", role_descriptors=rights)
        return str(made["encoded"])


async def ids(opened: ElasticsearchSink) -> list[str]:
    return [found.id async for found in opened.read(Query())]


def fingerprint(node: Elasticsearch) -> str:
    assert node.certificate
    pem = node.certificate.certificate.read_text()
    end = "-----END CERTIFICATE-----"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[: pem.index(end) + len(end)])).hexdigest()


async def test_a_user_with_a_password_of_a_file_over_tls(secured_elasticsearch: Elasticsearch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("alice-secret\n")
    auth = {"username": "alice", "password_file": tmp_path / "password"}
    config = sink_config(secured_elasticsearch, tmp_path, auth=auth)
    await install(config)
    async with sink(config) as opened:
        assert "Elasticsearch 9." in await opened.reach()
        await opened.write([ONE])
        assert await ids(opened) == ["r/1"]


async def test_a_key_with_the_rights_that_the_documents_name_is_enough(
    secured_elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    config = sink_config(secured_elasticsearch, tmp_path)
    await install(config)
    key = await api_key(config, KEY_OF_A_WRITER)
    async with sink(sink_config(secured_elasticsearch, tmp_path, auth={"api_key": key})) as opened:
        assert "empty yet" in await opened.reach()
        await opened.write([ONE])
        assert await ids(opened) == ["r/1"]
        assert "empty" not in await opened.reach()


async def test_the_documented_key_is_the_one_that_was_tried() -> None:
    readme = (Path(__file__).parents[3] / "config/elasticsearch/README.md").read_text()
    told = readme.partition("role_descriptors")[2].partition("```")[0]
    assert [word for word in KEY_OF_A_WRITER["records"]["indices"][0]["privileges"] if f'"{word}"' not in told] == []


async def test_a_key_of_a_file_is_read_again_when_it_is_changed(
    secured_elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    admin = sink_config(secured_elasticsearch, tmp_path)
    await install(admin)
    file = tmp_path / "key"
    file.write_text("d3Jvbmc6a2V5")
    async with sink(sink_config(secured_elasticsearch, tmp_path, auth={"api_key_file": file})) as opened:
        with pytest.raises(SinkError, match="does not know us"):
            await opened.write([ONE])
        file.write_text(await api_key(admin, KEY_OF_A_WRITER) + "\n")
        await opened.write([ONE])


WRONG = {
    "nobody": None,
    "a wrong password": {"username": "alice", "password": "wrong"},
    "an unknown user": {"username": "nobody", "password": "alice-secret"},
    "a wrong key": {"api_key": "d3Jvbmc6a2V5"},
}


@pytest.mark.parametrize("auth", WRONG.values(), ids=WRONG.keys())
async def test_who_is_not_known_is_told_so_and_that_waiting_does_not_help(
    auth: dict[str, str] | None, secured_elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    async with sink(sink_config(secured_elasticsearch, tmp_path, auth=auth)) as opened:
        for call in (opened.reach, lambda: opened.write([ONE]), lambda: ids(opened)):
            with pytest.raises(SinkError, match=r"does not know us \(401\): auth of the sink") as caught:
                await call()
            assert caught.value.retry_after is None
    assert not (tmp_path / "refused.ndjson").exists()


async def test_who_may_not_write_is_told_which_rights_are_missing(
    secured_elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    config = sink_config(secured_elasticsearch, tmp_path)
    await install(config)
    async with sink(config) as alice:
        await alice.write([ONE])
        assert await ids(alice) == ["r/1"]
    bob = {"username": "bob", "password": "bob-secret"}
    async with sink(
        config.model_copy(update={"auth": sink_config(secured_elasticsearch, tmp_path, auth=bob).auth})
    ) as opened:
        with pytest.raises(SinkError, match=r"we lack the rights auto_configure, create_doc$"):
            await opened.reach()
        with pytest.raises(SinkError, match=r"does not let us \(403\)"):
            await opened.write([Record("r/2", START, ONE.document)])
        assert await ids(opened) == ["r/1"]
        with pytest.raises(SinkError, match=r"does not let us \(403\)"):
            await install(sink_config(secured_elasticsearch, tmp_path, auth=bob))
    assert not (tmp_path / "refused.ndjson").exists()


async def test_a_server_is_trusted_by_its_fingerprint_alone(
    secured_elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    tls = {"fingerprint": fingerprint(secured_elasticsearch)}
    async with sink(sink_config(secured_elasticsearch, tmp_path, tls=tls)) as opened:
        await opened.write([ONE])


async def test_a_server_is_trusted_unseen_where_that_is_wanted(
    secured_elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    async with sink(sink_config(secured_elasticsearch, tmp_path, tls={"verify": False})) as opened:
        await opened.write([ONE])


UNTRUSTED = {
    "an authority that nobody has named": ({}, "its certificate is not trusted; tls.ca or tls.fingerprint"),
    "another fingerprint": ({"fingerprint": "ab" * 32}, "another fingerprint than the sink's"),
}


@pytest.mark.parametrize(("tls", "told"), UNTRUSTED.values(), ids=UNTRUSTED.keys())
async def test_a_server_that_is_not_trusted_gets_no_record(
    tls: dict[str, str], told: str, secured_elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    async with sink(sink_config(secured_elasticsearch, tmp_path, tls=tls)) as opened:
        for call in (opened.reach, lambda: opened.write([ONE])):
            with pytest.raises(SinkError, match=told) as caught:
                await call()
            assert caught.value.retry_after is None


async def test_a_server_without_tls_is_told_as_such(elasticsearch: Elasticsearch, tmp_path: Path) -> None:
    hosts = [elasticsearch.url.replace("http:", "https:")]
    async with sink(sink_config(elasticsearch, tmp_path, hosts=hosts)) as opened:
        with pytest.raises(SinkError, match="TLS fails"):
            await opened.write([ONE])


_NOBODY = (
    r"at http://127\.0\.0\.1:1 cannot be reached: nobody listens at 127\.0\.0\.1:1; see that it runs, and check hosts"
)


async def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    config = ElasticsearchSinkConfig(
        type="elasticsearch", hosts=["http://nobody.invalid:9200"], dead_letters=tmp_path / "refused"
    )
    async with sink(config) as opened:
        with pytest.raises(SinkError, match=r"the name nobody\.invalid is not known: .*; check hosts of the sink"):
            await opened.reach()


async def test_where_nobody_listens_another_try_may_help(elasticsearch: Elasticsearch, tmp_path: Path) -> None:
    closed = "http://127.0.0.1:1"
    async with sink(sink_config(elasticsearch, tmp_path, hosts=[closed])) as opened:
        for call in (opened.reach, lambda: opened.write([ONE]), lambda: ids(opened)):
            with pytest.raises(SinkError, match=_NOBODY) as caught:
                await call()
            assert caught.value.retry_after
    config = sink_config(elasticsearch, tmp_path, hosts=[closed, elasticsearch.url], data_stream=new_stream())
    await install(config)
    async with sink(config) as opened:
        for _ in range(3):
            await opened.write([ONE])
        assert await ids(opened) == ["r/1"]


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = ElasticsearchSinkConfig(
        type="elasticsearch", hosts=[host], timeout_seconds=0.2, dead_letters=tmp_path / "refused"
    )
    async with sink(config) as opened:
        with pytest.raises(SinkError, match=r"has not answered in 0.2 s") as caught:
            await opened.write([ONE])
        assert caught.value.retry_after
    server.close()
    await server.wait_closed()


async def test_the_end_does_not_wait_for_a_server_that_stays_busy(tmp_path: Path) -> None:
    busy = b"HTTP/1.1 429 Too Many Requests\r\nx-elastic-product: Elasticsearch\r\ncontent-length: 0\r\n\r\n"
    asked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            asked.set()
            writer.write(busy)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    config = ElasticsearchSinkConfig(
        type="elasticsearch",
        hosts=[f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"],
        timeout_seconds=0.5,
        retry_seconds=300,
        dead_letters=tmp_path / "refused",
    )
    opened = ElasticsearchSink(config)
    write = asyncio.create_task(opened.write([ONE]))
    async with asyncio.timeout(10):
        await asked.wait()
        await opened.close()
        with pytest.raises(SinkError, match="closed before all was sent"):
            await write
    server.close()
    await server.wait_closed()


async def test_what_is_no_elasticsearch_is_told_as_such(tmp_path: Path) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = ElasticsearchSinkConfig(type="elasticsearch", hosts=[host], dead_letters=tmp_path / "refused")
    async with sink(config) as opened:
        for call in (opened.reach, lambda: opened.write([ONE])):
            with pytest.raises(SinkError, match="what answers is no Elasticsearch"):
                await call()
    server.close()
    await server.wait_closed()
