"""What a record tells people at the node: at most one event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from pipeline.cluster.announcer import AnnouncedReason, Announcement, Level
from pipeline.documents import Strict
from pipeline.execute.ecs import FAULTS
from pipeline.model.fault import Drill, Lookup
from pipeline.model.plan import ActionName
from pipeline.model.rescue import EventAction
from sinks.base import Record

Language = Literal["zh", "en"]

_OF_KIND: Mapping[str, tuple[str, AnnouncedReason]] = {
    "xid": ("Xid", AnnouncedReason.XID_ERROR),
    "sxid": ("SXid", AnnouncedReason.SXID_ERROR),
}
_OF_RESCUE: Mapping[EventAction, tuple[Level, AnnouncedReason]] = {
    EventAction.RESCUE_PLANNED: (Level.NORMAL, AnnouncedReason.RESCUE_PLANNED),
    EventAction.RESCUE_ESCALATED: (Level.NORMAL, AnnouncedReason.RESCUE_ESCALATED),
    EventAction.RESCUE_HELD: (Level.WARNING, AnnouncedReason.RESCUE_HELD),
    EventAction.RESCUE_WITHDRAWN: (Level.NORMAL, AnnouncedReason.RESCUE_WITHDRAWN),
    EventAction.RESCUE_SUCCEEDED: (Level.NORMAL, AnnouncedReason.RESCUE_SUCCEEDED),
    EventAction.RESCUE_FAILED: (Level.WARNING, AnnouncedReason.RESCUE_FAILED),
    EventAction.RESCUE_CANCELLED: (Level.NORMAL, AnnouncedReason.RESCUE_CANCELLED),
}
_OF_STEP: Mapping[ActionName, AnnouncedReason] = {
    ActionName.CORDON: AnnouncedReason.NODE_CORDONED,
    ActionName.DRAIN: AnnouncedReason.NODE_DRAINED,
    ActionName.REBOOT: AnnouncedReason.NODE_REBOOTED,
    ActionName.UNCORDON: AnnouncedReason.NODE_UNCORDONED,
    ActionName.WARM_STANDBY: AnnouncedReason.STANDBY_ENABLED,
    ActionName.OFFLINE: AnnouncedReason.NODE_OFFLINE,
}
_DONE = frozenset({EventAction.STEP_ENDED, EventAction.RESCUE_SUCCEEDED})
"""What only happens to a node that is there, also if it was not when its fault was seen."""


class EventSettings(Strict):
    """Events about nodes, for `kubectl`."""

    language: Language = Field("zh", description="Language in which a fault is told.")
    namespace: str | None = Field(
        None,
        min_length=1,
        description="Where they are put; none: cluster.namespace. `kubectl describe node` shows those in `default` "
        "alone.",
    )


def announced(record: Record, language: Language) -> Announcement | None:
    """Return the event that a record is worth; None for one that people look up in the records.

    Every fault on a node of the cluster is told, also if nothing follows from it, as one series for each incident; of a
    rescue, that it was planned, waits, or has ended, and each thing that was done to the node. What was only rehearsed
    was not done, and a drill that is one was not seen. Of a host that is no node of the cluster nothing is told.
    """
    told = record.document
    own, action = told["gpu_rescue"], EventAction(told["event"]["action"])
    if own["fault"].get("drill") == Drill.DRY:
        return None
    if own["node"]["lookup"] != Lookup.FOUND and action not in _DONE:
        return None
    if action in FAULTS:
        return _fault(record, language)
    kind = _kind(action, own)
    if kind is None or own["rescue"]["dry_run"]:
        return None
    level, reason = kind
    return Announcement(told["host"]["name"], record.id, level, reason, told["message"], 1, record.time, record.time)


def _kind(action: EventAction, own: Mapping[str, Any]) -> tuple[Level, AnnouncedReason] | None:
    if action is EventAction.STEP_ENDED:
        return Level.NORMAL, _OF_STEP[ActionName(own["step"]["action"])]
    return _OF_RESCUE.get(action)


def _fault(record: Record, language: Language) -> Announcement:
    own = record.document["gpu_rescue"]
    fault = own["fault"]
    word, reason = _OF_KIND.get(fault["kind"], (fault["kind"], AnnouncedReason.GPU_FAULT))
    # Alone, a fault is its incident's only member, and the name of both begins the record's id.
    name = own["incident"]["member"] if "incident" in own else record.id.partition("/")[0]
    first, last = (datetime.fromisoformat(fault[key]) for key in ("first_seen", "last_seen"))
    node, message = record.document["host"]["name"], _message(fault, word, language)
    return Announcement(node, f"fault/{name}", Level.WARNING, reason, message, fault["count"], first, last)


def _message(fault: Mapping[str, Any], word: str, language: Language) -> str:
    """The message that the origin of this product gives to a fault; agents and alerts read it."""
    place = next((f"{key}:{fault[key]}," for key in ("pci", "device") if key in fault), "")
    facts = f"{place}{fault['kind']}:{fault['code']}"
    if language == "zh":
        return f"当前实例发生GPU {word}错误,{facts},日志: {fault['message']}"
    return f"GPU {word} error on this instance,{facts},log: {fault['message']}"
