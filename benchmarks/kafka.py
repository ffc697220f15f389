"""What a message costs on its way in from a real Kafka: CPU µs, for stock aiokafka, confluent-kafka and the source.

Run with `python -m benchmarks.kafka [MESSAGES]`. All read the same topic (lz4, kernel lines in a shipper's JSON, 1 %
faults), each in a process of its own, one after the other. The first two look for one literal in each value; the source
does all that it does in a pipeline: it joins its group, then the patterns' cheap test, positions, acknowledgements,
commits. What aiokafka's and confluent-kafka's users have to do for commits is not in their figures. The best of three.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer, Producer

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
_PARTITIONS = 4
_REPEAT = 3
_FAULTS_EVERY = 100
_TOPIC = "kernel-logs"
_NEEDLE = b"NVRM: Xid"
_FAULT = "NVRM: Xid (PCI:0000:3b:00): 31, pid={number}, name=python3, Ch 00000008, intr 00000000. MMU Fault: ENGINE"
_NOISE = (
    "mlx5_core 0000:{small:02x}:00.0 ens{small}f0np0: Link up, and some more text as long as a kernel line usually is",
    'audit: type=1400 audit(17955{number:05}.{small:03}:{number}): apparmor="ALLOWED" operation="open" class="file" '
    'profile="/usr/sbin/containerd" name="/proc/{number}/mountinfo" pid={number} comm="containerd"',
    "docker0: port {small}(veth{number:07x}) entered forwarding state",
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=cri-containerd-{number:012x}.scope,mems_allowed=0-1,"
    "oom_memcg=/kubepods.slice/pod{number:08x},task=python3,pid={number},uid=1000",
    "nvme nvme{small}: I/O {number} (I/O Cmd) QID {small} timeout, aborting request on controller path",
    "EDAC MC{small}: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#0_DIMM#0 (channel:0 slot:0 page:0x{number:x})",
)


def _messages(count: int) -> Iterator[bytes]:
    """Yield kernel lines as fluent-bit ships them, always the same ones; the last of each partition is a fault."""
    chance = random.Random(7)
    for number in range(count):
        fault = number % _FAULTS_EVERY == 0 or number >= count - _PARTITIONS
        text = _FAULT if fault else chance.choice(_NOISE)
        host = f"gpu-node-{chance.randrange(2000):04}"
        record = {
            "@timestamp": f"2026-11-24T08:{number // 60_000 % 60:02}:{number // 1000 % 60:02}.{number % 1000:03}000Z",
            "host": host,
            "cluster": "cn-beijing-6-h800-a",
            "priority": chance.choice((3, 4, 5, 6)),
            "sequence": number,
            "boot_id": f"{_boot_id(host):032x}",
            "agent": "fluent-bit/3.2",
            "msg": text.format(number=chance.randrange(100_000), small=chance.randrange(64)),
        }
        yield json.dumps(record, separators=(",", ":")).encode()


def _boot_id(host: str) -> int:
    return random.Random(host).getrandbits(127)


def _faults(count: int) -> int:
    return sum(1 for number in range(count) if number % _FAULTS_EVERY == 0 or number >= count - _PARTITIONS)


def _fill(address: str, count: int) -> int:
    """Write the topic and return the bytes of its messages."""
    settings = {"bootstrap.servers": address, "compression.type": "lz4", "linger.ms": 200, "batch.size": 900_000}
    producer = Producer({**settings, "batch.num.messages": 10_000, "queue.buffering.max.messages": 200_000})
    size = 0
    for number, message in enumerate(_messages(count)):
        size += len(message)
        while True:
            try:
                producer.produce(_TOPIC, message, partition=number % _PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(120) == 0
    return size


async def _aiokafka(address: str, faults: int) -> float:
    consumer = AIOKafkaConsumer(
        _TOPIC, bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    found, began = 0, time.process_time()
    while found < faults:
        for messages in (await consumer.getmany(timeout_ms=1000)).values():
            found += sum(_NEEDLE in message.value for message in messages)
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
            asyncio.run(create_topic(broker.address, _TOPIC, _PARTITIONS))
            size = _fill(broker.address, count)
            print(f"{count:,} messages of {size / count:.0f} bytes, lz4, {_PARTITIONS} partitions, 1 % faults\n")
            print(f"{'':<24}{'CPU µs a message':>18}{'messages/s':>14}{'of aiokafka':>13}")
            stock = None
            for name in _READERS:
                took = min(_apart(name, broker.address, _faults(count)) for _ in range(_REPEAT))
                stock = stock or took
                print(f"{name:<24}{took / count * 1e6:>18.2f}{count / took:>14,.0f}{took / stock:>13.2f}")
        finally:
            broker.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        print(_READERS[sys.argv[2]](sys.argv[3], int(sys.argv[4])))
    else:
        main(*map(int, sys.argv[1:]))
