"""What a real server answers to each record, and what becomes of it."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from sinks.base import Query, Record, SinkError
from sinks.elasticsearch import ElasticsearchSink, bulk
from sinks.elasticsearch.outcomes import Answer, answers
from tests.fakes.elasticsearch import install, new_stream, sink_config
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.fixtures import running

START = datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC)


def record(number: int, name: str | None = None, **fields: Any) -> Record:
    time = START + timedelta(microseconds=number)
    name = name or f"r/{number}"
    return Record(name, time, {"@timestamp": time.isoformat(), "event": {"id": name}, **fields})


async def ids(sink: ElasticsearchSink) -> list[str]:
    return [found.id async for found in sink.read(Query())]


async def opened(node: Elasticsearch, folder: Path, **given: Any) -> ElasticsearchSink:
    config = sink_config(node, folder, **given)
    await install(config)
    return ElasticsearchSink(config)


async def ask(sink: ElasticsearchSink, call: str) -> None:
    """Make a call as people write it, for the index of the sink's stream."""
    method, path, *body = call.split(" ", 2)
    client = sink._connection.client()
    index = list((await client.indices.get(index=f"{sink._config.data_stream}*", expand_wildcards="all")).body)
    await client.perform_request(
        method,
        path.format(index=index[0] if index else ""),
        headers={"accept": "application/json", "content-type": "application/json"},
        body=orjson.loads(body[0]) if body else None,
    )


async def test_a_record_that_is_there_is_no_error(elasticsearch: Elasticsearch, tmp_path: Path) -> None:
    sink = await opened(elasticsearch, tmp_path)
    await sink.write([record(1)])
    await sink.write([record(1, message="another"), record(2)])
    assert [found.document.get("message") async for found in sink.read(Query())] == [None, None]
    await sink.close()


async def test_what_the_mapping_refuses_is_set_aside_once_and_stands_in_no_other_ones_way(
    elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    sink = await opened(elasticsearch, tmp_path)
    for _ in range(2):
        await sink.write([record(1), record(2, host={"name": {"an": "object"}}), record(3)])
    assert await ids(sink) == ["r/1", "r/3"]
    await sink.close()
    (line,) = (tmp_path / "refused.ndjson").read_bytes().splitlines()
    letter = orjson.loads(line)
    assert letter["document"] == record(2, host={"name": {"an": "object"}}).document
    assert letter["error"]["type"] == "document_parsing_exception"
    assert "failed to parse field [host.name]" in letter["error"]["message"]


ODD: dict[str, dict[str, Any]] = {
    "a number that is too large": {"gpu_rescue": {"fault": {"pid": 2**70}}},
    "a word where a number should be": {"gpu_rescue": {"fault": {"code": "none"}}},
    "a text of a megabyte": {"host": {"name": "x" * 1_000_000}, "log": {"original": "y" * 1_000_000}},
    "a field that nobody knows": {"gpu_rescue": {"of_tomorrow": {"deep": [1, {"a": "b"}]}}},
    "a label whose key has dots": {"gpu_rescue": {"node": {"labels": {"a.b/c": "d", "a": "e"}}}},
    "text that is not Unicode": {"message": "a \udcff b"},
}


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize("fields", ODD.values(), ids=ODD.keys())
async def test_what_is_odd_is_kept(fields: dict[str, Any], elasticsearch: Elasticsearch, tmp_path: Path) -> None:
    sink = await opened(elasticsearch, tmp_path)
    await sink.write([record(1, **fields)])
    assert await ids(sink) == ["r/1"]
    await sink.close()
    assert not (tmp_path / "refused.ndjson").exists()


async def test_an_id_that_elasticsearch_does_not_take_costs_no_record(
    elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    sink = await opened(elasticsearch, tmp_path)
    long = "x" * 513
    for _ in range(2):
        await sink.write([record(1), record(2, long), record(3)])
    assert await ids(sink) == ["r/1", long, "r/3"]
    await sink.close()


async def test_without_a_template_nothing_is_written_and_no_index_comes_to_be(
    elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    name = new_stream().replace("logs-", "nowhere-")
    sink = ElasticsearchSink(sink_config(elasticsearch, tmp_path, data_stream=name))
    with pytest.raises(SinkError, match=r"has no data stream nowhere-.*`gpu-rescue install elasticsearch`") as caught:
        await sink.write([record(1)])
    assert caught.value.retry_after
    with pytest.raises(SinkError, match="has no template for the data stream"):
        await sink.reach()
    assert await ids(sink) == []
    await sink.close()


CLOSED: dict[str, tuple[str, str]] = {
    "a limit of shards that is reached": (
        'PUT /_cluster/settings {"persistent": {"cluster.max_shards_per_node": 1}}',
        'PUT /_cluster/settings {"persistent": {"cluster.max_shards_per_node": null}}',
    ),
    "an index that is closed": ("POST /{index}/_close", "POST /{index}/_open"),
    "a pipeline that there is not": (
        'PUT /{index}/_settings {"index.default_pipeline": "nowhere"}',
        'PUT /{index}/_settings {"index.default_pipeline": null}',
    ),
    "an index that is blocked": (
        'PUT /{index}/_settings {"index.blocks.write": true}',
        'PUT /{index}/_settings {"index.blocks.write": null}',
    ),
    "a disk that is nearly full": (
        'PUT /{index}/_settings {"index.blocks.read_only_allow_delete": true}',
        'PUT /{index}/_settings {"index.blocks.read_only_allow_delete": null}',
    ),
}


@pytest.mark.parametrize(("closing", "opening"), CLOSED.values(), ids=CLOSED.keys())
async def test_what_a_person_has_to_put_right_sets_no_record_aside(
    closing: str, opening: str, elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    sink = await opened(elasticsearch, tmp_path, retry_seconds=0)
    if "{index}" in closing:
        await sink.write([record(1)])
    await ask(sink, closing)
    try:
        with pytest.raises(SinkError, match=r"answers 4|does not let us"):
            await sink.write([record(2)])
    finally:
        # Others use the server too.
        await ask(sink, opening)
    await sink.write([record(1), record(2)])
    assert set(await ids(sink)) == {"r/1", "r/2"}
    await sink.close()
    assert not (tmp_path / "refused.ndjson").exists()


async def test_many_writes_at_once_share_few_requests(
    elasticsearch: Elasticsearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def measured(body: Any) -> list[Answer]:
        sizes.append(len(body["items"]))
        return answers(body)

    monkeypatch.setattr(bulk, "answers", measured)
    sink = await opened(elasticsearch, tmp_path, batch_records=200)
    await asyncio.gather(*(sink.write([record(number)]) for number in range(1000)))
    assert len(await ids(sink)) == 1000
    assert max(sizes) == 200
    assert len(sizes) < 20
    await sink.close()


async def test_written_again_after_a_rollover_a_record_is_read_once(
    elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    config = sink_config(elasticsearch, tmp_path)
    await install(config)
    sink = ElasticsearchSink(config)
    await sink.write([record(2), record(1)])
    await sink._connection.client().indices.rollover(alias=config.data_stream)
    await sink.write([record(1), record(3), record(0)])
    assert await ids(sink) == ["r/0", "r/1", "r/2", "r/3"]
    await sink.close()


async def test_a_server_that_is_too_busy_has_all_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[int] = Counter()

    def counted(body: Any) -> list[Answer]:
        found = answers(body)
        seen.update(answer.status for answer in found)
        return found

    monkeypatch.setattr(bulk, "answers", counted)
    narrow = {"thread_pool.write.size": "1", "thread_pool.write.queue_size": "1"}
    with running("elasticsearch", lambda folder: Elasticsearch(folder, settings=narrow)) as node:
        config = sink_config(node, tmp_path, retry_seconds=120)
        await install(config)
        sinks = [ElasticsearchSink(config) for _ in range(12)]
        padding = {"message": "word " * 200}
        for turn in range(4):
            await asyncio.gather(
                *(
                    sink.write([record(turn * 10_000 + number * 200 + each, **padding) for each in range(200)])
                    for number, sink in enumerate(sinks)
                )
            )
        assert len(set(await ids(sinks[0]))) == 4 * 12 * 200
        for sink in sinks:
            await sink.close()
    assert seen[429] > 0
    assert seen[201] == 4 * 12 * 200
