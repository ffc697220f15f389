"""The two loops: the log's own time, and the wall clock."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from structlog.testing import capture_logs

from pipeline.clock import ManualClock
from pipeline.decide.guards import FabricSettings, GuardSettings
from pipeline.execute.loops import ReplayLoop, merged
from pipeline.execute.replay import BEFORE_ALL_LOGS
from pipeline.model.rescue import HoldReason, Status
from pipeline.sources.port import Delivery
from tests.fakes.faults import NOON
from tests.fakes.intake import APPLICATION, OFF_THE_BUS, Inside
from tests.fakes.loops import live_loop
from tests.fakes.world import World, gpu_node


class ListSource:
    """Delivers what it was given; lives on if told so. `acked` is what it got back."""

    def __init__(self, payloads: Sequence[str], live: bool = False) -> None:
        self.live = live
        self.read = 0
        self.acked: list[int] = []
        self._payloads = payloads

    async def reach(self) -> str:
        return "a list"

    async def deliveries(self) -> AsyncIterator[Delivery]:
        for number, payload in enumerate(self._payloads):

            async def ack(number: int = number) -> None:
                self.acked.append(number)

            self.read += 1
            yield Delivery(payload.encode(), f"list:{number}", ack)
        if self.live:
            await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing to let go of."""


def _at(moment: datetime, text: str, node: str = "gpu-1") -> str:
    return f"<3>1 {moment.isoformat()} {node} kernel - - - {text}"


class Stage:
    """A driver over a world, and how its time passed."""

    def __init__(
        self, *payloads: str, present: datetime = NOON + timedelta(days=1), guards: GuardSettings | None = None
    ) -> None:
        self.jumps: list[timedelta] = []
        clock = ManualClock(BEFORE_ALL_LOGS)
        self.world = World([gpu_node("gpu-1"), gpu_node("gpu-2")], clock=clock, guards=guards)
        self.inside = Inside(world=self.world)
        self.source = ListSource(payloads)
        self.replay = ReplayLoop(
            [self.source],
            self.inside.intake,
            self.world.executor,
            self.world.store,
            self.inside.policies,
            clock,
            self._pause,
            present,
        )

    async def _pause(self, jump: timedelta) -> None:
        self.jumps.append(jump)

    @property
    def statuses(self) -> list[Status]:
        return [rescue.status for rescue in self.world.store.all()]


async def test_an_old_log_is_not_stale_and_its_rescues_end() -> None:
    stage = Stage(_at(NOON, OFF_THE_BUS))
    await stage.replay.run()
    (rescue,) = stage.world.store.all()
    assert (rescue.status, rescue.created) == (Status.SUCCEEDED, NOON)
    assert stage.source.acked == [0]


async def test_what_is_due_between_two_lines_is_done_before_the_second() -> None:
    later = NOON + timedelta(hours=1)
    stage = Stage(_at(NOON, OFF_THE_BUS), _at(later, OFF_THE_BUS))
    await stage.replay.run()
    first, second = stage.world.store.all()
    assert (first.status, second.status) == (Status.SUCCEEDED, Status.SUCCEEDED)
    assert first.ended is not None
    assert first.ended < second.created == later


async def test_a_line_that_is_older_than_those_before_it_is_stale() -> None:
    stage = Stage(_at(NOON, APPLICATION), _at(NOON - timedelta(hours=1), OFF_THE_BUS))
    await stage.replay.run()
    assert stage.statuses == []
    assert "stale" in stage.inside.told("reason")


async def test_lines_without_a_time_wait_for_the_first_that_has_one() -> None:
    stage = Stage(f"gpu-1 kernel: {OFF_THE_BUS}", _at(NOON - timedelta(days=900), APPLICATION, "gpu-2"))
    await stage.replay.run()
    times = {record.document["@timestamp"][:10] for record in stage.world.sink.records}
    assert times == {"2024-06-03"}
    assert stage.source.acked == [0, 1]


async def test_a_log_without_any_time_is_of_the_moment_it_is_read() -> None:
    stage = Stage(APPLICATION, present=NOON)
    await stage.replay.run()
    assert {record.time for record in stage.world.sink.records} == {NOON}


async def test_nobody_waits_for_jumps_while_nothing_is_rescued() -> None:
    stage = Stage(*(_at(NOON + timedelta(hours=hour), APPLICATION) for hour in range(5)))
    await stage.replay.run()
    assert stage.jumps == []


async def test_a_rescue_that_can_never_go_on_does_not_keep_the_replay_from_ending() -> None:
    stage = Stage(_at(NOON, OFF_THE_BUS))
    stage.world.cluster.troubles.cache_synced = False
    with capture_logs() as logs:
        await stage.replay.run()
    assert stage.statuses == [Status.PENDING]
    assert [entry["status"] for entry in logs if entry["event"] == "replay.unfinished"] == ["Pending"]


async def test_a_line_of_a_time_that_is_not_yet_does_not_move_the_clock() -> None:
    stage = Stage(
        _at(NOON, APPLICATION, "gpu-2"),
        _at(NOON + timedelta(days=3650), OFF_THE_BUS, "gpu-2"),
        _at(NOON + timedelta(minutes=1), OFF_THE_BUS),
    )
    await stage.replay.run()
    assert [rescue.node for rescue in stage.world.store.all()] == ["gpu-1"]
    assert "in-the-future" in stage.inside.told("reason")


async def test_a_line_of_a_time_that_is_not_yet_does_not_set_the_clock() -> None:
    stage = Stage(_at(NOON + timedelta(days=3650), APPLICATION, "gpu-2"), _at(NOON, OFF_THE_BUS))
    await stage.replay.run()
    assert stage.statuses == [Status.SUCCEEDED]


async def test_a_line_of_a_time_that_is_not_yet_holds_no_source_back() -> None:
    stage = Stage()
    wrong = ListSource([_at(NOON + timedelta(days=3650), "NVRM: a 0"), _at(NOON + timedelta(minutes=1), "NVRM: a 1")])
    right = ListSource([_at(NOON, "NVRM: b 0"), _at(NOON + timedelta(minutes=2), "NVRM: b 1")])
    order = [lines[0].text async for lines, _ in merged([wrong, right], stage.inside.intake, NOON + timedelta(days=1))]
    assert order == ["NVRM: a 0", "NVRM: b 0", "NVRM: a 1", "NVRM: b 1"]


async def test_several_sources_are_read_in_the_order_of_their_times() -> None:
    stage = Stage()
    hours = [[_at(NOON + timedelta(hours=hour), f"NVRM: {source} {hour}") for hour in range(3)] for source in "ab"]
    sources = [ListSource(payloads) for payloads in hours]
    order = [lines[0].text async for lines, _ in merged(sources, stage.inside.intake, NOON + timedelta(days=1))]
    assert order == [f"NVRM: {source} {hour}" for hour in range(3) for source in "ab"]


async def test_a_live_run_works_side_by_side_and_ends_in_good_order_when_cancelled() -> None:
    world = World([gpu_node("gpu-1"), gpu_node("gpu-2")])
    inside = Inside(world=world)
    lines = [_at(NOON, OFF_THE_BUS), *(_at(NOON + timedelta(seconds=n), APPLICATION, "gpu-2") for n in range(3))]
    source = ListSource(lines, live=True)
    live = live_loop(inside, source)
    running = asyncio.create_task(live.run())
    async with asyncio.timeout(10):
        while "step-started" not in inside.told("action") or len(source.acked) < 4:
            await asyncio.wait({running}, timeout=0.01)
    running.cancel()
    await asyncio.wait({running}, timeout=10)
    assert running.cancelled()
    assert world.cluster.nodes()["gpu-1"].unschedulable
    assert world.sink.records[-1].document["gpu_rescue"]["fault"]["count"] == 3


async def test_a_live_run_whose_streams_have_ended_stays_for_a_rescue_that_waits_in_mid_plan() -> None:
    guards = GuardSettings.model_validate({"max_percent": 100, "windows": {"deny": [{"from": "12:00", "to": "13:00"}]}})
    world = World([gpu_node("gpu-1"), gpu_node("gpu-2")], guards=guards)
    inside = Inside(world=world)
    source = ListSource([_at(NOON, OFF_THE_BUS)])
    live = live_loop(inside, source)
    running = asyncio.create_task(live.run())
    async with asyncio.timeout(10):
        while not any(one.status is Status.HELD for one in world.store.all()):
            await asyncio.wait({running}, timeout=0.01)
    await asyncio.wait({running}, timeout=1)
    assert not running.done()
    running.cancel()
    await asyncio.wait({running}, timeout=10)
    assert [(one.status, one.begun) for one in world.store.all()] == [(Status.HELD, True)]


async def test_a_live_run_whose_streams_have_ended_leaves_a_rescue_that_has_not_begun() -> None:
    world = World([gpu_node("gpu-1"), gpu_node("gpu-2")], guards=GuardSettings(max_nodes=0))
    inside = Inside(world=world)
    source = ListSource([_at(NOON, OFF_THE_BUS)])
    live = live_loop(inside, source)
    async with asyncio.timeout(10):
        await live.run()
    assert [(one.status, one.begun) for one in world.store.all()] == [(Status.HELD, False)]


async def test_a_live_run_whose_streams_have_ended_leaves_what_waits_for_a_person() -> None:
    nodes = [gpu_node(f"gpu-{n}", labels={"rack": "r1"}) for n in (1, 2)]
    fabric = FabricSettings(labels=("rack",), nodes=2)
    inside = Inside(world=World(nodes, guards=GuardSettings(max_percent=100, fabric=fabric)))
    world, source = inside.world, ListSource([])
    await inside.take(OFF_THE_BUS)
    await inside.take(OFF_THE_BUS, node="gpu-2")
    live = live_loop(inside, source)
    async with asyncio.timeout(10):
        await live.run()
    assert [(one.status, one.reason, one.begun) for one in world.store.all()] == [
        (Status.HELD, HoldReason.FABRIC_INCIDENT, True)
    ] * 2


async def test_a_replay_ends_with_a_rescue_that_no_window_lets_go_on() -> None:
    stage = Stage(_at(NOON, OFF_THE_BUS), guards=GuardSettings.model_validate({"windows": {"deny": [{}]}}))
    with capture_logs() as logs:
        await stage.replay.run()
    assert stage.statuses == [Status.HELD]
    assert [entry["status"] for entry in logs if entry["event"] == "replay.unfinished"] == ["Held"]
