"""The kernel's line in an event that an agent on the node has written."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

# The message that the origin's agent writes (DESIGN.md, section 3), in either language, and what it calls a fault.
_ORIGIN = re.compile(r"pci:(?P<pci>[0-9A-Fa-f:.]+),\s*xid:(?P<xid>\d+),\s*(?:日志|log):\s*(?P<message>.*)", re.DOTALL)

# What client-go's recorder puts before a message when it counts several events as one.
_COMBINED = "(combined from similar events): "


@dataclass(frozen=True, slots=True)
class NodeEventSeen:
    """An event about a node as it was last seen; `count` is how often it has happened, `time` when it last did."""

    uid: str
    place: str
    node: str
    message: str
    count: int
    time: datetime

    @property
    def position(self) -> str:
        """What names this occurrence: the same whenever it is read."""
        return f"events:{self.place}:{self.count}@{self.uid}"

    def envelope(self) -> bytes:
        """Return it as a shipper would deliver the kernel's line."""
        line = {"host": self.node, "time": self.time.isoformat(), "facility": "kern", "message": self.message}
        return orjson.dumps(line)


def seen(event: dict[str, Any]) -> NodeEventSeen:
    """Read an event of core/v1, whichever of the two APIs and recorders has written it.

    `count` and `lastTimestamp` are the old recorder's; the new one has `eventTime`, and for what happens again a
    `series`, whose first count is 2.
    """
    metadata, series = event["metadata"], event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    time = next((told for told in times if told), None) or metadata["creationTimestamp"]
    return NodeEventSeen(
        metadata["uid"],
        f"{metadata['namespace']}/{metadata['name']}",
        event["involvedObject"]["name"],
        kernel_line(event.get("message") or ""),
        series.get("count") or event.get("count") or 1,
        datetime.fromisoformat(time).astimezone(UTC),
    )


def kernel_line(message: str) -> str:
    """Return the kernel's text in a message: what the origin's agent made of a line is made a line again."""
    message = message.removeprefix(_COMBINED)
    found = _ORIGIN.search(message)
    return f"NVRM: Xid (PCI:{found['pci']}): {found['xid']}, {found['message']}" if found else message
