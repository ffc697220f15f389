"""Records a second into a real Elasticsearch, and what each costs us, beside the client's own loop in the same run.

Run with `python -m benchmarks.elasticsearch`. The baseline is `async_bulk` of the official client over the same
documents in batches of as many: nobody waits for a single record there. Ours: 500 writers side by side, each of which
waits until its own two records are safe; one writer with all; and through the spool, from the first record that goes to
the disk until the last one is delivered from it.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_bulk

from pipeline.settings import shipped
from pipeline.telemetry import configure_logging
from sinks.base import Record, SinkError
from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig
from sinks.spool import SpooledSink
from sinks.spoolfiles import SpoolConfig
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.errors import MissingError
from tests.services.folders import temporary_folder

_RECORDS, _WRITERS, _TOGETHER, _ROUNDS, _BATCH = 20_000, 500, 2, 3, 400
_START = datetime(2026, 11, 20, tzinfo=UTC)
_FAULT = "NVRM: Xid (PCI:0000:3b:00): 79, pid=7, name=python3, GPU has fallen off the bus."


def _record(number: int) -> Record:
    time = _START + timedelta(milliseconds=number)
    name = f"gpu-{number % 1000:04}-xid-79-{number:08}/0"
    return Record(
        name,
        time,
        {
            "@timestamp": time.isoformat(),
            "ecs": {"version": "8.17"},
            "event": {"id": name, "kind": "alert", "category": ["host"], "type": ["error"], "action": "fault-detected"},
            "message": f"xid 79 on gpu-{number % 1000:04}: GPU has fallen off the bus",
            "host": {"name": f"gpu-{number % 1000:04}"},
            "gpu_rescue": {
                "schema_version": 1,
                "fault": {"kind": "xid", "code": 79, "pci": "0000:3b:00", "severity": "reboot", "count": 1},
                "node": {"lookup": "found", "enriched": True, "labels": {"rack": f"r{number % 40}", "gpu": "h100"}},
            },
            "log": {"original": _FAULT + " " * 300},
        },
    )


class Away:
    """A destination that takes nothing until it is told to."""

    def __init__(self, sink: ElasticsearchSink) -> None:
        self.reach, self.read, self.close = sink.reach, sink.read, sink.close
        self._sink = sink
        self.away = True

    async def write(self, records: Sequence[Record]) -> None:
        if self.away:
            raise SinkError("away", 0.0)
        await self._sink.write(records)


async def _theirs(url: str, stream: str, records: Sequence[Record]) -> None:
    client = AsyncElasticsearch(url, request_timeout=60)
    actions = ({"_op_type": "create", "_id": record.id, "_source": record.document} for record in records)
    taken, _ = await async_bulk(client, actions, index=stream, chunk_size=_BATCH, require_data_stream=True)
    await client.close()
    assert taken == len(records)


async def _many_writers(sink: ElasticsearchSink, records: Sequence[Record]) -> None:
    waiting = iter([records[at : at + _TOGETHER] for at in range(0, len(records), _TOGETHER)])

    async def writer() -> None:
        for together in waiting:
            await sink.write(together)

    await asyncio.gather(*(writer() for _ in range(_WRITERS)))


async def _through_the_spool(sink: ElasticsearchSink, records: Sequence[Record], folder: Path) -> None:
    away, empty = Away(sink), asyncio.Event()
    spooled = SpooledSink(
        away,
        SpoolConfig(path=folder / "spool"),
        lambda waiting: empty.clear() if waiting.bytes else empty.set(),
        lambda _: asyncio.sleep(0.01),
    )
    for at in range(0, len(records), _BATCH):
        await spooled.write(records[at : at + _BATCH])
    away.away = False
    await empty.wait()
    await spooled.close()


Measured = dict[str, list[tuple[float, float]]]
"""Seconds, and those of our own CPU, of each round by what was measured."""


async def _measure(url: str, folder: Path) -> Measured:
    records = [_record(number) for number in range(_RECORDS)]
    streams = iter(range(1_000_000))
    rounds: Measured = {}

    def sink() -> ElasticsearchSink:
        stream = f"logs-gpu_rescue.records-bench{next(streams)}"
        return ElasticsearchSink(
            ElasticsearchSinkConfig(
                type="elasticsearch",
                hosts=[url],
                data_stream=stream,
                batch_records=_BATCH,
                timeout_seconds=60,
                dead_letters=folder / "refused",
            )
        )

    async def measured(name: str, work: Callable[[], Awaitable[None]]) -> None:
        began, used = time.perf_counter(), time.process_time()
        await work()
        rounds.setdefault(name, []).append((time.perf_counter() - began, time.process_time() - used))

    installing = sink()
    async for _ in installing.install(shipped() / "elasticsearch"):
        pass
    await installing.close()
    # The first round warms the server up and counts for nothing.
    for turn in range(_ROUNDS + 1):
        stream = f"logs-gpu_rescue.records-theirs{turn}"
        await measured("the client's async_bulk", partial(_theirs, url, stream, records))
        for name, work in (
            ("500 writers of two records", _many_writers),
            ("one writer of all", lambda opened, all_of_them: opened.write(all_of_them)),
            ("through the spool", lambda opened, all_of_them: _through_the_spool(opened, all_of_them, folder)),
        ):
            opened = sink()
            await measured(name, partial(work, opened, records))
            await opened.close()
    assert not (folder / "refused").exists()
    return {name: measured[1:] for name, measured in rounds.items()}


def main() -> None:
    """Print a row for the client's loop and one for each way of ours, with the ratio of its rate to that."""
    configure_logging(json=False, level="error")
    try:
        with temporary_folder("elasticsearch") as folder, tempfile.TemporaryDirectory() as own:
            server = Elasticsearch(folder)
            try:
                server.start()
                rounds = asyncio.run(_measure(server.url, Path(own)))
            finally:
                server.stop()
    except MissingError as missing:
        print(f"left out: {missing}")
        return
    print(f"{'':<32}{'records/s':>12}{'ratio':>8}{'our CPU µs':>14}{'ratio':>8}")
    base, base_cost = 0.0, 0.0
    for name, measured in rounds.items():
        seconds, cost = (statistics.median(column) / _RECORDS * 1e6 for column in zip(*measured, strict=True))
        base, base_cost = base or seconds, base_cost or cost
        print(f"{name:<32}{1e6 / seconds:>12,.0f}{base / seconds:>8.2f}{cost:>14.1f}{cost / base_cost:>8.2f}")


if __name__ == "__main__":
    main()
