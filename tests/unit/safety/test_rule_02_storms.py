"""Rule 2: copies of a line are one incident with a count, one series of records, one rescue.

20,000 copies here; the full 800,000 are a test of their own, and events of the Kubernetes API come with its sink.
Broken by a memory of incidents that forgets, counts wrongly or tells each copy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from pipeline.decide.incident import Incident
from pipeline.decide.incidents import Incidents
from tests.fakes.faults import NOON
from tests.fakes.intake import APPLICATION, OFF_THE_BUS, Inside

STORM = timedelta(minutes=5)
Break = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a storm has led to: `told` are the records that tell of repeats, `count` is the highest that they tell."""

    incidents: int
    rescues: int
    told: int
    count: int


async def _storm(text: str, copies: int) -> Cost:
    inside = Inside()
    for copy in range(copies):
        await inside.intake.handle(inside.line(text, NOON + STORM * copy / copies, "gpu-1"))
    await inside.intake.flush()
    bodies = [record.document for record in inside.world.sink.records]
    counts = [body["gpu_rescue"]["fault"]["count"] for body in bodies if body["event"]["action"] == "fault-repeated"]
    return Cost(len(inside.incidents), len(inside.world.store.all()), len(counts), max(counts, default=1))


def _price(copies: int, rescues: int) -> Cost:
    """What it may cost: a record for each power of two from the second copy on, and one for what comes after."""
    return Cost(1, rescues, copies.bit_length() - 1 + (copies.bit_count() > 1), copies)


@pytest.mark.parametrize(
    ("text", "rescues"),
    [
        pytest.param(OFF_THE_BUS, 1, id="of a line that leads to a rescue"),
        pytest.param(APPLICATION, 0, id="of a line that leads to none"),
    ],
)
async def test_a_storm_is_one_incident_with_its_exact_count(text: str, rescues: int) -> None:
    assert await _storm(text, 20_000) == _price(20_000, rescues)


def _recognises_no_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Incidents, "_repeated", lambda *_: None)


def _tells_every_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Incident, "due", lambda _: True)


def _counts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Incident, "see", lambda *_: None)


def _tells_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Incidents, "flush", lambda _: [])


@pytest.mark.parametrize(
    ("breaks", "text", "cost"),
    [
        pytest.param(
            _recognises_no_repeat, APPLICATION, Cost(300, 0, 0, 1), id="an incident for each copy, where none is known"
        ),
        pytest.param(_tells_every_copy, OFF_THE_BUS, Cost(1, 1, 299, 300), id="a record for each copy"),
        pytest.param(_counts_none, OFF_THE_BUS, Cost(1, 1, 0, 1), id="a count that stays at one"),
        pytest.param(_tells_no_rest, OFF_THE_BUS, Cost(1, 1, 8, 256), id="a count that ends at a power of two"),
    ],
)
async def test_a_broken_memory_costs_more_or_tells_less(
    breaks: Break, text: str, cost: Cost, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    broken = await _storm(text, 300)
    assert broken == cost
    assert broken != _price(300, broken.rescues)
