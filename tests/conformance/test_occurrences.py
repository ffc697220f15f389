"""What every store promises of the occurrences that rules with `repeat` count."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.decide.repeat import LONGEST
from pipeline.execute.store import RescueStore
from pipeline.model.fault import Severity
from pipeline.model.occurrence import Code, Gpu, Occurrence
from tests.conformance.conftest import Opened
from tests.fakes.faults import NOON, rescue

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
CODE = Code("xid", 154, None, 2, Severity.REBOOT, rescue=True, catalogued=True)
NVLINK = Code("xid", 149, "NETIR", None, Severity.INFO, rescue=False, catalogued=True)
KNOWN = Gpu("gpu-1", "0000:3b:00", "GPU-1a", "165042")


def seen(name: str, after: timedelta = timedelta(0), until: timedelta | None = None, **given: Any) -> Occurrence:
    """An occurrence that began *after* noon and ended *until* after noon."""
    first, last = NOON + after, NOON + (after if until is None else until)
    return Occurrence(
        **{"name": name, "code": CODE, "gpu": KNOWN, "boot_id": "b", **given}, first_seen=first, last_seen=last
    )


async def noted(opened: Opened, *occurrences: Occurrence) -> RescueStore:
    store = opened()
    for occurrence in occurrences:
        await store.note(occurrence)
    return store


def names(store: RescueStore, gpu: Gpu = KNOWN) -> list[str]:
    return [one.name for one in store.occurrences(gpu)]


async def test_a_new_store_knows_of_none(opened: Opened) -> None:
    store = opened()
    assert store.occurrence("a") is None
    assert list(store.occurrences(KNOWN)) == []


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(seen("a"), id="all that is known of a GPU"),
        pytest.param(seen("a", code=NVLINK, boot_id=None), id="a sub-code and no boot"),
        pytest.param(seen("a", gpu=Gpu("10.0.2.193", None)), id="no device"),
        pytest.param(seen("a", SECOND / 7, HOUR), id="a part of a second"),
    ],
)
async def test_what_was_noted_is_read_back_whole(opened: Opened, one: Occurrence) -> None:
    store = await noted(opened, one)
    assert store.occurrence("a") == one
    assert list(store.occurrences(one.gpu)) == [one]


@pytest.mark.parametrize(
    ("gpu", "found"),
    [
        pytest.param(Gpu("gpu-1", "0000:3b:00"), True, id="by its place"),
        pytest.param(Gpu("gpu-2", "0000:5e:00", "GPU-1a"), True, id="by its UUID, on another node"),
        pytest.param(Gpu("gpu-2", "0000:5e:00", "GPU-2b", "165042"), True, id="by its board, on another node"),
        pytest.param(Gpu("gpu-1", "0000:3b:00", "GPU-2b", "999"), True, id="by its place, whatever sits there now"),
        pytest.param(Gpu("gpu-1", "0000:5e:00"), False, id="not in another slot"),
        pytest.param(Gpu("gpu-2", "0000:3b:00"), False, id="not in the same slot of another node"),
        pytest.param(Gpu("gpu-2", "0000:5e:00", "GPU-2b", "999"), False, id="not by other identities"),
        pytest.param(
            Gpu("gpu-2", "0000:5e:00", "165042", "GPU-1a"), False, id="not by a UUID that reads like a serial"
        ),
        pytest.param(Gpu("gpu-2", None, "", ""), False, id="not by identities that are empty"),
    ],
)
async def test_an_occurrence_is_found(opened: Opened, gpu: Gpu, found: bool) -> None:
    store = await noted(opened, seen("a"), seen("b", gpu=Gpu("gpu-9", "0000:3b:00", "", "")))
    assert names(store, gpu) == (["a"] if found else [])


async def test_they_come_first_seen_first_each_once(opened: Opened) -> None:
    store = await noted(opened, seen("b", 2 * HOUR), seen("c", timedelta(0)), seen("a", 2 * HOUR), seen("d", HOUR))
    assert names(store) == ["c", "d", "a", "b"]


async def test_noting_it_again_changes_nothing(opened: Opened) -> None:
    one = seen("a", HOUR, 2 * HOUR)
    store = await noted(opened, one, one)
    assert list(store.occurrences(KNOWN)) == [one]


@pytest.mark.parametrize("swapped", [False, True], ids=["in order", "out of order"])
async def test_one_that_grows_spans_the_time_of_all_that_was_noted(opened: Opened, swapped: bool) -> None:
    parts = [seen("a", HOUR, 2 * HOUR), seen("a", HOUR, 3 * HOUR), seen("a", timedelta(0), HOUR)]
    store = await noted(opened, *(reversed(parts) if swapped else parts))
    assert list(store.occurrences(KNOWN)) == [seen("a", timedelta(0), 3 * HOUR)]
    assert store.occurrence("a") == seen("a", timedelta(0), 3 * HOUR)


async def test_a_boot_that_becomes_known_stays_known(opened: Opened) -> None:
    store = await noted(opened, seen("a", boot_id=None), seen("a"), seen("a", boot_id=None))
    assert store.occurrence("a") == seen("a")


async def test_what_was_seen_within_thirty_days_is_remembered(opened: Opened) -> None:
    store = await noted(opened, seen("first", -HOUR, timedelta(0)), seen("last", LONGEST))
    assert names(store) == ["first", "last"]


async def test_what_grows_again_is_remembered_from_then_on(opened: Opened) -> None:
    store = await noted(opened, seen("a"), seen("b", HOUR), seen("a", HOUR), seen("c", LONGEST + HOUR))
    assert names(store) == ["a", "b", "c"]


async def test_an_occurrence_is_no_rescue(opened: Opened) -> None:
    store = await noted(opened, seen("gpu-1-xid-79-abc"))
    assert store.get("gpu-1-xid-79-abc") is None
    saved = await store.create(rescue())
    await store.note(seen("gpu-1-xid-79-abc", HOUR))
    assert store.get("gpu-1-xid-79-abc") == saved
    assert list(store.all()) == [saved]
    assert store.occurrence("gpu-1-xid-79-abc") == replace(seen("gpu-1-xid-79-abc"), last_seen=NOON + HOUR)
