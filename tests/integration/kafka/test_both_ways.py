"""Over random topics of a real broker, the fast way finds what the public interface finds, at the same positions."""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from aiokafka import AIOKafkaProducer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.fault import Fault
from pipeline.settings import shipped
from pipeline.sources.kafka.source import KafkaSource
from pipeline.sources.port import Delivery
from tests.integration.kafka.reading import Reader, at_the_end, config, going
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import committed, end_of
from tests.services.kafka.topics import create_topic

FAULT = b"NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus."
BYTES = b'{"MESSAGE":[78,86,82,77,58,32,88,105,100,32,40,80,67,73,58,48,48,48,48,58,51,98,58,48,48,41,58,32,55,57]}'
PATTERNS = load_patterns([shipped() / "patterns"])
RECEIVED = datetime(2026, 11, 24, tzinfo=UTC)

values = st.one_of(
    st.sampled_from(
        [
            None,
            b"",
            FAULT,
            FAULT.lower(),
            b"NV\0RM" + FAULT[4:],
            FAULT.replace(b"M:", b"\0M:"),
            b"\0".join(FAULT[i : i + 1] for i in range(len(FAULT))) + b"\0",
            FAULT.replace(b"RM", b"\x1b[31mRM"),
            FAULT.replace(b"N", b"\\u004e"),
            b'{"msg":"' + FAULT.replace(b"N", b"\\u004e") + b'"}',
            BYTES,
            b"nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 12028, Non-fatal, Link 32",
            b"pci 0000:3b:00.0: \xff GPU has Fallen Off The Bus",
            b"[1,2,3] noise \0 noise",
        ]
    ),
    st.binary(max_size=40),
    st.integers(1, 9000).map(lambda size: b"." * size),
    st.integers(1, 9000).map(lambda size: b"." * size + FAULT),
)


@dataclass(frozen=True)
class Message:
    value: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Batch:
    codec: str | None
    ends: str
    messages: list[Message]


messages = st.builds(
    Message,
    values,
    st.sampled_from([None, b"", b"gpu-1", b"NVRM", b"\0" * 40]),
    st.sampled_from([(), (("agent", b"NVRM\0"),), tuple((f"h{n}", b"") for n in range(30))]),
)
batches = st.builds(
    Batch,
    st.sampled_from([None, "gzip", "snappy", "lz4", "zstd"]),
    st.sampled_from(["plainly", "plainly", "committed", "aborted"]),
    st.lists(messages, min_size=1, max_size=40),
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(written=st.lists(batches, min_size=1, max_size=5), acknowledged=st.integers(0, 20))
def test_both_ways_give_the_same_faults_at_the_same_positions(
    kafka: Kafka, written: list[Batch], acknowledged: int
) -> None:
    found = asyncio.run(_both(kafka.address, written, acknowledged))
    assert found["fast"] == found["slow"]


async def _both(address: str, written: list[Batch], acknowledged: int) -> dict[str, object]:
    topic = f"random-{uuid.uuid4().hex[:12]}"
    await create_topic(address, topic)
    for batch in written:
        await _write(address, topic, batch)
    return {way: await _read(address, topic, way, acknowledged) for way in ("fast", "slow")}


async def _write(address: str, topic: str, batch: Batch) -> None:
    identity = uuid.uuid4().hex if batch.ends != "plainly" else None
    producer = AIOKafkaProducer(
        bootstrap_servers=address, compression_type=batch.codec, transactional_id=identity, linger_ms=20
    )
    await producer.start()
    try:
        if identity:
            await producer.begin_transaction()
        sent = [
            # aiokafka sends no message that has neither.
            await producer.send(
                topic, message.value, b"" if message.value is None else message.key, headers=list(message.headers)
            )
            for message in batch.messages
        ]
        await asyncio.gather(*sent)
        if identity:
            await (producer.commit_transaction() if batch.ends == "committed" else producer.abort_transaction())
    finally:
        await producer.stop()


async def _read(address: str, topic: str, way: str, acknowledged: int) -> object:
    """Return what a reader finds that acknowledges so many faults only, what a second one finds, and where it ends."""
    group, end, passes = f"{topic}-{way}", await end_of(address, topic), []
    with going(way), structlog.testing.capture_logs():
        for limit in (acknowledged, 1 << 30):
            matcher = Matcher(PATTERNS)
            source = KafkaSource(
                config(address, topic, group_id=group), matcher.wanted, matcher.searches, begin=lambda: None
            )
            # Noise is acknowledged as long as every fault before it is: the two ways may differ in what is noise.
            reader = Reader(source, Allowance(limit))
            await at_the_end(reader, end)
            await reader.close()
            told = [(d.position, d.payload, d.key, d.time, faults(d)) for d in reader.deliveries]
            passes.append([each for each in told if each[-1]])
    return passes, await committed(address, group, topic)


class Allowance:
    """So many faults are acknowledged, and noise."""

    def __init__(self, faults: int) -> None:
        self.left = faults

    def __call__(self, delivery: Delivery) -> bool:
        if faults(delivery):
            self.left -= 1
        return self.left >= 0


def faults(delivery: Delivery) -> list[tuple[str, int, str | None]]:
    matcher, decoder = Matcher(PATTERNS), Decoder(DecodeSettings())
    lines = decoder.decode(delivery.payload, delivery.position, received=RECEIVED).lines
    return [(found.kind, found.code, found.pci) for found in map(matcher.match, lines) if isinstance(found, Fault)]
