"""Those who execute beside each other end together; a copy that is worn is left before the next one is used."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipeline.errors import BadInputError, Complaint
from pipeline.execute.rehearsal import Drills, SideBySide
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.rescue import Status
from tests.fakes.faults import NOON, rescue


class Quiet:
    """An executor that has nothing to do; `stopped` is how often it was told to break off."""

    def __init__(self) -> None:
        self.stopped = 0

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        return None

    async def settle(self) -> None:
        """Nothing is waited for."""

    async def stop(self) -> None:
        self.stopped += 1

    async def record_rest(self) -> None:
        """Nothing is recorded."""


class Broken(Quiet):
    """Its store is past mending."""

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        raise BadInputError(Complaint("rescues.db", "is damaged"))


class Deliberate(Quiet):
    """It waits before it begins its steps; `broken_off` is whether it never came to them."""

    broken_off = False

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        try:
            await asyncio.Event().wait()
        finally:
            self.broken_off = True
        return NOON


async def test_where_one_cannot_go_on_no_other_begins_a_step_any_more() -> None:
    deliberate = Deliberate()
    with pytest.RaisesGroup(pytest.RaisesExc(BadInputError, match="rescues.db: is damaged")):
        async with asyncio.timeout(10):
            await SideBySide([deliberate, Broken()]).tick()
    assert deliberate.broken_off


class Due(Quiet):
    """Has something to do at a time."""

    def __init__(self, due: datetime) -> None:
        super().__init__()
        self._due = due

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        return self._due


async def test_the_first_that_is_due_says_when_to_look_again() -> None:
    later = NOON + timedelta(hours=1)
    assert await SideBySide([Due(later), Quiet(), Due(NOON)]).tick() == NOON
    assert await SideBySide([Quiet()]).tick() is None


async def test_who_still_records_a_drill_that_has_ended_is_stopped_before_another_one_goes_on() -> None:
    drills, made = MemoryStore(), list[Quiet]()

    def prepare() -> Quiet:
        made.append(Quiet())
        return made[-1]

    held = Drills(drills, prepare)
    first = await drills.create(rescue("first"))
    await held.tick()
    await drills.save(replace(first, status=Status.SUCCEEDED, ended=NOON))
    await held.tick()
    assert [one.stopped for one in made] == [0]
    await drills.create(rescue("second"))
    await held.tick()
    assert [one.stopped for one in made] == [1, 0]
