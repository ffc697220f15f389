"""What a message costs on its way in from a real Kafka: CPU µs, for stock aiokafka, confluent-kafka and the source.

Run with `python -m benchmarks.kafka [MESSAGES]`. All read the same topic (lz4, kernel lines in a shipper's JSON, 1 %
faults), each in a process of its own, one after the other. The first two look for one literal in each value; the source
does all that it does in a pipeline: it joins its group, then the patterns' cheap test, positions, acknowledgements,
commits. What aiokafka's and confluent-kafka's users have to do for commits is not in their figures. The best of three.
"""

import asyncio
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer

from benchmarks.topic import PARTITIONS, faults, fill, messages, open_producer
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.settings import shipped
from pipeline.sources.kafka.fast import check
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.source import KafkaSource
from tests.services.errors import MissingError
from tests.services.folders import temporary_folder
from tests.services.kafka.broker import Kafka
from tests.services.kafka.topics import create_topic

_MESSAGES = 1_000_000
_REPEAT = 3
_TOPIC = "kernel-logs"
_NEEDLE = b"NVRM: Xid"


async def _aiokafka(address: str, faults: int) -> float:
    consumer = AIOKafkaConsumer(
        _TOPIC, bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    found, began = 0, time.process_time()
    while found < faults:
        for fetched in (await consumer.getmany(timeout_ms=1000)).values():
            found += sum(_NEEDLE in message.value for message in fetched)
    took = time.process_time() - began
    await consumer.stop()
    return took


def _confluent(address: str, faults: int) -> float:
    consumer = Consumer({"bootstrap.servers": address, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe([_TOPIC])
    found, began = 0, time.process_time()
    while found < faults:
        found += sum(_NEEDLE in (message.value() or b"") for message in consumer.consume(1000, 1.0))
    took = time.process_time() - began
    consumer.close()
    return took


async def _ours(address: str, faults: int) -> float:
    matcher = Matcher(load_patterns([shipped() / "patterns"]))
    config = KafkaSourceConfig(bootstrap_servers=[address], topics=[_TOPIC], group_id=uuid.uuid4().hex)
    source = KafkaSource(config, matcher.wanted, matcher.searches)
    check()
    found, began = 0, time.process_time()
    async for delivery in source.deliveries():
        found += 1
        await delivery.ack()
        if found == faults:
            break
    took = time.process_time() - began
    await source.close()
    return took


_READERS: dict[str, Callable[[str, int], float]] = {
    "aiokafka, getmany": lambda address, faults: asyncio.run(_aiokafka(address, faults)),
    "confluent-kafka": _confluent,
    "gpu-rescue": lambda address, faults: asyncio.run(_ours(address, faults)),
}


def _apart(name: str, address: str, faults: int) -> float:
    """Return the seconds of CPU that a reader takes, all its threads, in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.kafka", "read", name, address, str(faults)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1])
    return float(done.stdout.splitlines()[-1])


def main(count: int = _MESSAGES) -> None:
    """Print a row for each reader."""
    with temporary_folder("kafka") as folder:
        broker = Kafka(folder)
        try:
            broker.start()
        except MissingError as missing:
            print(f"left out: {missing}")
            return
        try:
            asyncio.run(create_topic(broker.address, _TOPIC, PARTITIONS))
            size = fill(open_producer(broker.address), _TOPIC, messages(count))
            print(f"{count:,} messages of {size / count:.0f} bytes, lz4, {PARTITIONS} partitions, 1 % faults\n")
            print(f"{'':<24}{'CPU µs a message':>18}{'messages/s':>14}{'of aiokafka':>13}")
            stock = None
            for name in _READERS:
                took = min(_apart(name, broker.address, faults(count)) for _ in range(_REPEAT))
                stock = stock or took
                print(f"{name:<24}{took / count * 1e6:>18.2f}{count / took:>14,.0f}{took / stock:>13.2f}")
        finally:
            broker.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        print(_READERS[sys.argv[2]](sys.argv[3], int(sys.argv[4])))
    else:
        main(*map(int, sys.argv[1:]))
