"""The guard of the fabric: one fault on many nodes that share something is a fault of what they share.

What counts is what was seen, whatever became of it: a rescue that has ended, was folded, or was given up shows as well
as an open one that its node had the fault. Else the members of an incident would be let through one by one as others of
them are given up.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline.decide.asking import Answer, Asking, Cancel, Hold, Passed
from pipeline.decide.census import labels_of
from pipeline.decide.together import with_folded
from pipeline.durations import format_duration
from pipeline.model.fault import NodeFault
from pipeline.model.plan import ActionName
from pipeline.model.rescue import CancelReason, HoldReason, Rescue


class _Key(NamedTuple):
    """What makes the faults of two nodes the same."""

    kind: str
    code: int
    subcode: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, str(self.code), self.subcode)))


@dataclass(frozen=True, slots=True)
class _Incident:
    key: _Key
    label: str
    value: str
    members: tuple[Rescue, ...]

    @property
    def nodes(self) -> int:
        return len({member.node for member in self.members})

    @property
    def first(self) -> Rescue:
        """The one that came first; a later one never takes its place."""
        return min(self.members, key=lambda member: (member.created, member.name))


def fabric(asking: Asking) -> Answer:
    """Whether the fault is the node's own, and that of each rescue which was folded into this one.

    The cordon, the first step of every plan, goes on: it disturbs nobody, a person can take it back, and without it new
    jobs would come to nodes that cannot run them. All that comes after it is held until the node has rebooted, which
    may be long after the cordon: a rescue may have begun before the others came. None is held for ever, and none goes
    on because nobody came: `max_hold` after the fault was last seen it is given up, and leaves the node as it is,
    cordoned, to a person.
    """
    rescue, settings, most = asking.rescue, asking.settings.fabric, asking.settings.max_hold
    if rescue.rebooted_at is not None:
        return Passed("the node has rebooted")
    found = next((incident for incident in _incidents(asking) if incident.nodes >= settings.nodes), None)
    if found is None:
        return Passed(f"the same fault is not on {settings.nodes} nodes of one fabric (fabric)")
    first, where = found.first.name, f"{found.label}={found.value}"
    told = f"{found.key} came up on {found.nodes} nodes with {where} within {format_duration(settings.window)}"
    if asking.action is ActionName.CORDON:
        return Passed(f"{told}, first in rescue {first}: a fault of the fabric, only the cordon goes on (fabric)")
    if asking.now - rescue.last_seen > most:
        over = f"the fault was last seen longer ago than {format_duration(most)} (max_hold)"
        return Cancel(CancelReason.STALE, f"{told}, nobody has come, and {over}: the node is left as it is to a person")
    return Hold(
        HoldReason.FABRIC_INCIDENT,
        f"{told}, first in rescue {first}: a fault of the fabric, which no reboot mends, waits for a person (fabric)",
        {"fault": str(found.key), "label": found.label, "group": found.value, "nodes": found.nodes, "first": first},
    )


def reach(rescue: Rescue, of_node: Iterable[Rescue], window: timedelta) -> datetime:
    """Return since when a rescue may have ended that shows the same fault; those before it need not be asked.

    *of_node* are the rescues of its node, those among them that were folded into it.
    """
    return min([rescue.created, *_seen_with(rescue, of_node).values()]) - window


def _incidents(asking: Asking) -> Iterator[_Incident]:
    """Yield what shares a label's value and a fault with this rescue, itself among them."""
    rescue, census, window = asking.rescue, asking.census, asking.settings.fabric.window
    mine = _seen_with(rescue, asking.rescues)
    for label in asking.settings.fabric.labels:
        value = labels_of(rescue, asking.nodes).get(label)
        if not value:
            continue
        sharing = [(other, _seen(other)) for other in census.sharing(label, value) if other.name != rescue.name]
        for key, at in mine.items():
            members = (other for other, seen in sharing if key in seen and abs(seen[key] - at) <= window)
            yield _Incident(key, label, value, (rescue, *members))


def _seen_with(rescue: Rescue, rescues: Iterable[Rescue]) -> dict[_Key, datetime]:
    """Return the same of the rescue and of those that were folded into it: what it does is done about all of them."""
    seen: dict[_Key, datetime] = {}
    for one in with_folded(rescue, rescues):
        for key, at in _seen(one).items():
            seen[key] = min(at, seen.get(key, at))
    return seen


def _seen(rescue: Rescue) -> dict[_Key, datetime]:
    """Return what the rescue is about and when each was first seen: its cause, and what else asks for a rescue."""
    seen: dict[_Key, datetime] = {}
    for member in rescue.members:
        if member.fault.meaning.rescue:
            key = _key(member.fault)
            seen[key] = min(member.first_seen, seen.get(key, member.first_seen))
    seen.setdefault(_key(rescue.cause), rescue.first_seen)
    return seen


def _key(found: NodeFault) -> _Key:
    nvlink5 = found.fault.nvlink5
    return _Key(found.fault.kind, found.fault.code, nvlink5.subcode if nvlink5 is not None else "")
