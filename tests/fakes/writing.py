"""A process that writes numbered records into Elasticsearch through a spool, and prints each number that is safe.

`python -m tests.fakes.writing URL STREAM FOLDER FIRST` goes on until it is killed; with a further number it writes up
to that one, waits until all are delivered, and ends.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from sinks.base import Record, SinkError
from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig
from sinks.spool import SpooledSink
from sinks.spoolfiles import SpoolConfig, Waiting

START = datetime(2026, 1, 31, tzinfo=UTC)


def numbered(number: int) -> Record:
    """The record of that number; the same one whenever it is made."""
    time = START + timedelta(seconds=number)
    return Record(
        f"r/{number}",
        time,
        {"@timestamp": time.isoformat(), "event": {"id": f"r/{number}", "sequence": number}, "message": "x" * 200},
    )


async def _short(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.3))


async def _write(sink: SpooledSink, numbers: range) -> None:
    while True:
        try:
            await sink.write([numbered(number) for number in numbers])
        except SinkError:
            await asyncio.sleep(0.05)
        else:
            print(numbers[-1], flush=True)
            return


async def _run(url: str, stream: str, folder: Path, first: int, last: int | None) -> None:
    config = ElasticsearchSinkConfig(
        type="elasticsearch",
        hosts=[url],
        data_stream=stream,
        dead_letters=folder / "refused",
        timeout_seconds=5,
        retry_seconds=0.5,
    )
    empty = asyncio.Event()

    def tell(waiting: Waiting) -> None:
        (empty.clear if waiting.bytes else empty.set)()

    sink = SpooledSink(ElasticsearchSink(config), SpoolConfig(path=folder / "spool"), tell, _short)
    number = first
    while last is None or number <= last:
        size = 1 + number % 5
        await _write(sink, range(number, number + size))
        number += size
        await asyncio.sleep(0.001)
    await empty.wait()
    await sink.close()


if __name__ == "__main__":
    # Standard output is for the numbers alone: the last line before a kill must not be one of the log.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    _, address, name, place, begin, *end = sys.argv
    asyncio.run(_run(address, name, Path(place), int(begin), int(end[0]) if end else None))
