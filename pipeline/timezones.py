"""Time zones as operators name them: UTC, or a name of the IANA data base."""

from datetime import UTC, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator


def parse_timezone(name: str) -> tzinfo:
    """Return the zone of that name; raise ValueError, naming what would be right, for one that nobody knows."""
    # UTC must not depend on the machine's zone files, which small images leave out.
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; write an IANA name such as Asia/Shanghai, or UTC") from error


def _known(name: str) -> str:
    parse_timezone(name)
    return name


TimezoneName = Annotated[str, AfterValidator(_known)]
"""A field that holds the name as it was written, and refuses one that nobody knows."""
