"""From a real Kafka into a real Elasticsearch: `gpu-rescue run` as deployed, beside a team's own plain loop.

Run with `python -m benchmarks.endtoend [MESSAGES]`. All read the same messages, each time a new topic and group, and
begin at the same point: they have their partitions, and wait for the one message before all others, in a transaction
that is then committed. Each ends when the last fault of each partition is safe in Elasticsearch. CPU is that of the
whole process, of both replicas together.

The work is not the same. The loop (benchmarks/stock.py) searches each message for one form of the Xid and makes a
document of each fault. gpu-rescue knows every form, finds the node, joins a node's faults to incidents, decides, and
writes of each incident what it saw and why it did nothing (31 is an application's fault), then its count.
"""

import os
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from asyncio import run as run_to_end
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient
from elasticsearch import Elasticsearch as Client

from benchmarks.topic import HOSTS, LAST, PARTITIONS, faults, fill, messages, open_producer
from pipeline.settings import shipped
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.errors import MissingError
from tests.services.folders import temporary_folder
from tests.services.kafka.broker import Kafka
from tests.services.kafka.topics import create_topic

_MESSAGES, _ROUNDS, _LIMIT = 300_000, 3, 120
_CONFIG = shipped() / "examples" / "kafka-elasticsearch.yaml"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run reads and writes."""

    kafka: str
    topic: str
    elasticsearch: str
    index: str
    nodes: Path


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a run took, in seconds, and how many documents it left."""

    cpu: float
    wall: float
    documents: int


def _stock(place: _Place) -> list[str]:
    return ["benchmarks.stock", place.kafka, place.topic, place.topic, place.elasticsearch, place.index]


def _ours(place: _Place) -> list[str]:
    options = {
        "sources.0.bootstrap_servers": f"[{place.kafka}]",
        "sources.0.topics": f"[{place.topic}]",
        "sources.0.group_id": place.topic,
        "cluster.nodes": str(place.nodes),
        "sinks.0.hosts": f"['{place.elasticsearch}']",
        "sinks.0.data_stream": place.index,
    }
    sets = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
    return ["pipeline.cli", "run", "-c", str(_CONFIG), *sets]


@contextmanager
def _running(words: Sequence[str], folder: Path, done: "queue.Queue[str]") -> Iterator[subprocess.Popen[str]]:
    """Run a module in a process of its own, and tell the last hosts that it prints."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
    )
    reader = threading.Thread(target=_tell, args=(process, done))
    reader.start()
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_LIMIT)
        finally:
            process.kill()
            reader.join()


def _tell(process: "subprocess.Popen[str]", done: "queue.Queue[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        for host in LAST:
            if host in line:
                done.put(host)


def _cpu(process: "subprocess.Popen[str]") -> float:
    """Return the seconds of CPU that all threads of a process have had."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _await_members(address: str, group: str, count: int) -> None:
    """Return when so many members share the partitions."""
    admin, deadline = AdminClient({"bootstrap.servers": address}), time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        # The broker looks for its groups for a moment when the first of them comes.
        with suppress(KafkaException):
            found = admin.describe_consumer_groups([group])[group].result()
            owned = [len(member.assignment.topic_partitions) for member in found.members]
            if found.state == ConsumerGroupState.STABLE and owned == [PARTITIONS // count] * count:
                return
        time.sleep(0.2)
    raise TimeoutError(f"{group} has not {count} members that share its partitions")


def _measure(place: _Place, commands: Sequence[Sequence[str]], lines: Sequence[bytes], folder: Path) -> _Cost:
    run_to_end(create_topic(place.kafka, place.topic, PARTITIONS))
    gate = open_producer(place.kafka, transactional_id=place.topic, transaction_timeout_ms=300_000)
    gate.init_transactions(_LIMIT)
    gate.begin_transaction()
    fill(gate, place.topic, [b"first"] * PARTITIONS)
    fill(open_producer(place.kafka), place.topic, lines)
    done: queue.Queue[str] = queue.Queue()
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_running(words, folder / f"{place.topic}-{number}", done))
            for number, words in enumerate(commands)
        ]
        _await_members(place.kafka, place.topic, len(commands))
        used, began = sum(map(_cpu, processes)), time.perf_counter()
        gate.commit_transaction(_LIMIT)
        left = set(LAST)
        while left:
            left.discard(done.get(timeout=_LIMIT))
        wall, cpu = time.perf_counter() - began, sum(map(_cpu, processes)) - used
    assert not list(folder.rglob("*refused*")) and not list(folder.rglob("dead*"))
    with Client(place.elasticsearch) as client:
        client.indices.refresh(index=place.index)
        return _Cost(cpu, wall, client.count(index=place.index)["count"])


def _install(kafka: str, elasticsearch: str, nodes: Path) -> None:
    words = _ours(_Place(kafka, "any", elasticsearch, "logs-gpu_rescue.records-any", nodes))
    words[1:2] = ["install", "elasticsearch"]
    subprocess.run([sys.executable, "-m", *words], check=True, stdout=subprocess.DEVNULL, timeout=_LIMIT)


def _rounds(kafka: str, elasticsearch: str, count: int, folder: Path) -> dict[str, list[_Cost]]:
    nodes = folder / "nodes.yaml"
    nodes.write_text(yaml.safe_dump({"nodes": [{"name": host, "addresses": [host]} for host in HOSTS]}))
    _install(kafka, elasticsearch, nodes)
    lines = list(messages(count, datetime.now(UTC)))
    found: dict[str, list[_Cost]] = {}
    # The first round warms the servers up and counts for nothing.
    for turn in range(_ROUNDS + 1):
        for number, (name, command, replicas) in enumerate(
            (("the plain loop", _stock, 1), ("gpu-rescue", _ours, 1), ("gpu-rescue, two replicas", _ours, 2))
        ):
            index = f"logs-gpu_rescue.records-{turn}-{number}" if command is _ours else f"faults-{turn}-{number}"
            place = _Place(kafka, f"kernel-logs-{turn}-{number}", elasticsearch, index, nodes)
            cost = _measure(place, [command(place)] * replicas, lines, folder)
            found.setdefault(name, []).append(cost)
    return {name: costs[1:] for name, costs in found.items()}


def _print(count: int, rounds: dict[str, list[_Cost]]) -> None:
    print(
        f"{count:,} messages, {faults(count):,} of them faults, lz4, {PARTITIONS} partitions, {os.cpu_count()} cores\n"
    )
    print(f"{'':<28}{'CPU µs a message':>18}{'ratio':>8}{'messages/s':>14}{'ratio':>8}{'documents':>12}")
    base = None
    for name, costs in rounds.items():
        cost = _Cost(
            statistics.median(cost.cpu for cost in costs),
            statistics.median(cost.wall for cost in costs),
            round(statistics.median(cost.documents for cost in costs)),
        )
        base = base or cost
        print(
            f"{name:<28}{cost.cpu / count * 1e6:>18.2f}{base.cpu / cost.cpu:>8.2f}"
            f"{count / cost.wall:>14,.0f}{base.wall / cost.wall:>8.2f}{cost.documents:>12,}"
        )


def main(count: int = _MESSAGES) -> None:
    """Print a row for the plain loop, one for ours, and one for two replicas of ours."""
    try:
        with (
            temporary_folder("kafka") as for_kafka,
            temporary_folder("elasticsearch") as for_elasticsearch,
            tempfile.TemporaryDirectory() as own,
        ):
            broker, node = Kafka(for_kafka), Elasticsearch(for_elasticsearch)
            try:
                broker.start()
                node.start()
                rounds = _rounds(broker.address, node.url, count, Path(own))
            finally:
                node.stop()
                broker.stop()
    except MissingError as missing:
        print(f"left out: {missing}")
        return
    _print(count, rounds)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
