"""Who leads executes: from what is saved, and not a moment longer than it leads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from pipeline.execute.executor import Executor
from pipeline.execute.loops import LiveLoop
from pipeline.execute.recorder import Recorder
from pipeline.execute.settings import ExecuteSettings
from pipeline.model.plan import ActionName, Cordon
from pipeline.model.rescue import Status
from tests.fakes.fasttime import run_fast
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.intake import Inside
from tests.fakes.terms import Answering, Terms, eventually
from tests.fakes.world import World
from tests.unit.execute.test_loops import ListSource

_AT_ONCE = ExecuteSettings(settle=timedelta(0))
_SOON = 3.0
"""Seconds, of which a step that is let come to its end may take ten."""


class Term:
    """A live loop over one rescue whose cordon hangs; `executors` are those that were made for it."""

    def __init__(self) -> None:
        self.inside = Inside(world=World())
        self.world = self.inside.world
        self.slow, self.terms = Answering(), Terms()
        self.executors: list[Executor] = []
        stores = self.world.store, lambda: True, self.inside.policies, self.world.clock
        source = ListSource([], live=True)
        self.loop = LiveLoop([source], self.inside.intake, self.new_executor, *stores, self.terms)

    def new_executor(self) -> Executor:
        world, actions = self.world, {ActionName.CORDON: self.slow}
        recorder = Recorder(world.sink, world.store)
        self.executors.append(
            Executor(world.store, world.cluster, actions, recorder, world.guards, world.clock, _AT_ONCE)
        )
        return self.executors[-1]

    @property
    def status(self) -> Status:
        return self.world.rescue().status

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """The loop runs and leads, and its rescue's cordon has begun."""
        await self.world.store.create(rescue(plan=plan(Cordon())))
        running = asyncio.create_task(self.loop.run())
        try:
            self.terms.win()
            await eventually(lambda: self.slow.begun == 1)
            yield running
        finally:
            self.slow.answered.set()
            running.cancel()
            await asyncio.wait({running}, timeout=_SOON)


async def test_nobody_executes_who_does_not_lead() -> None:
    term = Term()
    await term.world.store.create(rescue(plan=plan(Cordon())))
    running = asyncio.create_task(term.loop.run())
    await asyncio.wait({running}, timeout=0.1)
    assert (term.executors, term.status) == ([], Status.PENDING)
    running.cancel()
    await asyncio.wait({running}, timeout=_SOON)
    assert running.cancelled()


async def test_who_has_never_led_does_not_complain_of_records_that_others_write() -> None:
    term = Term()
    await term.world.store.create(rescue(plan=plan(Cordon())))
    with capture_logs() as logs:
        running = asyncio.create_task(term.loop.run())
        await asyncio.wait({running}, timeout=0.1)
        running.cancel()
        await asyncio.wait({running}, timeout=_SOON)
    assert [entry["event"] for entry in logs] == []


def test_cleaning_up_goes_on_after_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[datetime] = []

    async def breaks(now: datetime) -> None:
        called.append(now)
        raise ValueError("a defect")

    async def scene() -> None:
        term = Term()
        monkeypatch.setattr(term.world.store, "clean_up", breaks)
        async with term.running():
            await eventually(lambda: len(called) > 2, 60)

    with capture_logs() as logs:
        run_fast(scene())
    assert {entry["event"] for entry in logs if entry["log_level"] == "error"} == {"store.not-cleaned"}


async def test_steps_are_broken_off_when_another_one_may_lead_and_a_new_executor_goes_on_with_them() -> None:
    term = Term()
    async with term.running():
        term.terms.lose()
        await eventually(lambda: term.slow.broken_off == 1, _SOON)
        await term.executors[0].settle()
        assert (term.slow.begun, term.status) == (1, Status.RUNNING)
        term.terms.win()
        await eventually(lambda: term.slow.begun == 2)
        term.slow.answered.set()
        await eventually(lambda: term.status is Status.SUCCEEDED)
    assert len(term.executors) == 2
    assert term.world.actions.count("step-started") == 1


async def test_a_process_that_ends_while_it_leads_lets_its_steps_come_to_their_end() -> None:
    term = Term()
    async with term.running() as running:
        running.cancel()
        await asyncio.wait({running}, timeout=0.1)
        assert not running.done()
        term.slow.answered.set()
        await asyncio.wait({running}, timeout=_SOON)
        assert running.cancelled()
    assert (term.slow.broken_off, term.status) == (0, Status.SUCCEEDED)
    assert term.world.actions[-1] == "rescue-succeeded"


async def test_a_process_that_ends_lets_nothing_go_on_when_it_leads_no_more() -> None:
    term = Term()
    async with term.running() as running:
        running.cancel()
        await asyncio.wait({running}, timeout=0.1)
        assert not running.done()
        term.terms.lose()
        await asyncio.wait({running}, timeout=_SOON)
        assert running.done()
        assert (term.slow.broken_off, term.status) == (1, Status.RUNNING)
    assert term.world.rescue().steps[0].started == NOON


async def test_an_executor_that_is_stopped_breaks_off_its_steps_and_another_one_goes_on() -> None:
    term = Term()
    await term.world.store.create(rescue(plan=plan(Cordon())))
    first = term.new_executor()
    await first.tick(timedelta(milliseconds=20))
    assert (term.slow.begun, term.slow.broken_off) == (1, 0)
    await first.stop()
    assert (term.slow.broken_off, term.status, term.world.rescue().steps[0].ended) == (1, Status.RUNNING, None)
    term.slow.answered.set()
    await term.new_executor().tick()
    assert (term.slow.begun, term.status) == (2, Status.SUCCEEDED)
