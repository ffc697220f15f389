"""Kernel lines as a shipper puts them on Kafka (fluent-bit's JSON, lz4), 1 % of them faults."""

import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

from confluent_kafka import Producer

PARTITIONS = 4
LAST = [f"last-{number}" for number in range(PARTITIONS)]
"""The hosts whose one line, a fault, is the last of each partition: whoever has recorded all four has read it all."""
HOSTS = [*(f"gpu-node-{number:04}" for number in range(2000)), *LAST]
"""All hosts."""

_FAULTS_EVERY = 100
_BETWEEN = timedelta(microseconds=10)
_LONG_AGO = datetime(2026, 11, 24, 8, tzinfo=UTC)
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


def messages(count: int, began: datetime = _LONG_AGO, faults_every: int = _FAULTS_EVERY) -> Iterator[bytes]:
    """Yield lines of 2,000 nodes, always the same ones but for their time, which goes on from *began*."""
    chance = random.Random(7)
    for number in range(count):
        fault = number % faults_every == 0 or number >= count - PARTITIONS
        text = _FAULT if fault else chance.choice(_NOISE)
        host = HOSTS[chance.randrange(len(HOSTS) - PARTITIONS)]
        if number >= count - PARTITIONS:
            host = LAST[number % PARTITIONS]
        record = {
            "@timestamp": (began + number * _BETWEEN).isoformat(timespec="microseconds"),
            "host": host,
            "cluster": "cn-beijing-6-h800-a",
            "priority": chance.choice((3, 4, 5, 6)),
            "sequence": number,
            "boot_id": f"{_boot_id(host):032x}",
            "agent": "fluent-bit/3.2",
            "msg": text.format(number=chance.randrange(100_000), small=chance.randrange(64)),
        }
        yield json.dumps(record, separators=(",", ":")).encode()


@cache
def _boot_id(host: str) -> int:
    return random.Random(host).getrandbits(127)


def faults(count: int) -> int:
    """Return how many of so many messages are faults."""
    return sum(1 for number in range(count) if number % _FAULTS_EVERY == 0 or number >= count - PARTITIONS)


def open_producer(address: str, **settings: str | int) -> Producer:
    """Open a producer that batches as a shipper with much to send; *settings* are its own, with _ for each dot."""
    batching = {
        "log_level": 2,
        "compression.type": "lz4",
        "linger.ms": 200,
        "batch.size": 900_000,
        "batch.num.messages": 10_000,
    }
    own = {key.replace("_", "."): value for key, value in settings.items()}
    return Producer({"bootstrap.servers": address, "queue.buffering.max.messages": 200_000, **batching, **own})


def fill(producer: Producer, topic: str, lines: Iterable[bytes]) -> int:
    """Write the lines, to the partitions in turn, and return how many bytes they have."""
    size = 0
    for number, line in enumerate(lines):
        size += len(line)
        while True:
            try:
                producer.produce(topic, line, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(120) == 0
    return size
