"""The shipped configuration in a real rsyslog: what the kernel says is on a real Kafka, as our decoder reads it."""

import asyncio
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from tests.services.fixtures import running
from tests.services.kafka.broker import Kafka
from tests.services.rsyslog.shipper import Rsyslog, shipped

NODE = "gpu-h100-01"
LINE = '[ 4711.250000] NVRM: Xid (PCI:0000:03:00): 13, pid=412, name=a "b" \\ é, Graphics Exception'
LIMIT = 60


async def arrived(kafka: Kafka, topic: str, count: int) -> list[ConsumerRecord[bytes, bytes]]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.address, auto_offset_reset="earliest")
    try:
        async with asyncio.timeout(LIMIT):
            await consumer.start()
            return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


async def test_a_kernel_line_arrives_as_the_kernel_wrote_it_with_its_node_and_its_time(
    kafka: Kafka, topic: str
) -> None:
    before = datetime.now(UTC)
    with running("rsyslog", lambda folder: Rsyslog(folder, shipped(kafka.address, topic), NODE)) as rsyslog:
        rsyslog.say(LINE)
        _, record = await arrived(kafka, topic, 2)
    assert record.value is not None and record.key is not None
    (line,) = Decoder(DecodeSettings()).decode(record.value, "0", received=datetime.now(UTC)).lines
    assert line.text == LINE.partition("] ")[2]
    assert line.kernel_time == "4711.250000"
    assert line.from_kernel is True
    assert line.node == record.key.decode() == NODE
    # rsyslog writes a time to the second, of when it read the line.
    assert line.time is not None
    assert before - timedelta(seconds=1) <= line.time <= datetime.now(UTC)


async def test_what_the_kernel_said_while_rsyslog_was_down_arrives_after_its_restart_and_nothing_arrives_twice(
    kafka: Kafka, topic: str
) -> None:
    with running("rsyslog", lambda folder: Rsyslog(folder, shipped(kafka.address, topic), NODE)) as rsyslog:
        rsyslog.say("first")
        await arrived(kafka, topic, 2)
        await asyncio.to_thread(rsyslog.stop)
        rsyslog.say("second")
        await asyncio.to_thread(rsyslog.start)
        rsyslog.say("third")
        found = await arrived(kafka, topic, 4)
    lines = [Decoder(DecodeSettings()).decode(one.value or b"", "0", received=datetime.now(UTC)) for one in found]
    assert [line.text for decoded in lines[1:] for line in decoded.lines] == ["first", "second", "third"]
