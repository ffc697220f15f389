"""When a line happened, of all the stamps that the layers around it bear.

An event comes before everything that is done with it, so that of two stamps the earlier is the truer: the other is when
something read the line, maybe weeks later (a shipper that has lost its place in the file, a new node). But a stamp that
names no zone may only seem earlier, and the kernel's wall time (`dmesg -T`) drifts. Such a one outranks the shipper's
only where neither explains the difference.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

_ZONES = timedelta(hours=26)
"""How far apart two zones can be: UTC+14 and UTC-12. No usual drift of the kernel's wall time is as large."""

_CLOCK_LOST = timedelta(days=3653)
"""A stamp so much earlier than another is of a clock that was never set, or no time at all."""


class EventTime(NamedTuple):
    """The stamps so far, each in UTC, read by the settings' zone where it names none.

    `zoned` is the earliest that names its zone. `field` and `header` are the first that names none in a record's fields
    and in a line's headers. `oldest` is the earliest that names none, the kernel's wall times with them.
    """

    zoned: datetime | None = None
    field: datetime | None = None
    header: datetime | None = None
    oldest: datetime | None = None

    def and_field(self, moment: datetime, *, zoned: bool) -> "EventTime":
        """Return these stamps and that of a record's field."""
        if zoned:
            return self._and_zoned(moment)
        return EventTime(self.zoned, self.field or moment, self.header, _earlier(self.oldest, moment))

    def and_header(self, moment: datetime, *, zoned: bool) -> "EventTime":
        """Return these stamps and that of a line's header."""
        if zoned:
            return self._and_zoned(moment)
        return EventTime(self.zoned, self.field, self.header or moment, _earlier(self.oldest, moment))

    def and_kernel(self, moment: datetime) -> "EventTime":
        """Return these stamps and a wall time of the kernel's, which tells of an old line and of nothing else."""
        return EventTime(self.zoned, self.field, self.header, _earlier(self.oldest, moment))

    def _and_zoned(self, moment: datetime) -> "EventTime":
        if self.zoned is None:
            return EventTime(moment, self.field, self.header, self.oldest)
        earlier = _earlier(self.zoned, moment)
        return self if earlier is self.zoned else EventTime(earlier, self.field, self.header, self.oldest)

    def told(self) -> datetime | None:
        """Return the time that fields tell, else headers; None where none does."""
        return self.zoned or self.field or self.header

    def best(self, stamp: datetime | None, received: datetime) -> datetime | None:
        """Return when the line happened; None where nothing tells it.

        *stamp*, the stream's own, counts where no field and no header tells a time. *received* only shows that a line
        is old of which nothing but the kernel's wall time is known.
        """
        told = self.told() or stamp
        if self.oldest is not None and _ZONES < (told or received) - self.oldest < _CLOCK_LOST:
            return self.oldest
        return told


UNKNOWN = EventTime()


def _earlier(one: datetime | None, other: datetime) -> datetime:
    if one is None:
        return other
    first, last = (one, other) if one < other else (other, one)
    return first if last - first < _CLOCK_LOST else last
