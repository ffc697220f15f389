"""What every sink promises, held against each of them. A new sink adds one row."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sinks.base import Query, Record, Sink, SinkError
from sinks.elasticsearch import ElasticsearchSink
from sinks.fanout import FanOut
from sinks.file import FileSink, FileSinkConfig
from sinks.memory import MemorySink
from sinks.spool import SpooledSink
from sinks.spoolfiles import SpoolConfig
from tests.fakes.elasticsearch import install, sink_config
from tests.fakes.sinks import WatchedSink
from tests.services.elasticsearch.node import Elasticsearch

START = datetime(2026, 1, 31, 4, 5, 6, 123456, tzinfo=UTC)

Opener = Callable[[Path], Sink]


def spool(folder: Path, destination: Sink) -> Sink:
    return SpooledSink(destination, SpoolConfig(path=folder / "spool"))


def away() -> Sink:
    sink = WatchedSink()
    sink.away = True
    return sink


SINKS: dict[str, Opener] = {
    "memory": lambda _: MemorySink(),
    "file": lambda folder: FileSink(FileSinkConfig(type="file", path=folder / "records.ndjson")),
    "file that rotates often": lambda folder: FileSink(
        FileSinkConfig(type="file", path=folder / "records.ndjson", rotate_bytes=4096, keep=99, fsync="never")
    ),
    "fan-out": lambda folder: FanOut(
        {"file": FileSink(FileSinkConfig(type="file", path=folder / "records.ndjson")), "memory": MemorySink()}
    ),
    "spool before one that is there": lambda folder: spool(folder, MemorySink()),
    "spool before one that is away": lambda folder: spool(folder, away()),
}
SERVERS = {"elasticsearch": "elasticsearch_sinks"}
"""Sinks that need a real server: the fixture that opens them."""


@pytest.fixture(params=[*SINKS, *SERVERS])
def opened(request: pytest.FixtureRequest) -> Opener:
    found: Opener = SINKS.get(request.param) or request.getfixturevalue(SERVERS[request.param])
    return found


@pytest.fixture(scope="module")
def elasticsearch_sinks(elasticsearch: Elasticsearch) -> Opener:
    asyncio.run(install(sink_config(elasticsearch, Path())))
    return lambda folder: ElasticsearchSink(sink_config(elasticsearch, folder))


def record(number: int, node: str = "gpu-01", action: str = "fault-detected", **fields: Any) -> Record:
    time = START + timedelta(seconds=number)
    return Record(
        f"rescue/{number}",
        time,
        {
            "@timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "event": {"id": f"rescue/{number}", "action": action},
            "host": {"name": node},
            **fields,
        },
    )


async def read(sink: Sink, query: Query | None = None) -> list[Record]:
    return [found async for found in sink.read(query or Query())]


async def test_a_new_sink_is_empty(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    assert await read(sink) == []
    await sink.close()


async def test_what_was_written_is_read_back_whole(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    written = [
        record(number, gpu_rescue={"fault": {"code": 62, "message": '通道\n\t"\\ \u2028 😀'}}) for number in range(3)
    ]
    await sink.write(written)
    assert await read(sink) == written
    await sink.close()


async def test_writing_nothing_is_no_error(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    await sink.write([])
    assert await read(sink) == []
    await sink.close()


async def test_writing_again_changes_nothing(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    await sink.write([record(1), record(2), record(1)])
    await sink.write([record(2), record(3), record(1)])
    assert await read(sink) == [record(1), record(2), record(3)]
    await sink.close()


async def test_of_two_records_with_one_id_the_first_stays(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    await sink.write([record(1, node="first"), record(1, node="second")])
    await sink.write([record(1, node="third")])
    assert await read(sink) == [record(1, node="first")]
    await sink.close()


async def test_the_oldest_comes_first_however_they_were_written(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    for number in (3, 1, 2):
        await sink.write([record(number)])
    assert await read(sink) == [record(1), record(2), record(3)]
    await sink.close()


async def test_records_of_one_moment_keep_their_order(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    ids = [f"r/{number}" for number in (5, 3, 9, 1)]
    stamp = START.isoformat()
    written = [Record(key, START, {"@timestamp": stamp, "event": {"id": key}}) for key in ids]
    await sink.write(written)
    assert [found.id for found in await read(sink)] == ids
    await sink.close()


async def test_many_records_go_in_and_out(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    written = [record(number) for number in range(1500)]
    for at in range(0, 1500, 20):
        await sink.write(written[at : at + 20])
    assert await read(sink) == written
    await sink.close()


QUERIES = {
    "any": (Query(), [0, 1, 2, 3]),
    "of one node": (Query(node="gpu-02"), [1, 3]),
    "of a node that has none": (Query(node="gpu-03"), []),
    "of one action": (Query(action="rescue-failed"), [2, 3]),
    "since a moment, which counts": (Query(since=START + timedelta(seconds=2)), [2, 3]),
    "since a moment of another zone": (Query(since=START.astimezone(timezone(timedelta(hours=8)))), [0, 1, 2, 3]),
    "since a moment to come": (Query(since=START + timedelta(days=1)), []),
    "of all three": (Query("gpu-02", START + timedelta(seconds=1), "rescue-failed"), [3]),
}


@pytest.mark.parametrize(("query", "expected"), QUERIES.values(), ids=QUERIES.keys())
async def test_records_are_chosen(opened: Opener, query: Query, expected: list[int], tmp_path: Path) -> None:
    sink = opened(tmp_path)
    written = [
        record(0),
        record(1, node="gpu-02"),
        record(2, action="rescue-failed"),
        record(3, node="gpu-02", action="rescue-failed"),
    ]
    await sink.write(written)
    assert await read(sink, query) == [written[number] for number in expected]
    await sink.close()


async def test_text_that_is_not_unicode_costs_no_record(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    await sink.write([record(1, log={"original": "a \udcff b"}, huge=2**70)])
    (found,) = await read(sink)
    assert found.document["log"] == {"original": "a ? b"}
    await sink.close()


async def test_any_mapping_and_any_sequence_is_a_document(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    await sink.write([record(1, labels=MappingProxyType({"app": "demo"}), tags=("a", "b"))])
    (found,) = await read(sink)
    assert (found.document["labels"], found.document["tags"]) == ({"app": "demo"}, ["a", "b"])
    await sink.close()


async def test_what_is_no_document_is_refused_by_name_and_nothing_is_kept(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    with pytest.raises(SinkError, match=r"record rescue/2 is no JSON document: .*object") as caught:
        await sink.write([record(1), record(2, thing=object())])
    assert caught.value.retry_after is None
    assert await read(sink) == []
    await sink.close()


async def test_a_sink_may_be_closed_twice(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    await sink.write([record(1)])
    await sink.close()
    await sink.close()
    assert await read(sink) == [record(1)]
    await sink.close()


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_sink_that_can_be_reached_says_what_it_is_and_leaves_no_trace(opened: Opener, tmp_path: Path) -> None:
    sink = opened(tmp_path)
    assert await sink.reach()
    assert _names(tmp_path) == []
    await sink.close()
