"""Time as shippers write it: ISO 8601, syslog's month and day, or a number since 1970."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

ISO = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?"
"""ISO 8601 with a time of day, as an expression; the zone may be missing."""

MONTH_DAY = (
    r"(?P<month>[^\W\d_]{2,12}\.?|\d{1,2}[月월])\s+(?P<day>\d{1,2})\s+(?:(?P<year>\d{4})\s+)?"
    r"(?P<clock>\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?)"
)
"""RFC 3164, section 4.1.2, as an expression: the month's name in any language, and a year where a device adds one."""

# As dmesg -T (`Thu Jul  4 11:09:40 2024`) and dmesg -e (`Jul04 11:09`) write it.
_WALL_TIME = re.compile(
    r"(?:\S{1,20}\s+)?(?P<month>[^\W\d_]{2,12}\.?|\d{1,2}[月월])\s*(?P<day>\d{1,2})\s+"
    r"(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)(?:\s+(?P<year>\d{4}))?"
)
_MONTH_DAY = re.compile(MONTH_DAY)
_DIGITS = re.compile(r"-?\d{1,25}(?:\.\d{1,9})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Anything earlier is seconds since the boot, or a machine that has lost its clock.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

# Abbreviations as the C library prints them. A name that two languages use for different months (Polish and Croatian
# `lip`, `lis`) is left out: no time is better than a wrong one.
_MONTH_NAMES = (
    "jan janv ene gen sty янв led",
    "feb févr fév fev lut фев úno",
    "mar mars mär mrz märz мар bře",
    "apr avr abr kwi апр dub",
    "may mai maj mag мая май kvě",
    "jun juin giu cze июн čen",
    "jul juil lug июл čec",
    "aug août aoû ago sie авг",
    "sep sept set wrz сен zář",
    "oct okt ott out paź окт říj",
    "nov noy ноя",
    "dec déc dez dic gru дек pro",
)
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}


Stamp = tuple[datetime | None, bool]
"""A time in UTC, None where there is none, and whether it names its zone."""


@dataclass(frozen=True, slots=True)
class Stamps:
    """Reads stamps; `zone` is that of stamps that name none, `received` dates those without a year."""

    zone: tzinfo
    received: datetime

    def moment(self, value: object) -> datetime | None:
        """Return the time that a field of a record holds, in UTC; None if it holds none, or one before 2000."""
        return self.read(value)[0]

    def read(self, value: object) -> Stamp:
        """Return what `moment` does, and whether the field names the time's zone; a number since 1970 is UTC's."""
        if isinstance(value, str):
            text = value.strip()
            if text[4:5] == "-":
                return self.iso(text)
            if _DIGITS.fullmatch(text):
                return _since_1970(float(text) if "." in text else int(text)), True
            if match := _MONTH_DAY.fullmatch(text):
                return self.month_day(match), False
            return self.iso(text)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _since_1970(value), True
        return None, False

    def iso(self, text: str) -> Stamp:
        """Return the time that ISO 8601 text names, in UTC, and whether it names its zone.

        A date without a time of day is none.
        """
        if len(text) < len("20240704T110940"):
            return None, False
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None, False
        return self._utc(moment), moment.tzinfo is not None

    def wall_time(self, text: str) -> datetime | None:
        """Return the time that dmesg writes instead of the kernel's own, in UTC; None if it is none, or before 2000."""
        if text[4:5] == "-":
            return self.iso(text)[0]
        match = _WALL_TIME.fullmatch(text)
        return self.month_day(match) if match else None

    def month_day(self, match: re.Match[str], read: datetime | None = None) -> datetime | None:
        """Return the time that the groups of `MONTH_DAY` name, in UTC.

        The year, where none is given, is the one that brings the time closest to when the line was *read* (`received`
        where that is not known) and not more than a day after it (a clock may run ahead).
        """
        month = _month(match["month"])
        if month is None:
            return None
        hour, minute, *seconds = match["clock"].split(":")
        second = seconds[0] if seconds else "0"
        whole, _, fraction = second.replace(",", ".").partition(".")
        clock = int(hour), int(minute), int(whole), int(fraction[:6].ljust(6, "0"))
        latest = (read or self.received) + timedelta(days=1)
        # 29 February may be eight years back.
        years = [int(match["year"])] if match["year"] else range(latest.year, latest.year - 9, -1)
        for year in years:
            try:
                moment = self._utc(datetime(year, month, int(match["day"]), *clock, tzinfo=self.zone))
            except ValueError:
                continue
            if moment and (match["year"] or moment <= latest):
                return moment
        return None

    def _utc(self, moment: datetime) -> datetime | None:
        try:
            aware = (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).astimezone(UTC)
        except OverflowError:
            return None
        return aware if aware >= _EARLIEST else None


def _month(name: str) -> int | None:
    if name[-1] in "月월":
        number = int(name[:-1]) if name[:-1].isdecimal() else 0
        return number if 1 <= number <= 12 else None
    return _MONTHS.get(name.lower().rstrip("."))


def _since_1970(number: float) -> datetime | None:
    """Tell seconds, ms, µs and ns apart by size: in each unit the years 2000 to 5000 lie within one of these bounds."""
    try:
        if number < 1e11:
            microseconds = round(number * 1_000_000)
        elif number < 1e14:
            microseconds = round(number * 1_000)
        else:
            microseconds = round(number) if number < 1e17 else int(number) // 1_000
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except (ValueError, OverflowError):
        return None
    return moment if moment >= _EARLIEST else None
