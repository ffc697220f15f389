"""The store over a file: what was saved is there again after a restart, and a file that cannot serve says so."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConflictError, NotFoundError, TemporaryError
from pipeline.execute.store_file import StoreFile
from pipeline.execute.store_sqlite import SqliteStore
from pipeline.model.fault import Severity
from pipeline.model.occurrence import Code, Gpu, Occurrence
from pipeline.model.rescue import Rescue, Status
from tests.fakes.faults import NOON, rescue

_GPU = Gpu("gpu-1", "0000:3b:00")
_SEEN = Occurrence("a", Code("xid", 79, None, None, Severity.REBOOT, True, True), _GPU, NOON, NOON)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rescues.db"


def _killed(path: Path) -> Path:
    """What the disk holds while the file is open, in another place: what a process finds that follows a killed one."""
    place = path.parent / "after"
    place.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, place)
    return place / path.name


def _ended(name: str, minutes: int) -> Rescue:
    ended = NOON + timedelta(minutes=minutes)
    return replace(rescue(name), status=Status.FAILED, ended=ended, recorded=2)


async def test_what_was_saved_is_there_after_a_restart(path: Path) -> None:
    store = SqliteStore(path)
    saved = await store.save(replace(await store.create(rescue()), count=2))
    await store.note(_SEEN)
    await store.close()
    again = SqliteStore(path)
    assert list(again.all()) == [saved] == list(again.open())
    assert list(again.occurrences(_GPU)) == [_SEEN]
    with pytest.raises(ConflictError):
        await again.save(replace(saved, revision=1))
    assert (await again.save(saved)).revision == 3
    await again.close()


async def test_what_a_write_has_returned_from_outlives_a_kill(path: Path) -> None:
    store = SqliteStore(path)
    saved = [await store.create(rescue(f"r-{number}")) for number in range(20)]
    await store.note(_SEEN)
    after = SqliteStore(_killed(path))
    assert sorted(after.all(), key=lambda one: one.name) == sorted(saved, key=lambda one: one.name)
    assert after.occurrence("a") == _SEEN
    await after.close()
    await store.close()


async def test_a_log_that_is_torn_by_a_power_cut_holds_whole_writes_only(path: Path) -> None:
    store = SqliteStore(path)
    for number in range(4):
        await asyncio.gather(*(store.create(rescue(f"{number}-{half}")) for half in "ab"))
    left = _killed(path)
    await store.close()
    log = left.with_name(f"{left.name}-wal")
    content, found = log.read_bytes(), set()
    for length in (*range(0, len(content), 1_500), len(content)):
        # What the disk had not taken yet is whatever was there before.
        log.write_bytes(content[:length] + b"\xab" * 9_000)
        torn = shutil.copytree(left.parent, path.parent / f"torn-{length}") / left.name
        after = SqliteStore(torn)
        found.add(tuple(sorted(one.name for one in after.all())))
        await after.close()
    assert found == {tuple(f"{number}-{half}" for number in range(many) for half in "ab") for many in range(5)}


async def test_those_that_ended_lately_are_found_after_a_restart_whatever_was_saved_last(path: Path) -> None:
    store = SqliteStore(path)
    for minutes in (1, 2, 0):
        await store.create(_ended(str(minutes), minutes))
    await store.close()
    again = SqliteStore(path)
    assert [one.name for one in again.ended_since(NOON + timedelta(minutes=1))] == ["1", "2"]
    await again.close()


async def test_what_is_forgotten_leaves_the_file(path: Path) -> None:
    store = SqliteStore(path, kept_ended=2)
    for minutes in range(4):
        await store.create(_ended(str(minutes), minutes))
    await store.note(_SEEN)
    await store.note(replace(_SEEN, name="b", last_seen=NOON + timedelta(days=31)))
    await store.create(rescue("last"))
    await store.close()
    with closing(StoreFile(path)) as file:
        assert sorted(one.name for one in file.rescues()) == ["2", "3", "last"]
        assert [one.name for one in file.occurrences()] == ["b"]


async def test_a_file_with_more_than_is_kept_loses_the_oldest(path: Path) -> None:
    store = SqliteStore(path)
    for minutes in (3, 1, 2):
        await store.create(_ended(str(minutes), minutes))
    await store.close()
    again = SqliteStore(path, kept_ended=2)
    assert [one.name for one in again.all()] == ["2", "3"]
    await again.create(rescue("1"))
    await again.close()
    third = SqliteStore(path)
    assert {one.name: one.status for one in third.all()}["1"] is Status.PENDING
    await third.close()


async def test_writes_that_wait_go_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    together = StoreFile.together

    def counted(file: StoreFile, changes: list[Callable[[], object]]) -> list[object]:
        batches.append(len(changes))
        return together(file, changes)

    monkeypatch.setattr(StoreFile, "together", counted)
    store = SqliteStore(path)
    await asyncio.gather(*(store.create(rescue(f"r-{number}")) for number in range(500)))
    assert len(batches) == 1
    assert len(store.all()) == 500
    await store.close()


async def test_what_was_asked_for_by_somebody_who_is_gone_shows_all_the_same(path: Path) -> None:
    store = SqliteStore(path)
    asking = asyncio.ensure_future(store.create(rescue()))
    await asyncio.sleep(0)
    asking.cancel()
    created = await store.create(rescue())
    assert asking.cancelled()
    assert created.revision == 1
    await store.close()
    again = SqliteStore(path)
    assert list(again.all()) == [created]
    await again.close()


async def test_closing_waits_for_what_is_on_its_way(path: Path) -> None:
    store = SqliteStore(path)
    asking = asyncio.ensure_future(store.create(rescue()))
    await asyncio.sleep(0)
    await store.close()
    again = SqliteStore(path)
    assert list(again.all()) == [await asking]
    await again.close()


async def test_a_closing_that_is_broken_off_breaks_off_no_write_and_leaves_the_file(path: Path) -> None:
    store = SqliteStore(path)
    asking = asyncio.ensure_future(store.create(rescue()))
    await asyncio.sleep(0)
    closing_it = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    closing_it.cancel()
    created = await asyncio.wait_for(asking, 10)
    assert closing_it.cancelled()
    again = SqliteStore(path)
    assert list(again.all()) == [created]
    await again.close()


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """The connections that stores open, for a test to put obstacles in their way."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def kept(*args: Any, **given: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **given))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", kept)
    return opened


async def test_a_full_disk_is_waited_out_and_loses_nothing_that_was_safe(
    path: Path, databases: list[sqlite3.Connection]
) -> None:
    store = SqliteStore(path)
    created = await store.create(rescue())
    before = store.generation
    databases[0].execute("PRAGMA max_page_count = 1")
    outcomes = await asyncio.gather(
        store.save(replace(created, reason="x" * 100_000)),
        store.create(rescue("another")),
        store.note(_SEEN),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [TemporaryError] * 3
    assert str(outcomes[0]) == f"{path}: rescues cannot be saved: database or disk is full"
    assert (store.generation, list(store.all()), store.occurrence("a")) == (before, [created], None)
    databases[0].execute("PRAGMA max_page_count = 1000000")
    saved = await store.save(replace(created, reason="x" * 100_000))
    await store.close()
    again = SqliteStore(path)
    assert list(again.all()) == [saved]
    await again.close()


async def test_a_change_that_cannot_be_written_holds_up_no_other(path: Path) -> None:
    store = SqliteStore(path)
    created = await store.create(rescue())
    outcomes = await asyncio.gather(
        store.create(replace(rescue("broken"), reason="\ud800")),
        store.save(rescue("gone")),
        store.save(replace(created, count=2)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes[1:]] == [NotFoundError, Rescue]
    assert isinstance(outcomes[0], ValueError)
    assert [(one.name, one.count) for one in store.all()] == [(created.name, 2)]
    await store.close()


async def test_what_is_in_it_can_be_read_by_people(path: Path) -> None:
    store = SqliteStore(path)
    await store.create(rescue())
    await store.close()
    with closing(sqlite3.connect(path)) as database:
        ((status, node),) = database.execute(
            "SELECT json_extract(content, '$.status'), json_extract(content, '$.node') FROM rescues"
        )
    assert (status, node) == ("Pending", "gpu-1")


async def test_it_tells_what_is_in_it(path: Path) -> None:
    store = SqliteStore(path)
    await store.create(rescue())
    await store.create(_ended("ended", 0))
    assert await store.reach() == f"{path}, 2 rescues, 1 of them open"
    await store.close()
