"""Rule 9: silence is a signal.

What is there now: lines of the driver that no pattern knew are counted, for the summary of a run and as a metric.
What is not there yet: the lag of a consumer, which comes with Kafka, and nodes that have stopped logging.
Broken by a matcher that passes over what it does not know.
"""

import pytest
from prometheus_client import REGISTRY

from pipeline.match.matcher import Matcher
from pipeline.model.fault import Fault, Sighting, UnknownDriverLine
from pipeline.model.line import LogLine
from tests.fakes.intake import OFF_THE_BUS, Inside

ROWS = [
    pytest.param("NVRM: a sentence that no driver has printed so far", 1, id="a driver line that no pattern knows"),
    pytest.param(OFF_THE_BUS, 0, id="a driver line that one knows"),
    pytest.param("usb 1-1: new high-speed USB device", 0, id="a line of another driver"),
]
_match = Matcher.match


def _metric() -> float:
    return REGISTRY.get_sample_value("gpu_rescue_unknown_driver_lines_total") or 0.0


async def _counted(text: str) -> tuple[int, float]:
    """How often the run's own count and the metric went up."""
    inside, before = Inside(), _metric()
    await inside.take(text)
    return inside.recognition.oddities.unknown_driver_lines, _metric() - before


@pytest.mark.parametrize(("text", "count"), ROWS)
async def test_what_no_pattern_knew_is_counted_and_nothing_else(text: str, count: int) -> None:
    assert await _counted(text) == (count, count)


async def test_a_matcher_that_passes_over_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def pass_over(self: Matcher, line: LogLine) -> Fault | Sighting | None:
        found = _match(self, line)
        return None if isinstance(found, UnknownDriverLine) else found

    monkeypatch.setattr(Matcher, "match", pass_over)
    assert await _counted("NVRM: a sentence that no driver has printed so far") == (0, 0)
