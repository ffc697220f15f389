"""Durations as operators write them: `20min`, `1day3h5min`, `90s`."""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pytimeparse.timeparse import timeparse

_WITH_UNITS = re.compile(r"\s*([0-9.]+\s*[A-Za-z]+[\s,]*)+", re.ASCII)
_LONGEST = timedelta(days=36_500).total_seconds()


def parse_duration(text: str) -> timedelta:
    """Return the duration that *text* writes in weeks, days, hours, minutes and seconds.

    Raises ValueError, naming what would be right, for anything negative, unknown or without a unit.
    """
    # timeparse also takes signs, clocks (1:30:00) and bare numbers, which mean different things to different people.
    seconds = timeparse(text) if _WITH_UNITS.fullmatch(text) else None
    if seconds is None or seconds > _LONGEST:
        raise ValueError(f"{text!r} is not a duration; write it like 20min, 1day3h5min or 90s")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it, to the second: `1day3h5min`."""
    return _written(int(duration.total_seconds()))


@lru_cache(maxsize=4096)
def _written(seconds: int) -> str:
    """The same of whole seconds: the gate tells the age of every line, and those of a storm are of few ages."""
    rest, parts = seconds, []
    for unit, size in (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _validated(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"{value!r} is not a duration; write it with its unit, like 20min, 1day3h5min or 90s")


Duration = Annotated[
    timedelta,
    BeforeValidator(_validated),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["90s", "20min", "1day3h5min"]}),
]
"""A pydantic field that takes a duration as text."""
