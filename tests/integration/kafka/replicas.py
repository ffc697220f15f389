"""The whole intake over a Kafka source, as each replica of the pipeline has it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.deadletters import Keep, kept_nowhere
from pipeline.execute.reading import Reading
from pipeline.match.matcher import Matcher
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.source import KafkaSource
from tests.fakes.faults import NOON
from tests.fakes.intake import OFF_THE_BUS, PATTERNS, Inside
from tests.fakes.sinks import Gate
from tests.fakes.world import World, gpu_node
from tests.integration.kafka.reading import LIMIT

NODES = [f"gpu-{number}" for number in range(4)]


def at(node: str, text: str = OFF_THE_BUS) -> bytes:
    return f"<3>1 {NOON.isoformat()} {node} kernel - - - {text}".encode()


class Replica:
    """A pipeline's intake over a topic, and a sink that takes nothing until it is opened."""

    def __init__(self, settings: KafkaSourceConfig, keep: Keep) -> None:
        self.sink = Gate()
        self.inside = Inside(world=World([gpu_node(node) for node in NODES], sink=self.sink), keep=keep)
        matcher = Matcher(PATTERNS)
        self.source = KafkaSource(settings, matcher.wanted, matcher.searches, begin=lambda: None)
        self.reading = Reading(self.source, self.inside.intake, self.inside.world.clock)
        self.task = asyncio.create_task(self.reading.run())

    @property
    def decided(self) -> set[str]:
        """The nodes of which a rescue is saved."""
        return {rescue.node for rescue in self.inside.world.store.all()}

    @property
    def owns(self) -> int:
        session = self.source._session
        return len(session.partitions) if session else 0


@asynccontextmanager
async def replica(settings: KafkaSourceConfig, keep: Keep = kept_nowhere) -> AsyncIterator[Replica]:
    running = Replica(settings, keep)
    try:
        yield running
    finally:
        # As at the end of a run: what is in hand is recorded before the group is left.
        running.task.cancel()
        await asyncio.wait({running.task}, timeout=LIMIT)
        running.sink.opened.set()
        async with asyncio.timeout(LIMIT):
            await running.reading.settle()
            await running.source.close()
