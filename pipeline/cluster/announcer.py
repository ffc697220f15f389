"""What people see of us at a node, with kubectl: events, and who puts them there."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

COMPONENT = "gpu-rescue"
"""Who our events are from."""


class Level(StrEnum):
    """The `type` of an event."""

    NORMAL = "Normal"
    WARNING = "Warning"


class AnnouncedReason(StrEnum):
    """The `reason` of an event: what was seen on the node, or what was done to it."""

    XID_ERROR = "XidError"
    SXID_ERROR = "SXidError"
    GPU_FAULT = "GpuFault"
    RESCUE_PLANNED = "RescuePlanned"
    RESCUE_ESCALATED = "RescueEscalated"
    RESCUE_HELD = "RescueHeld"
    RESCUE_WITHDRAWN = "RescueWithdrawn"
    RESCUE_SUCCEEDED = "RescueSucceeded"
    RESCUE_FAILED = "RescueFailed"
    RESCUE_CANCELLED = "RescueCancelled"
    NODE_CORDONED = "NodeCordoned"
    NODE_DRAINED = "NodeDrained"
    NODE_REBOOTED = "NodeRebooted"
    NODE_UNCORDONED = "NodeUncordoned"
    NODE_OFFLINE = "NodeOffline"
    STANDBY_ENABLED = "WarmStandbyEnabled"


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event about a node, which has happened `count` times from `first` to `last`.

    Two of the same `series` are the same event, told again: by another replica, after a crash, or with a count that has
    grown.
    """

    node: str
    series: str
    level: Level
    reason: AnnouncedReason
    message: str
    count: int
    first: datetime
    last: datetime

    def over(self, known: "Announcement") -> "Announcement":
        """Return what both tell, in the words of this one; a count never falls, whichever of the two comes late."""
        first, last = min(self.first, known.first), max(self.last, known.last)
        return replace(self, count=max(self.count, known.count), first=first, last=last)


class Announcer(Protocol):
    """Where events are put. They are best effort: nothing else depends on them."""

    async def announce(self, told: Announcement) -> None:
        """Put the event there, or bring the one of its series up to date; twice is once.

        Raises TemporaryError when it may succeed later, PermanentError when the server refuses.
        """
        ...
