"""What a fault costs: CPU from its message to a bulk request, without the servers at both ends.

Run with `python -m benchmarks.faults [FAULTS]`. The faults are those of `benchmarks.endtoend`, on 2,000 nodes: about
half of them open an incident (two records), the others are one more of their node's. The baseline, in the same run,
makes a document of each as the plain loop does (benchmarks/stock.py): JSON in, one expression, JSON out.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import orjson

from benchmarks.topic import HOSTS, messages
from pipeline.clock import WallClock
from pipeline.cluster.memory import SimulatedCluster
from pipeline.decide.guards import GuardSettings
from pipeline.decide.incidents import Incidents
from pipeline.decide.policy import read_policies
from pipeline.decode.envelopes import BootlessDecoder
from pipeline.decode.settings import DecodeSettings
from pipeline.documents import read_documents
from pipeline.enrich.labels import Enricher, EnrichSettings
from pipeline.execute.intake import Intake
from pipeline.execute.policies import PolicyBook
from pipeline.execute.reading import Reading
from pipeline.execute.recognition import Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.store_memory import MemoryStore
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.node import Node
from pipeline.settings import shipped
from pipeline.sources.kafka.source import spare_the_collector
from pipeline.sources.port import Delivery
from sinks.base import Record, SinkError
from sinks.elasticsearch.batches import Batches
from sinks.elasticsearch.operations import Operation, operation
from sinks.fanout import FanOut
from sinks.memory import MemorySink

_FAULTS, _ROUNDS = 3_000, 5
_XID = re.compile(rb"NVRM: Xid \(PCI:([0-9a-f:.]+)\): (\d+)")


class _Topic:
    """A source that has its messages in memory."""

    live = True

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self.read = 0
        self._payloads = payloads

    async def reach(self) -> str:
        """It is always there."""
        return "memory"

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield all."""
        for payload in self._payloads:
            self.read += 1
            yield Delivery(payload, f"kernel-logs/0@{self.read}", self._ack)

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def _ack(self) -> None:
        """Nobody commits."""


class _Stream(MemorySink):
    """The Elasticsearch sink, but that the body of a request goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.documents = self.requests = self.bytes = 0
        self._batches = Batches(self._send, 1000, 1_000_000, 0.0)

    async def write(self, records: Sequence[Record]) -> None:
        """Return when a request has taken them."""
        await self._batches.put([operation(record) for record in records])

    async def _send(self, operations: Sequence[Operation]) -> list[SinkError | None]:
        self.requests += 1
        self.documents += len(operations)
        self.bytes += len(b"".join(operation.lines for operation in operations))
        await asyncio.sleep(0)
        return [None] * len(operations)


def _reading(payloads: Sequence[bytes], stream: _Stream) -> Reading:
    clock, store, guards = WallClock(), MemoryStore(), GuardSettings()
    cluster = SimulatedCluster(clock, [Node(host, "", addresses=(host,)) for host in HOSTS])
    patterns = load_patterns([shipped() / "patterns"])
    examples = sorted((shipped() / "examples" / "policies").glob("*.yaml"))
    policies = read_policies([document for file in examples for document in read_documents(file)])
    matcher, book = Matcher(patterns), PolicyBook(policies, cluster)
    enricher = Enricher(cluster, patterns.catalogue, EnrichSettings())
    recognition = Recognition(BootlessDecoder(DecodeSettings()), matcher, enricher, clock)
    recorder = Recorder(FanOut({"elasticsearch": stream}), store)
    intake = Intake(recognition, book, Incidents(guards), store, recorder, guards, clock)
    return Reading(_Topic(payloads), intake, clock)


def _ours(payloads: Sequence[bytes]) -> tuple[float, _Stream]:
    stream = _Stream()
    reading = _reading(payloads, stream)
    began = time.process_time()
    asyncio.run(reading.run())
    return time.process_time() - began, stream


def _plain(payloads: Sequence[bytes]) -> float:
    began = time.process_time()
    for number, payload in enumerate(payloads):
        found = _XID.search(payload)
        assert found
        line = json.loads(payload)
        orjson.dumps({"create": {"_id": f"kernel-logs-0-{number}"}})
        orjson.dumps(
            {
                "@timestamp": line["@timestamp"],
                "host": {"name": line["host"]},
                "message": line["msg"],
                "gpu": {"pci": found[1].decode(), "xid": int(found[2])},
            }
        )
    return time.process_time() - began


def main(count: int = _FAULTS) -> None:
    """Print what a fault takes, and a record, the best of some runs."""
    payloads = list(messages(count, datetime.now(UTC), faults_every=1))
    spare_the_collector()
    plain = min(_plain(payloads) for _ in range(_ROUNDS))
    took, stream = min((_ours(payloads) for _ in range(_ROUNDS)), key=lambda run: run[0])
    assert stream.documents > count
    print(f"{count:,} faults, {stream.documents:,} records of {stream.bytes // stream.documents:,} bytes\n")
    print(f"{'':<20}{'µs a fault':>12}{'ratio':>8}{'µs a record':>13}")
    print(f"{'the plain loop':<20}{plain / count * 1e6:>12.1f}{1:>8.1f}{plain / count * 1e6:>13.1f}")
    print(f"{'gpu-rescue':<20}{took / count * 1e6:>12.1f}{took / plain:>8.1f}{took / stream.documents * 1e6:>13.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
