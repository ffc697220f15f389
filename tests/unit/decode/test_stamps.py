"""Time as shippers write it: units told apart by size, years inferred, zones applied, nonsense refused."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.stamps import Stamps

RECEIVED = datetime(2024, 7, 4, 12, 0, tzinfo=UTC)
STAMPS = Stamps(UTC, RECEIVED)
AT = datetime(2024, 7, 4, 3, 9, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("says", "value"),
    [
        ("seconds", 1720062580),
        ("seconds as text", "1720062580"),
        ("seconds as a fraction", 1720062580.0),
        ("milliseconds", 1720062580000),
        ("microseconds as text", "1720062580000000"),
        ("nanoseconds as text", "1720062580000000000"),
        ("ISO 8601 in UTC", "2024-07-04T03:09:40Z"),
        ("ISO 8601 with an offset", "2024-07-04T11:09:40.000+08:00"),
        ("ISO 8601 with nine digits", "2024-07-04T03:09:40.000000123Z"),
        ("ISO 8601 without a zone", "2024-07-04 03:09:40"),
        ("the basic form", "20240704T030940Z"),
        ("syslog's", "Jul  4 03:09:40"),
        ("syslog's with a year", "Jul  4 2024 03:09:40"),
    ],
)
def test_a_stamp_is_read(says: str, value: object) -> None:
    assert STAMPS.moment(value) == AT


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            True,
            "",
            "soon",
            "11:09:40",
            "2024-07-04",
            "2024-13-45T00:00:00Z",
            "Foo  4 03:09:40",
            "Jul 44 03:09:40",
        ),
        *(
            "13月 4 03:09:40",
            "A월 4 03:09:40",
            "1970-01-01T00:00:03Z",
            3023.05,
            0,
            -1,
            float("nan"),
            float("inf"),
            10**30,
            "9" * 25,
            [],
        ),
        *({}, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    ],
    ids=repr,
)
def test_what_is_no_time_of_a_log_is_refused(value: object) -> None:
    assert STAMPS.moment(value) is None


@pytest.mark.parametrize(
    ("says", "received", "stamp", "expected"),
    [
        ("a line of the last year", datetime(2025, 1, 1, 0, 0, 5, tzinfo=UTC), "Dec 31 23:59:58", 2024),
        (
            "a clock that runs ahead over New Year",
            datetime(2024, 12, 31, 23, 59, 58, tzinfo=UTC),
            "Jan  1 00:00:03",
            2025,
        ),
        ("not more than a day ahead", datetime(2024, 7, 4, 12, 0, tzinfo=UTC), "Jul  5 13:00:00", 2023),
        ("29 February", datetime(2027, 3, 1, tzinfo=UTC), "Feb 29 12:00:00", 2024),
    ],
)
def test_the_year_is_the_nearest_that_is_not_ahead(says: str, received: datetime, stamp: str, expected: int) -> None:
    moment = Stamps(UTC, received).moment(stamp)

    assert moment is not None
    assert moment.year == expected


def test_stamps_without_a_zone_take_the_settings_zone() -> None:
    stamps = Stamps(ZoneInfo("Asia/Shanghai"), RECEIVED)

    assert stamps.moment("Jul  4 11:09:40") == AT
    assert stamps.moment("2024-07-04T11:09:40") == AT
    assert stamps.moment("2024-07-04T03:09:40Z") == AT


def moments(first: int, last: int) -> st.SearchStrategy[datetime]:
    begin, end = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (first, last))
    return st.datetimes(begin, end, timezones=st.just(UTC))


@given(
    received=moments(2010, 2090),
    ahead=st.timedeltas(timedelta(days=-360), timedelta(hours=23)),
    hours=st.integers(-12, 14),
)
def test_any_stamp_within_a_year_is_dated_right(received: datetime, ahead: timedelta, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    written = (received + ahead).astimezone(zone).replace(microsecond=0)

    assert Stamps(zone, received).moment(written.strftime("%b %d %H:%M:%S")) == written


@given(moments(2001, 2199))
def test_every_unit_names_the_same_moment(moment: datetime) -> None:
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    assert STAMPS.moment(str(micros)) == moment
    assert STAMPS.moment(micros * 1000) == moment
    assert STAMPS.moment(micros // 1000) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert STAMPS.moment(micros // 1_000_000) == moment.replace(microsecond=0)
