"""Events come behind everything else: nobody waits for them, and what is lost is counted."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.announcer import Announcement
from pipeline.cluster.memory import SimulatedCluster
from pipeline.errors import PermanentError, TemporaryError
from pipeline.execute.announcements import Announcements
from pipeline.execute.records import records, repeat_record, skip_records
from pipeline.model.plan import Skip, SkipReason
from pipeline.model.rescue import Member
from pipeline.telemetry import EVENTS
from sinks.base import Record
from tests.fakes.faults import NOON, node_fault, rescue

SKIP = Skip(SkipReason.STALE, "it is old")


class Cluster(SimulatedCluster):
    """A cluster whose announcer does what a test says before it takes an event."""

    def __init__(self) -> None:
        super().__init__(ManualClock(NOON))
        self.answers: list[Exception] = []
        self.asked: asyncio.Queue[str] = asyncio.Queue()
        self.taken: asyncio.Queue[str] = asyncio.Queue()
        self.open = asyncio.Event()
        self.open.set()

    async def announce(self, told: Announcement) -> None:
        self.asked.put_nowait(told.series)
        await self.open.wait()
        if self.answers:
            raise self.answers.pop(0)
        await self.events.announce(told)
        self.taken.put_nowait(told.series)


def of_fault(name: str) -> list[Record]:
    return skip_records(name, node_fault(), SKIP)


def outcomes() -> Callable[[], dict[str, float]]:
    def now() -> dict[str, float]:
        return {name: EVENTS.labels(name)._value.get() for name in ("written", "failed", "dropped")}

    before = now()
    return lambda: {name: count - before[name] for name, count in now().items()}


async def soon(queue: asyncio.Queue[str]) -> str:
    async with asyncio.timeout(10):
        return await queue.get()


async def test_events_are_written_while_whoever_shows_the_records_goes_on() -> None:
    cluster, counted = Cluster(), outcomes()
    telling = Announcements(cluster, "zh", behind=0)
    telling.show(records(rescue()))
    assert cluster.events.all() == ()
    await soon(cluster.taken)
    await soon(cluster.taken)
    assert [event.reason for event in cluster.events.all()] == ["XidError", "RescuePlanned"]
    telling.show(of_fault("another"))
    assert await soon(cluster.taken) == "fault/another"
    await telling.close()
    assert counted() == {"written": 3, "failed": 0, "dropped": 0}


async def test_a_storm_that_waits_is_one_write() -> None:
    cluster = Cluster()
    telling = Announcements(cluster, "zh", behind=60)
    telling.show(of_fault("storm"))
    for power in range(1, 20):
        count = 1 << power
        telling.show([repeat_record(Member("storm", node_fault(), count, NOON, NOON + timedelta(seconds=power)))])
    await telling.close()
    assert cluster.asked.qsize() == 1
    (event,) = cluster.events.all()
    assert (event.count, event.first, event.last) == (1 << 19, NOON, NOON + timedelta(seconds=19))


async def test_what_waits_is_bounded_and_the_rest_is_counted() -> None:
    cluster, counted = Cluster(), outcomes()
    telling = Announcements(cluster, "zh", most=3, behind=60)
    for number in range(10):
        telling.show(of_fault(f"fault-{number}"))
    await telling.close()
    assert [event.series for event in cluster.events.all()] == [f"fault/fault-{number}" for number in range(3)]
    assert counted() == {"written": 3, "failed": 0, "dropped": 7}


async def test_what_comes_after_the_end_is_dropped() -> None:
    cluster, counted = Cluster(), outcomes()
    telling = Announcements(cluster, "zh")
    await telling.close()
    telling.show(of_fault("late"))
    assert counted() == {"written": 0, "failed": 0, "dropped": 1}


async def test_a_cluster_that_hangs_does_not_hold_up_the_end() -> None:
    cluster, counted = Cluster(), outcomes()
    cluster.open.clear()
    telling = Announcements(cluster, "zh", behind=0)
    for number in range(4):
        telling.show(of_fault(f"fault-{number}"))
    await soon(cluster.asked)
    async with asyncio.timeout(5):
        await telling.close(limit=0.05)
    assert counted() == {"written": 0, "failed": 0, "dropped": 4}


async def test_a_trouble_that_passes_loses_nothing() -> None:
    cluster, counted = Cluster(), outcomes()
    cluster.answers = [TemporaryError("busy", timedelta(seconds=0))]
    telling = Announcements(cluster, "zh", behind=0)
    telling.show(of_fault("fault"))
    await soon(cluster.taken)
    assert counted() == {"written": 1, "failed": 0, "dropped": 0}
    await telling.close()


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([PermanentError("no right")], id="a refusal"),
        pytest.param([TemporaryError("away")] * 8, id="a cluster that stays away"),
    ],
)
async def test_what_the_cluster_does_not_take_is_counted_and_the_next_goes_on(
    answers: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.execute.announcements._LONGEST_PAUSE", 0.0)
    monkeypatch.setattr("pipeline.execute.announcements._FIRST_PAUSE", 0.0)
    cluster, counted = Cluster(), outcomes()
    cluster.answers = answers
    telling = Announcements(cluster, "zh", behind=0)
    telling.show(of_fault("lost"))
    telling.show(of_fault("next"))
    await soon(cluster.taken)
    await telling.close()
    assert [event.series for event in cluster.events.all()] == ["fault/next"]
    assert counted() == {"written": 1, "failed": 1, "dropped": 0}
