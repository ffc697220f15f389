"""Maintenance windows: edges, midnight, zones, days on which clocks change, and every way to write one wrong."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pipeline.decide.windows import HORIZON, Window, Windows
from tests.fakes.places import machine_in

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NIGHT = {"from": "22:00", "to": "06:00"}
BERLIN = {"timezone": "Europe/Berlin"}
SHANGHAI = {"timezone": "Asia/Shanghai"}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


FRIDAY = utc("2026-11-20T12:00")
"""2026-11-20 is a Friday."""


def windows(allow: Any = (), deny: Any = ()) -> Windows:
    return Windows.model_validate({"allow": allow, "deny": deny})


def is_open(setting: Windows, now: datetime) -> bool:
    return setting.opening(now) == now


def test_without_windows_it_is_always_open() -> None:
    assert is_open(windows(), FRIDAY)


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        pytest.param({"from": "10:00", "to": "14:00"}, "2026-11-20T12:00", True, id="inside"),
        pytest.param({"from": "12:00", "to": "14:00"}, "2026-11-20T12:00", True, id="in the moment in which it begins"),
        pytest.param({"from": "12:01", "to": "14:00"}, "2026-11-20T12:00", False, id="before it"),
        pytest.param({"from": "10:00", "to": "12:00"}, "2026-11-20T12:00", False, id="in the moment in which it ends"),
        pytest.param({"from": "10:00", "to": "12:01"}, "2026-11-20T12:00", True, id="in its last minute"),
        pytest.param({}, "2026-11-20T12:00", True, id="all day on all days"),
        pytest.param({"days": ["fri"]}, "2026-11-20T12:00", True, id="all day on this day"),
        pytest.param({"days": ["fri"]}, "2026-11-20T00:00", True, id="from its first moment"),
        pytest.param({"days": ["fri"]}, "2026-11-21T00:00", False, id="to its last"),
        pytest.param({"days": ["thu", "sat"]}, "2026-11-20T12:00", False, id="on other days"),
        pytest.param({"from": "20:00"}, "2026-11-20T23:59", True, id="to midnight"),
        pytest.param({"from": "20:00", "to": "00:00"}, "2026-11-20T23:59", True, id="the same, written otherwise"),
        pytest.param({"to": "08:00"}, "2026-11-20T07:59", True, id="from midnight"),
        pytest.param(NIGHT, "2026-11-20T23:00", True, id="before midnight"),
        pytest.param(NIGHT, "2026-11-20T05:59", True, id="after midnight"),
        pytest.param(NIGHT, "2026-11-20T06:00", False, id="no longer"),
        pytest.param(NIGHT, "2026-11-20T12:00", False, id="not at noon"),
        pytest.param({**NIGHT, "days": ["fri"]}, "2026-11-21T05:59", True, id="the night of Friday is Friday's"),
        pytest.param({**NIGHT, "days": ["sat"]}, "2026-11-21T05:59", False, id="and not Saturday's"),
        pytest.param({**NIGHT, "days": ["sun"]}, "2026-11-23T05:59", True, id="the night of Sunday ends on Monday"),
        pytest.param({**NIGHT, **SHANGHAI}, "2026-11-20T14:00", True, id="22:00 in Shanghai"),
        pytest.param({**NIGHT, **SHANGHAI}, "2026-11-20T22:00", False, id="06:00 in Shanghai"),
        pytest.param({"days": ["sat"], **SHANGHAI}, "2026-11-20T16:00", True, id="Saturday begins earlier there"),
        pytest.param({"days": ["sat"], "timezone": "utc"}, "2026-11-20T16:00", False, id="than here"),
        pytest.param(
            {"from": "2026-11-20T12:00", "to": "2026-11-22T00:00"}, "2026-11-20T12:00", True, id="once, from its date"
        ),
        pytest.param(
            {"from": "2026-11-20T12:01", "to": "2026-11-22T00:00"}, "2026-11-20T12:00", False, id="not before"
        ),
        pytest.param(
            {"from": "2026-11-18T00:00", "to": "2026-11-20T12:00"}, "2026-11-20T12:00", False, id="nor after its end"
        ),
        pytest.param(
            {"from": "2026-11-20T20:00", "to": "2026-11-22T00:00", **SHANGHAI}, "2026-11-20T12:00", True, id="there"
        ),
        pytest.param({"from": date(2026, 11, 20), "to": date(2026, 11, 21)}, "2026-11-20T12:00", True, id="by days"),
    ],
)
def test_a_window_is_open(window: dict[str, Any], now: str, expected: bool) -> None:
    assert is_open(windows(allow=[window]), utc(now)) is expected
    assert is_open(windows(deny=[window]), utc(now)) is not expected


# Clocks go forward on 2026-03-29 at 02:00 in Berlin (01:00 UTC), and back on 2026-10-25 at 03:00 (01:00 UTC).


@pytest.mark.parametrize(
    ("window", "begins", "ends"),
    [
        pytest.param({"from": "01:30", "to": "03:30"}, "2026-03-29T00:30", "2026-03-29T01:30", id="over the gap"),
        pytest.param({"from": "01:30", "to": "02:30"}, "2026-03-29T00:30", "2026-03-29T01:30", id="into the gap"),
        pytest.param({"from": "02:30", "to": "04:00"}, "2026-03-29T01:30", "2026-03-29T02:00", id="out of the gap"),
        pytest.param({"from": "02:15", "to": "02:45"}, "2026-03-29T01:15", "2026-03-29T01:45", id="inside the gap"),
        pytest.param({"from": "01:30", "to": "03:30"}, "2026-10-24T23:30", "2026-10-25T02:30", id="over the repeat"),
        pytest.param({"from": "01:30", "to": "02:30"}, "2026-10-24T23:30", "2026-10-25T01:30", id="into the repeat"),
        pytest.param({"from": "02:30", "to": "04:00"}, "2026-10-25T00:30", "2026-10-25T03:00", id="out of the repeat"),
        pytest.param({"from": "02:15", "to": "02:45"}, "2026-10-25T00:15", "2026-10-25T01:45", id="inside the repeat"),
        pytest.param(
            {"from": "22:00", "to": "06:00", "days": ["sat"]},
            "2026-03-28T21:00",
            "2026-03-29T04:00",
            id="short",
        ),
        pytest.param(
            {"from": "22:00", "to": "06:00", "days": ["sat"]}, "2026-10-24T20:00", "2026-10-25T05:00", id="a long night"
        ),
    ],
)
def test_a_window_on_a_day_on_which_clocks_change(window: dict[str, Any], begins: str, ends: str) -> None:
    setting = windows(allow=[{**window, **BERLIN}])
    first, last = utc(begins), utc(ends)
    moments = (first - MICROSECOND, first, last - MICROSECOND, last)
    assert [is_open(setting, moment) for moment in moments] == [False, True, True, False]


def test_a_window_that_the_change_of_clocks_swallows_does_not_open() -> None:
    setting = windows(allow=[{"from": "02:30", "to": "03:00", **BERLIN}])
    midnight = utc("2026-03-28T23:00")
    assert setting.opening(midnight) == utc("2026-03-30T00:30")
    assert not any(is_open(setting, midnight + number * MINUTE) for number in range(24 * 60))


@pytest.mark.parametrize(
    ("allow", "deny", "now", "expected"),
    [
        pytest.param([NIGHT], [], "2026-11-20T12:00", "2026-11-20T22:00", id="tonight"),
        pytest.param([{**NIGHT, "days": ["thu"]}], [], "2026-11-20T12:00", "2026-11-26T22:00", id="in six days"),
        pytest.param([{**NIGHT, "days": ["fri"]}], [], "2026-11-21T06:00", "2026-11-27T22:00", id="in a week"),
        pytest.param(
            [{**NIGHT, "days": ["mon"]}, {"from": "20:00", "to": "21:00"}],
            [],
            "2026-11-20T12:00",
            "2026-11-20T20:00",
            id="the first of several",
        ),
        pytest.param([], [{"from": "09:00", "to": "17:00"}], "2026-11-20T12:00", "2026-11-20T17:00", id="after work"),
        pytest.param(
            [],
            [{"from": "09:00", "to": "17:00"}, {"from": "17:00", "to": "20:00"}],
            "2026-11-20T12:00",
            "2026-11-20T20:00",
            id="after one that follows on another",
        ),
        pytest.param(
            [],
            [{"from": "09:00", "to": "17:00"}, {"from": "11:00", "to": "13:00"}],
            "2026-11-20T12:00",
            "2026-11-20T17:00",
            id="after the longer one of two",
        ),
        pytest.param(
            [NIGHT],
            [{"from": "2026-11-20T00:00", "to": "2026-11-23T12:00"}],
            "2026-11-20T23:00",
            "2026-11-23T22:00",
            id="after a freeze, when a window opens",
        ),
        pytest.param(
            [NIGHT],
            [{"from": "2026-11-20T00:00", "to": "2026-11-23T23:00"}],
            "2026-11-20T12:00",
            "2026-11-23T23:00",
            id="after a freeze that ends in a window",
        ),
        pytest.param(
            [{"from": "2026-12-01T00:00", "to": "2026-12-02T00:00"}],
            [],
            "2026-11-20T12:00",
            "2026-12-01T00:00",
            id="the one date",
        ),
        pytest.param(
            [{"from": "22:00", "to": "23:00", "timezone": "America/Los_Angeles"}],
            [],
            "2026-11-21T05:00",
            "2026-11-21T06:00",
            id="tonight there, where it is a day earlier",
        ),
    ],
)
def test_the_next_opening(allow: Any, deny: Any, now: str, expected: str) -> None:
    assert windows(allow, deny).opening(utc(now)) == utc(expected)


def test_the_next_opening_is_told_by_the_clock_of_the_site() -> None:
    opening = windows([{**NIGHT, **SHANGHAI}], [{"from": "12:00", "to": "13:00"}]).opening(FRIDAY)
    assert opening is not None
    assert opening.isoformat() == "2026-11-20T22:00:00+08:00"
    denied = windows([], [{"from": "12:00", "to": "21:00", **SHANGHAI}]).opening(FRIDAY)
    assert denied is not None
    assert denied.isoformat() == "2026-11-20T21:00:00+08:00"


@pytest.mark.parametrize(
    ("allow", "deny"),
    [
        pytest.param([{"from": "2026-11-01T00:00", "to": "2026-11-02T00:00"}], [], id="the one date is over"),
        pytest.param([], [{}], id="denied all day on all days"),
        pytest.param([NIGHT], [{"from": "21:00", "to": "07:00"}], id="denied whenever it is allowed"),
        pytest.param([], [{"from": "2026-01-01T00:00", "to": "2036-01-01T00:00"}], id="denied for ten years"),
    ],
)
def test_there_may_be_no_opening_within_a_year(allow: Any, deny: Any) -> None:
    assert windows(allow, deny).opening(FRIDAY) is None


def test_an_opening_is_looked_for_a_year_ahead() -> None:
    def freeze(end: datetime) -> Any:
        return [{"from": "2026-01-01T00:00", "to": end.replace(tzinfo=None).isoformat()}]

    assert timedelta(days=366) == HORIZON
    assert windows([], freeze(FRIDAY + HORIZON)).opening(FRIDAY) == FRIDAY + HORIZON
    assert windows([], freeze(FRIDAY + HORIZON + MINUTE)).opening(FRIDAY) is None


CLOCK = st.integers(0, 24 * 4 - 1).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
DAYS = st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1, unique=True)
ZONES = st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])
WINDOW = st.fixed_dictionaries({"days": DAYS, "from": CLOCK, "to": CLOCK, "timezone": ZONES})
SOME = st.lists(WINDOW.filter(lambda window: window["from"] != window["to"]), max_size=3)


@settings(deadline=None, max_examples=30)
@given(SOME, SOME, st.integers(0, 400 * 24 * 4))
def test_it_is_closed_until_the_next_opening_and_open_then(allow: Any, deny: Any, quarters: int) -> None:
    setting = windows(allow, deny)
    now = FRIDAY + quarters * 15 * MINUTE
    opening = setting.opening(now)
    if opening is None:
        assert not any(is_open(setting, now + hours * HOUR) for hours in range(0, 8 * 24, 37))
    else:
        assert is_open(setting, opening)
        steps = min(int((opening - now) / (15 * MINUTE)), 30)
        assert not any(is_open(setting, now + step * 15 * MINUTE) for step in range(steps))


@pytest.mark.parametrize(
    ("window", "told"),
    [
        pytest.param({"from": 1320}, "1320 is neither a time of day nor a date; write a time of day in q", id="bare"),
        pytest.param({"from": "24:01"}, "'24:01' is neither a time of day nor a date", id="after midnight"),
        pytest.param({"from": "22:60"}, "'22:60' is neither a time of day nor a date", id="minute 60"),
        pytest.param({"from": "10pm"}, "'10pm' is neither a time of day nor a date", id="half a day's clock"),
        pytest.param({"to": None}, "None is neither a time of day nor a date", id="nothing"),
        pytest.param({"to": True}, "True is neither a time of day nor a date", id="yes"),
        pytest.param(
            {"from": "2026-12-24T00:00+08:00", "to": "2026-12-27T00:00"},
            "2026-12-24 00:00:00+08:00 has a zone of its own, which belongs under timezone",
            id="a date with a zone",
        ),
        pytest.param({"from": "10:00", "to": "10:00"}, "it begins at 10:00 and ends at 10:00; a whole day", id="empty"),
        pytest.param({"from": "24:00", "to": "06:00"}, "it begins at 24:00 and ends at 06:00; a whole day", id="24:00"),
        pytest.param(
            {"from": "2026-12-24T00:00", "to": "06:00"},
            "from and to must both be times of day or both dates; write",
            id="a date and a time",
        ),
        pytest.param(
            {"from": "10:00", "to": "2026-12-24T00:00"},
            "from and to must both be times of day or both dates; write",
            id="a time and a date",
        ),
        pytest.param(
            {"from": "2026-12-24T00:00", "to": "2026-12-24T00:00"},
            "it ends at 2026-12-24T00:00, which is not after 2026-12-24T00:00, when it begins",
            id="an empty date",
        ),
        pytest.param(
            {"from": "2026-12-24T00:00", "to": "2026-12-27T00:00", "days": ["mon"]},
            "Value error, days go with times of day; a window between two dates comes once [type=value_error",
            id="days of dates",
        ),
        pytest.param({"days": []}, "at least 1 item", id="no day"),
        pytest.param({"days": ["monday"]}, "Input should be 'mon', 'tue'", id="a day in full"),
        pytest.param({"timezone": "China/Beijing"}, "'China/Beijing' is not a time zone; write an", id="no zone"),
        pytest.param({"start": "10:00"}, "Extra inputs are not permitted", id="an unknown key"),
    ],
)
def test_a_window_is_refused(window: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Window.model_validate(window)
    assert told in str(refused.value)


def test_a_window_is_written_as_people_write_it() -> None:
    nightly = Window.model_validate({"from": "22:05", "to": "06:00"})
    once = Window.model_validate({"from": "2026-12-24", "to": datetime(2026, 12, 27, 6, 30)})  # noqa: DTZ001
    assert nightly.model_dump(by_alias=True)["from"] == "22:05"
    assert once.model_dump(by_alias=True)["from"] == "2026-12-24T00:00"
    assert once.model_dump(by_alias=True)["to"] == "2026-12-27T06:30"
    assert Window.model_validate(nightly.model_dump(by_alias=True)) == nightly
    assert TypeAdapter(Window).json_schema()["properties"]["to"]["default"] == "24:00"
    assert Window.model_validate({"from": timedelta(hours=3)}).model_dump()["start"] == "03:00"


def test_a_window_begins_and_ends_in_utc_wherever_the_machine_stands() -> None:
    nightly = Window.model_validate({**NIGHT, **SHANGHAI})
    with machine_in("America/New_York"):
        ends, begins = nightly.end_of(utc("2026-11-20T15:00")), nightly.next_start(FRIDAY)
    assert (str(begins), str(ends)) == ("2026-11-20 14:00:00+00:00", "2026-11-20 22:00:00+00:00")
