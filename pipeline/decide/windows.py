"""Maintenance windows: when a step that disturbs running jobs may be taken, by the clocks of the site."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, model_validator

from pipeline.documents import Strict
from pipeline.timezones import TimezoneName, parse_timezone

_CLOCK = re.compile(r"([0-9]{2}):([0-5][0-9])")
_DAY = timedelta(days=1)
_WEEK = 7
_FORMS = 'write a time of day in quotes, like "22:00", or a date like 2026-12-24T00:00'

HORIZON = timedelta(days=366)
"""How far ahead the next opening is looked for."""


class Day(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


def _edge(value: Any) -> timedelta | datetime:
    """Return a time of day as the time since midnight, a date as that moment by the clock of its place."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, timedelta) or (isinstance(value, datetime) and value.tzinfo is None):
        return value
    # YAML reads a bare 22:00 as the number 1320.
    zoned = f"{value} has a zone of its own, which belongs under timezone"
    raise ValueError(
        zoned if isinstance(value, datetime) else f"{value!r} is neither a time of day nor a date; {_FORMS}"
    )


def _parsed(text: str) -> Any:
    if (clock := _CLOCK.fullmatch(text)) is not None:
        of_day = timedelta(hours=int(clock[1]), minutes=int(clock[2]))
        return of_day if of_day <= _DAY else text
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _written(edge: timedelta | datetime) -> str:
    if isinstance(edge, datetime):
        return edge.isoformat(timespec="minutes")
    hours, minutes = divmod(edge // timedelta(minutes=1), 60)
    return f"{hours:02}:{minutes:02}"


Edge = Annotated[
    timedelta | datetime,
    PlainValidator(_edge, json_schema_input_type=str),
    PlainSerializer(_written, return_type=str),
]
"""Where a window begins or ends: a time of day ("22:00"), or a date (2026-12-24T00:00)."""


class Window(Strict):
    """A time by the clock of `timezone`: on days of the week or, with dates, once.

    One that ends no later in the day than it begins goes over midnight, and belongs to the day on which it begins. When
    the clocks go forward, a time that they skip counts as that much later; when they go back, a window begins at the
    first and ends at the second of two equal times.
    """

    days: tuple[Day, ...] = Field(
        tuple(Day), min_length=1, description="Days of the week on which it begins; all of them if not set."
    )
    start: Edge = Field(
        timedelta(0),
        alias="from",
        description="When it begins: a time of day, or a date.",
        json_schema_extra={"default": "00:00"},
    )
    end: Edge = Field(
        _DAY, alias="to", description="When it ends: the same kind.", json_schema_extra={"default": "24:00"}
    )
    timezone: TimezoneName = Field(
        "UTC", description="Whose clock it goes by: an IANA name such as Asia/Shanghai, or UTC."
    )

    @model_validator(mode="after")
    def _is_a_time(self) -> "Window":
        problem = _problem(self.start, self.end, "days" in self.model_fields_set)
        if problem is not None:
            raise ValueError(problem)
        return self

    @property
    def zone(self) -> tzinfo:
        """Whose clock it goes by."""
        return parse_timezone(self.timezone)

    def end_of(self, moment: datetime) -> datetime | None:
        """Return when the window that is open at *moment* ends, in UTC; None when none is."""
        today = moment.astimezone(self.zone).date()
        return next((end for start, end in self._openings(today - _DAY, 2) if start <= moment < end), None)

    def next_start(self, moment: datetime) -> datetime | None:
        """Return when it begins next after *moment*, in UTC; None when it never does again."""
        today = moment.astimezone(self.zone).date()
        return next((start for start, _ in self._openings(today, _WEEK + 2) if start > moment), None)

    def _openings(self, first: date, days: int) -> Iterator[tuple[datetime, datetime]]:
        """Yield when it begins and ends, in UTC, for the windows that begin on so many days, or the only one."""
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            yield self._between(self.start, self.end)
        elif isinstance(self.start, timedelta) and isinstance(self.end, timedelta):
            for number in range(days):
                midnight = datetime.combine(first, time.min) + number * _DAY
                if tuple(Day)[midnight.weekday()] in self.days:
                    length = self.end if self.end > self.start else self.end + _DAY
                    yield self._between(midnight + self.start, midnight + length)

    def _between(self, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        return _instant(start, self.zone, 0), max(_instant(end, self.zone, 0), _instant(end, self.zone, 1))


def _problem(first: timedelta | datetime, last: timedelta | datetime, on_days: bool) -> str | None:
    if isinstance(first, datetime) and isinstance(last, datetime):
        if on_days:
            return "days go with times of day; a window between two dates comes once"
        if first >= last:
            return f"it ends at {_written(last)}, which is not after {_written(first)}, when it begins"
        return None
    if isinstance(first, datetime) or isinstance(last, datetime):
        return f"from and to must both be times of day or both dates; {_FORMS}"
    whole = 'a whole day is from "00:00" to "24:00"'
    return f"it begins at {_written(first)} and ends at {_written(last)}; {whole}" if first in (last, _DAY) else None


def _instant(on_the_wall: datetime, zone: tzinfo, fold: int) -> datetime:
    # In UTC, because Python compares two times of one zone by what the clock shows, whatever the offset is.
    return on_the_wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


class Windows(Strict):
    """When steps that disturb running jobs may be taken: in any window of `allow`, and in none of `deny`."""

    allow: tuple[Window, ...] = Field((), description="Windows in which they may; at any time if there are none.")
    deny: tuple[Window, ...] = Field(
        (), description="Windows in which they may not, whatever `allow` says, and in which no reboot is asked for."
    )

    @property
    def denying(self) -> "Windows":
        """Those of `deny` alone."""
        return Windows(deny=self.deny)

    def opening(self, now: datetime) -> datetime | None:
        """Return *now* if they may be taken now, else from when on, by the clock of the first window.

        None when that is never within a year (HORIZON).
        """
        moment = now
        while moment <= now + HORIZON:
            denied = [end for window in self.deny if (end := window.end_of(moment)) is not None]
            if denied:
                moment = max(denied)
            elif not self.allow or any(window.end_of(moment) is not None for window in self.allow):
                return moment if moment == now else moment.astimezone((*self.allow, *self.deny)[0].zone)
            else:
                starts = [start for window in self.allow if (start := window.next_start(moment)) is not None]
                if not starts:
                    return None
                moment = min(starts)
        return None
