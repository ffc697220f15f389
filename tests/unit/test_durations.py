"""Durations as operators write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20min", timedelta(minutes=20)),
        ("1day3h5min", timedelta(days=1, hours=3, minutes=5)),
        ("1day 3h 5min", timedelta(days=1, hours=3, minutes=5)),
        ("90s", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        ("2w", timedelta(weeks=2)),
        ("0s", timedelta(0)),
    ],
)
def test_what_is_a_duration(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "5", "5.0", "-5min", "+5min", "1:30:00", "500ms", "1month", "soon", "5m5m", "9" * 30 + "days", "٣min"],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write it like 20min, 1day3h5min or 90s"):
        parse_duration(text)


@given(st.integers(0, 10**9).map(lambda seconds: timedelta(seconds=seconds)))
def test_what_is_written_is_read_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert parse_duration(text) >= timedelta(0)
    except ValueError as error:
        assert "is not a duration" in str(error)
