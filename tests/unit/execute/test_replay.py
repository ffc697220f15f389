"""What a replay costs while rescues are held: rounds of asking, not lines."""

from datetime import datetime, timedelta
from typing import cast

import pytest

from pipeline.decide.guards import GuardSettings
from pipeline.execute.executor import Executor
from pipeline.execute.intake import Intake
from pipeline.execute.replay import Replay
from pipeline.model.line import LogLine
from pipeline.model.rescue import Status
from tests.fakes.faults import NOON, line, node_fault, rescue
from tests.fakes.world import World, gpu_node

SECOND = timedelta(seconds=1)


class Counting:
    """An executor that counts how often it is asked."""

    def __init__(self, executor: Executor) -> None:
        self.ticks: list[datetime | None] = []
        self._executor = executor

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        self.ticks.append(await self._executor.tick())
        return self.ticks[-1]

    async def settle(self) -> None:
        await self._executor.settle()

    async def record_rest(self) -> None:
        await self._executor.record_rest()

    async def stop(self) -> None:
        await self._executor.stop()


class Noise:
    """An intake to which no line means anything."""

    async def handle(self, line: LogLine) -> None:
        """Nothing follows."""

    async def flush(self) -> None:
        """Nothing was counted."""


class Storm:
    """A replay over a cluster in which no node may leave service."""

    def __init__(self) -> None:
        nodes = [gpu_node(name) for name in ("gpu-1", "gpu-2")]
        self.world = World(nodes, guards=GuardSettings(max_nodes=0))
        self.executor = Counting(self.world.executor)
        self.replay = Replay(
            cast(Intake, Noise()), self.executor, self.world.store, self.world.clock, self._pause, NOON + 9999 * SECOND
        )

    async def _pause(self, jump: timedelta) -> None:
        """Nobody watches."""

    async def fault(self, node: str) -> None:
        now = self.world.clock.now()
        await self.world.store.create(rescue(f"{node}-xid-79-abc", node, now, cause=node_fault(node=node, time=now)))

    async def lines(self, count: int, apart: timedelta) -> None:
        for _ in range(count):
            await self.replay.take(line(time=self.world.clock.now() + apart))


async def test_a_storm_goes_on_without_asking_while_a_rescue_is_held() -> None:
    storm = Storm()
    await storm.fault("gpu-1")
    await storm.lines(1, SECOND)
    asked = len(storm.executor.ticks)
    await storm.lines(1000, timedelta(milliseconds=1))
    assert storm.world.rescue().status is Status.HELD
    assert len(storm.executor.ticks) == asked


async def test_held_rescues_ask_in_one_round_however_far_apart_they_came() -> None:
    storm = Storm()
    await storm.fault("gpu-1")
    await storm.lines(7, SECOND)
    await storm.fault("gpu-2")
    await storm.lines(5, SECOND)
    before = len(storm.executor.ticks)
    await storm.lines(120, SECOND)
    rounds = storm.executor.ticks[before:]
    assert rounds == [NOON + seconds * SECOND for seconds in (60, 90, 120, 150)]


async def test_a_rescue_that_comes_in_between_is_looked_at_at_once() -> None:
    storm = Storm()
    await storm.lines(3, SECOND)
    await storm.fault("gpu-1")
    await storm.lines(1, SECOND)
    assert storm.world.rescue().status is Status.HELD


@pytest.mark.parametrize("ahead", [timedelta(days=1), timedelta(days=400)])
async def test_a_line_of_a_time_that_is_not_yet_moves_no_clock(ahead: timedelta) -> None:
    storm = Storm()
    await storm.replay.take(line(time=NOON + ahead))
    assert storm.world.clock.now() == NOON


async def test_the_store_tells_what_is_unfinished_and_how_often_it_has_changed() -> None:
    world = World()
    before = world.store.generation
    await world.store.create(rescue())
    assert world.store.generation == before + 1
    world.sink.away = True
    await world.run()
    assert world.rescue().status.ended
    assert [unfinished.name for unfinished in world.store.unfinished()] == [world.rescue().name]
    world.sink.away = False
    await world.executor.record_rest()
    assert list(world.store.unfinished()) == []
    assert list(world.store.all()) != []
