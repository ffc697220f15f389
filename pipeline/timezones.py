"""Time zones as operators name them: UTC, or a name of the IANA data base."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo


def parse_timezone(name: str) -> tzinfo:
    """Return the zone of that name; raise ValueError, naming what would be right, for one that nobody knows."""
    # UTC must not depend on the machine's zone files, which small images leave out.
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; write an IANA name such as Asia/Shanghai, or UTC") from error
