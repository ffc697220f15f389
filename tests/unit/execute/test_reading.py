"""Reading a live source: no line waits for the record of another, and none is given back before its own is safe."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from pipeline.execute.reading import MOST_IN_HAND, Reading
from pipeline.sources.port import Delivery
from sinks.base import Record
from tests.fakes.faults import NOON
from tests.fakes.intake import APPLICATION, OFF_THE_BUS, Inside
from tests.fakes.loops import live_loop
from tests.fakes.sinks import Gate, WatchedSink
from tests.fakes.world import World, gpu_node
from tests.unit.execute.test_loops import ListSource

MINUTE = timedelta(minutes=1)


def _at(moment: datetime, text: str, node: str = "gpu-1") -> str:
    return f"<3>1 {moment.isoformat()} {node} kernel - - - {text}"


class Endless(ListSource):
    """Goes on delivering."""

    def __init__(self) -> None:
        super().__init__([_at(NOON + timedelta(milliseconds=n), APPLICATION) for n in range(3 * MOST_IN_HAND)])


def _inside() -> tuple[Inside, Gate]:
    sink = Gate()
    return Inside(world=World([gpu_node("gpu-1"), gpu_node("gpu-2")], sink=sink)), sink


async def _quiet() -> None:
    """Return when whatever can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_fault_does_not_grow_stale_while_another_waits_for_its_record() -> None:
    inside, sink = _inside()
    source = ListSource([_at(NOON, OFF_THE_BUS), _at(NOON + MINUTE, OFF_THE_BUS, "gpu-2")])
    running = asyncio.create_task(Reading(source, inside.intake, inside.world.clock).run())
    await _quiet()
    inside.world.clock.move_to(NOON + 12 * MINUTE)
    assert source.acked == []
    sink.opened.set()
    await running
    assert [rescue.node for rescue in inside.world.store.all()] == ["gpu-1", "gpu-2"]
    assert source.acked == [0, 1]


async def test_nothing_is_acknowledged_before_its_record_is_safe_nor_before_what_came_earlier() -> None:
    inside, sink = _inside()
    source = ListSource([_at(NOON, OFF_THE_BUS), _at(NOON, "NVRM: nothing to record"), _at(NOON, APPLICATION, "gpu-2")])
    running = asyncio.create_task(Reading(source, inside.intake, inside.world.clock).run())
    await _quiet()
    assert (source.read, source.acked) == (3, [])
    sink.opened.set()
    await running
    assert source.acked == [0, 1, 2]
    assert inside.told("action") == ["fault-detected", "rescue-planned", "fault-detected", "fault-skipped"]


class Counting(Gate):
    """Counts the writes that are under way."""

    writing = 0

    async def write(self, records: Sequence[Record]) -> None:
        self.writing += 1
        await super().write(records)


async def test_no_write_waits_for_the_answer_to_an_earlier_one() -> None:
    sink, nodes = Counting(), [f"gpu-{number}" for number in range(5)]
    inside = Inside(world=World([gpu_node(node) for node in nodes], sink=sink))
    source = ListSource([_at(NOON, APPLICATION, node) for node in nodes])
    running = asyncio.create_task(Reading(source, inside.intake, inside.world.clock).run())
    await _quiet()
    assert (sink.writing, source.acked) == (5, [])
    sink.opened.set()
    await running
    assert source.acked == [0, 1, 2, 3, 4]
    assert inside.told("action") == ["fault-detected", "fault-skipped"] * 5


async def test_what_is_broken_off_while_it_settles_is_written_no_more() -> None:
    inside, sink = _inside()
    source = ListSource([_at(NOON, APPLICATION), _at(NOON, APPLICATION, "gpu-2")], live=True)
    reading = Reading(source, inside.intake, inside.world.clock)
    running = asyncio.create_task(reading.run())
    await _quiet()
    running.cancel()
    await asyncio.wait({running})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await reading.settle()
    sink.opened.set()
    await _quiet()
    assert (source.acked, inside.told("action")) == ([], [])


async def test_a_long_outage_of_the_sinks_stops_the_reading() -> None:
    inside, sink = _inside()
    source = Endless()
    running = asyncio.create_task(Reading(source, inside.intake, inside.world.clock).run())
    await _quiet()
    # One is being recorded, as many wait as may, and the next one is at the door.
    assert source.read == MOST_IN_HAND + 2
    sink.opened.set()
    await running
    assert source.acked == list(range(3 * MOST_IN_HAND))


def _busy(inside: Inside, node: str) -> asyncio.Event:
    """Let what is saved of a node take until the event that is returned is set."""
    opened = asyncio.Event()
    inside.intake._lanes.begin(node, opened.wait)
    return opened


async def test_no_line_waits_for_what_is_saved_of_another_node_s() -> None:
    inside = Inside(world=World([gpu_node("gpu-1"), gpu_node("gpu-2")]))
    opened = _busy(inside, "gpu-1")
    source = ListSource([_at(NOON, OFF_THE_BUS), _at(NOON, OFF_THE_BUS, "gpu-2")])
    running = asyncio.create_task(Reading(source, inside.intake, inside.world.clock).run())
    await _quiet()
    assert ([rescue.node for rescue in inside.world.store.all()], source.acked) == (["gpu-2"], [])
    opened.set()
    await running
    assert {rescue.node for rescue in inside.world.store.all()} == {"gpu-1", "gpu-2"}
    assert source.acked == [0, 1]


async def test_lines_of_one_node_are_decided_one_after_the_other_in_the_order_of_the_stream() -> None:
    inside = Inside(world=World([gpu_node("gpu-1")]))
    opened = _busy(inside, "gpu-1")
    lines = [_at(NOON + timedelta(seconds=second), OFF_THE_BUS) for second in range(4)]
    running = asyncio.create_task(Reading(ListSource(lines), inside.intake, inside.world.clock).run())
    await _quiet()
    opened.set()
    await running
    [rescue] = inside.world.store.all()
    assert (rescue.cause.time, rescue.count) == (NOON, 4)


class Slow(Inside):
    """Judges a line long after it was read: the store was away."""

    async def later(self, source: ListSource, after: timedelta) -> None:
        opened = _busy(self, "gpu-1")
        running = asyncio.create_task(Reading(source, self.intake, self.world.clock).run())
        await _quiet()
        self.world.clock.move_to(NOON + after)
        opened.set()
        await running


async def test_a_line_is_as_old_as_it_was_when_it_was_read() -> None:
    inside = Slow()
    await inside.later(ListSource([_at(NOON, OFF_THE_BUS)]), 12 * MINUTE)
    assert [rescue.node for rescue in inside.world.store.all()] == ["gpu-1"]


async def test_what_was_in_hand_when_the_reading_was_broken_off_is_recorded_and_acknowledged() -> None:
    inside, sink = _inside()
    source = ListSource([_at(NOON, APPLICATION), _at(NOON, OFF_THE_BUS, "gpu-2")], live=True)
    reading = Reading(source, inside.intake, inside.world.clock)
    running = asyncio.create_task(reading.run())
    await _quiet()
    running.cancel()
    await asyncio.wait({running})
    assert source.acked == []
    sink.opened.set()
    await reading.settle()
    assert source.acked == [0, 1]
    assert inside.told("action") == ["fault-detected", "fault-skipped", "fault-detected", "rescue-planned"]
    await reading.settle()
    assert source.acked == [0, 1]


class Broken(WatchedSink):
    """Fails in a way that no sink should."""

    async def write(self, records: Sequence[Record]) -> None:
        raise ValueError("cannot be encoded")


async def test_what_a_defect_has_stopped_is_not_acknowledged_and_its_line_can_be_taken_again() -> None:
    inside = Inside(world=World([gpu_node("gpu-1")], sink=Broken()))
    source = ListSource([_at(NOON, APPLICATION), _at(NOON, "NVRM: nothing to record")])
    reading = Reading(source, inside.intake, inside.world.clock)
    with pytest.raises(ExceptionGroup):
        await reading.run()
    await reading.settle()
    assert (source.acked, len(inside.incidents)) == ([], 0)


class Late(ListSource):
    """Says when it was first read."""

    begun = False

    async def deliveries(self) -> AsyncIterator[Delivery]:
        self.begun = True
        async for delivery in super().deliveries():
            yield delivery


async def test_nothing_is_read_before_the_nodes_are_known() -> None:
    """A fault whose host no node answers to is lost to its node, and the nodes may only not be listed yet."""
    world = World([gpu_node("10.0.2.193", addresses=("10.0.2.193",))])
    world.cluster.troubles.cache_synced = False
    inside = Inside(world=world)
    source = Late([_at(NOON, OFF_THE_BUS, "10-0-2-193")])
    live = live_loop(inside, source)
    with capture_logs() as logs:
        running = asyncio.create_task(live.run())
        await asyncio.wait({running}, timeout=0.5)
        assert not source.begun
        assert [entry["event"] for entry in logs].count("reading.waits") == 1
        world.cluster.troubles.cache_synced = True
        async with asyncio.timeout(10):
            while not world.store.all():
                await asyncio.wait({running}, timeout=0.01)
        running.cancel()
        await asyncio.wait({running}, timeout=10)
    assert [rescue.node for rescue in world.store.all()] == ["10.0.2.193"]
