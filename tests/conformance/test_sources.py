"""What every source promises, held against each of them. A new source adds one `Stream` and one row."""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.events.source import EventsSource
from pipeline.sources.file import FileSource, FileSourceConfig
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.source import KafkaSource
from pipeline.sources.kmsg import KmsgSource, KmsgSourceConfig
from pipeline.sources.port import Delivery, Source, Wanted
from pipeline.sources.stdin import StdinSource, StdinSourceConfig
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import apart, end_of, produce
from tests.services.kafka.topics import create_topic
from tests.services.kube.events import agent_event
from tests.services.kube.plane import ControlPlane

MESSAGES = [b"noise 1", b"NVRM: 1", b"noise 2", b"noise 3", b"NVRM: 2", b"NVRM: 2", b"NVRM: \xff\0 3", b"noise 4"]


class Stream(Protocol):
    """An outside stream that a test writes to, and sources that read it to where it ends, or would wait."""

    def write(self, messages: Sequence[bytes]) -> None: ...

    def source(self, wanted: Wanted) -> Source: ...


class CaughtUpError(Exception):
    """Raised where a source that goes on would wait."""


class FileStream:
    def __init__(self, folder: Path, follow: bool) -> None:
        self.config = FileSourceConfig(path=folder / "kern.log", follow=follow, positions=folder / "positions")

    def write(self, messages: Sequence[bytes]) -> None:
        with self.config.path.open("ab") as file:
            file.writelines(message + b"\n" for message in messages)

    def source(self, wanted: Wanted) -> Source:
        async def stop_instead_of_waiting(_: float) -> None:
            raise CaughtUpError

        return FileSource(self.config, wanted, pause=stop_instead_of_waiting)


class StdinStream:
    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()

    def write(self, messages: Sequence[bytes]) -> None:
        os.write(self.write_end, b"".join(message + b"\n" for message in messages))

    def source(self, wanted: Wanted) -> Source:
        os.close(self.write_end)
        return StdinSource(StdinSourceConfig(), wanted, self.read_end)


class KmsgStream:
    """A kernel log that ends; a record's text is the message."""

    def __init__(self, folder: Path) -> None:
        self.config = KmsgSourceConfig(positions=folder / "positions")
        self.records: list[bytes] = []

    def write(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.records.append(b"4,%d,1000,-;%s\n" % (len(self.records), message))

    def source(self, wanted: Wanted) -> Source:
        return KmsgSource(self.config, wanted, device=EndingDevice([*self.records, b""]))


class EndingDevice:
    def __init__(self, records: list[bytes]) -> None:
        self.records = records

    def read(self) -> bytes:
        return self.records.pop(0)

    async def ready(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        self.records = []


class KafkaStream:
    """A topic of a real broker."""

    def __init__(self, broker: Kafka, folder: Path) -> None:
        self.address = broker.address
        self.topic = f"conformance-{uuid.uuid4().hex[:12]}"
        self.config = KafkaSourceConfig(bootstrap_servers=[self.address], topics=[self.topic], group_id=self.topic)
        apart(create_topic(self.address, self.topic))

    def write(self, messages: Sequence[bytes]) -> None:
        apart(produce(self.address, self.topic, messages))

    def source(self, wanted: Wanted) -> Source:
        return EndingKafkaSource(self.config, wanted, apart(end_of(self.address, self.topic)))


class EndingKafkaSource(KafkaSource):
    """A topic of which no more is read than was there at the beginning."""

    def __init__(self, config: KafkaSourceConfig, wanted: Wanted, end: int) -> None:
        super().__init__(config, wanted, begin=lambda: None)
        self.end = end

    async def deliveries(self) -> AsyncIterator[Delivery]:
        stream = super().deliveries()
        while True:
            arriving = asyncio.ensure_future(anext(stream, None))
            while not arriving.done():
                await asyncio.wait({arriving}, timeout=0.1)
                if not arriving.done() and await self._at_the_end():
                    arriving.cancel()
                    await asyncio.wait({arriving})
                    raise CaughtUpError
            if (delivery := arriving.result()) is None:
                return
            yield delivery

    async def _at_the_end(self) -> bool:
        session = self._session
        if session is None or not len(session.partitions):
            return False
        (tp,) = session.partitions
        return bool(await session.consumer.position(tp) == self.end)


class EventsStream:
    """Events about a node on a real API server; their messages are not UTF-8, so each byte is a character."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.namespace = f"events-{uuid.uuid4().hex[:12]}"
        self.written = 0
        plane.kubectl("create", "namespace", self.namespace)

    def write(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.written += 1
            event = agent_event(self.namespace, f"e{self.written:03}", message.decode("latin-1"))
            self.plane.kubectl("create", "-f", "-", input=json.dumps(event))

    def source(self, wanted: Wanted) -> Source:
        config = EventsSourceConfig(type="events", namespace=self.namespace, kubeconfig=self.plane.kubeconfig)
        return EndingEventsSource(config, wanted)


class EndingEventsSource(EventsSource):
    """Events of which no more are read than there were at the beginning."""

    async def _wait(self) -> None:
        if all(reflector.synced for reflector in self._reflectors):
            raise CaughtUpError
        await self._arrivals.wait()


KEEPING: dict[str, Callable[[Path], Stream]] = {
    "file": lambda folder: FileStream(folder, follow=False),
    "followed file": lambda folder: FileStream(folder, follow=True),
    "kmsg": KmsgStream,
}
ALL: dict[str, Callable[[Path], Stream]] = {**KEEPING, "stdin": lambda _: StdinStream()}

every_source = pytest.mark.parametrize("opened", [*ALL, "kafka", "events"], indirect=True)
every_source_that_keeps_a_position = pytest.mark.parametrize("opened", [*KEEPING, "kafka"], indirect=True)


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Callable[[Path], Stream]:
    """What opens the stream of one kind; a broker is started for that which needs one alone."""
    if request.param == "kafka":
        return partial(KafkaStream, request.getfixturevalue("kafka"))
    if request.param == "events":
        return partial(EventsStream, request.getfixturevalue("kube"))
    return ALL[request.param]


def faults(message: bytes) -> bool:
    return b"NVRM" in message


def texts(deliveries: list[Delivery]) -> list[bytes]:
    return [_text(delivery.payload) for delivery in deliveries]


def _text(payload: bytes) -> bytes:
    if payload.startswith(b"{"):
        return str(json.loads(payload)["message"]).encode("latin-1")
    return payload.rsplit(b";", 1)[-1]


async def until_it_waits(source: Source) -> AsyncIterator[Delivery]:
    with suppress(CaughtUpError):
        async for delivery in source.deliveries():
            yield delivery


async def taken(source: Source) -> list[Delivery]:
    """Take all that is delivered before the source ends or would wait."""
    async with asyncio.timeout(30):
        return [delivery async for delivery in until_it_waits(source)]


@every_source
async def test_what_passes_the_cheap_test_is_delivered_in_order(
    opened: Callable[[Path], Stream], tmp_path: Path
) -> None:
    stream = opened(tmp_path)
    stream.write(MESSAGES)
    source = stream.source(faults)
    assert texts(await taken(source)) == [message for message in MESSAGES if faults(message)]
    await source.close()


@every_source
async def test_no_two_messages_have_one_position(opened: Callable[[Path], Stream], tmp_path: Path) -> None:
    stream = opened(tmp_path)
    stream.write(MESSAGES)
    source = stream.source(faults)
    positions = [delivery.position for delivery in await taken(source)]
    assert len(set(positions)) == len(positions) == 4
    await source.close()


@every_source
async def test_all_can_be_acknowledged_and_closed_twice(opened: Callable[[Path], Stream], tmp_path: Path) -> None:
    stream = opened(tmp_path)
    stream.write(MESSAGES)
    source = stream.source(faults)
    deliveries = await taken(source)
    for delivery in [*deliveries, *deliveries]:
        await delivery.ack()
    await source.close()
    await source.close()
    assert len(deliveries) == 4


@every_source_that_keeps_a_position
async def test_what_was_acknowledged_never_comes_again(opened: Callable[[Path], Stream], tmp_path: Path) -> None:
    stream = opened(tmp_path)
    stream.write(MESSAGES)
    source = stream.source(faults)
    for delivery in await taken(source):
        await delivery.ack()
    await source.close()
    stream.write([b"NVRM: new"])
    again = stream.source(faults)
    assert texts(await taken(again)) == [b"NVRM: new"]
    await again.close()


@every_source_that_keeps_a_position
@pytest.mark.parametrize("acknowledged", range(4))
async def test_what_was_not_acknowledged_comes_again_under_the_same_position(
    opened: Callable[[Path], Stream], acknowledged: int, tmp_path: Path
) -> None:
    stream = opened(tmp_path)
    stream.write(MESSAGES)
    source = stream.source(faults)
    before = await taken(source)
    for delivery in before[:acknowledged]:
        await delivery.ack()
    await source.close()
    again = stream.source(faults)
    after = await taken(again)
    assert [(d.position, d.payload) for d in after] == [(d.position, d.payload) for d in before[acknowledged:]]
    await again.close()


@every_source_that_keeps_a_position
async def test_a_reader_that_stops_in_between_misses_nothing(opened: Callable[[Path], Stream], tmp_path: Path) -> None:
    """What was read ahead but never handed out counts as not acknowledged."""
    stream = opened(tmp_path)
    stream.write(MESSAGES)
    source = stream.source(faults)
    await (await anext(source.deliveries())).ack()
    await source.close()
    again = stream.source(faults)
    assert texts(await taken(again)) == [b"NVRM: 2", b"NVRM: 2", b"NVRM: \xff\0 3"]
    await again.close()
