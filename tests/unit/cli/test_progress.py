"""How far a reading is, where nobody looks at a bar."""

from typing import Any

import pytest
import structlog

from pipeline.backtest.reading import Progress
from pipeline.cli.progress import LogLines, position
from tests.fakes.backtests import MORNING


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def told(seconds: Seconds, at: list[float]) -> list[Any]:
    """The log lines after reports at these seconds."""
    with structlog.testing.capture_logs() as logs:
        lines = LogLines(seconds)
        for moment in at:
            seconds.now = moment
            lines(Progress(200, bytes_read=int(moment), lines=3, at=MORNING))
    return logs


def test_a_line_is_written_every_ten_seconds(seconds: Seconds) -> None:
    logs = told(seconds, [1, 9.9, 10, 11, 19, 25, 36])
    assert [line["bytes"] for line in logs] == [10, 25, 36]


def test_a_line_says_how_far_by_bytes_lines_and_log_time(seconds: Seconds) -> None:
    (line,) = told(seconds, [50])
    assert line == {
        "event": "backtest.reading",
        "log_level": "info",
        "percent": 25.0,
        "bytes": 50,
        "bytes_total": 200,
        "lines": 3,
        "log_time": MORNING.isoformat(),
    }


def test_what_takes_less_says_nothing(seconds: Seconds) -> None:
    assert told(seconds, [1, 2, 9]) == []


def test_a_bar_says_lines_and_log_time() -> None:
    assert position(Progress(1, lines=1234567, at=MORNING)) == "1,234,567 lines, log at 2024-03-05 08:00"
    assert position(Progress(1)) == "0 lines"
