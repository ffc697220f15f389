"""Which incident a fault belongs to: a bounded memory of what was seen lately."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pipeline.decide.guards import GuardSettings
from pipeline.decide.incident import Incident, device_of, incident_name, key_of
from pipeline.model.fault import NodeFault
from pipeline.model.plan import Skip, SkipReason
from pipeline.model.rescue import Rescue

__all__ = ["Companion", "Incident", "Incidents", "New", "Placement", "Repeat", "incident_name"]

_FALL = ("xid", 79)
_CONSEQUENCE = ("xid", 45)

Family = tuple[str, str, int]
Slot = tuple[str, SkipReason | None]


@dataclass(frozen=True, slots=True)
class New:
    """The fault opens an incident."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class Repeat:
    """The fault is the incident's again, and was counted, unless it is the line that opened it, delivered again."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class Companion:
    """The line goes with the incident and is no occurrence of its own."""

    incident: Incident


Placement = New | Repeat | Companion


class Incidents:
    """What was seen lately, by node and code, then by device; `limit` incidents at most, about 3 KB each.

    At the limit the one that was not touched for longest is forgotten, those that led to a rescue last of all: each
    further line of theirs would open one more rescue.
    """

    def __init__(self, settings: GuardSettings, limit: int = 100_000) -> None:
        self._window = settings.incident_window
        self._limit = limit
        self._families: dict[Family, dict[str | None, list[Incident]]] = {}
        # In the order in which they were touched, longest ago first.
        self._all: OrderedDict[Slot, Incident] = OrderedDict()
        # The same, without those that were found to have led to a rescue when their turn to be forgotten came.
        self._expendable: OrderedDict[Slot, Incident] = OrderedDict()
        self._leaving: list[Incident] = []

    def __len__(self) -> int:
        return len(self._all)

    def place(self, fault: NodeFault, gate: Skip | None, now: datetime) -> Placement:
        """Say which incident the fault belongs to; *gate* is why it may lead to no rescue, None when it may.

        Faults may come in any order. The same incident is one of the same key within the window of what was seen of it.
        """
        reason = gate.reason if gate is not None else None
        owner = self._owner(fault, reason)
        if owner is not None:
            owner.accompanied_by(fault)
            self._touch(owner, now)
            return Companion(owner)
        known = self._known(fault, reason)
        if known is not None:
            if not known.opened_by_line_of(fault):
                known.see(fault)
            self._touch(known, now)
            return Repeat(known)
        incident = Incident.opened_by(fault, reason, now)
        self._add(incident, now)
        return New(incident)

    def sweep(self, now: datetime) -> list[Incident]:
        """Return the incidents that have grown since they were reported and are quiet now, or had to leave.

        Quiet is what no line was placed into for the length of the window. Whoever calls reports them.
        """
        grown, self._leaving = self._leaving, []
        for incident in self._all.values():
            if now - incident.touched < self._window:
                break
            if incident.grown:
                grown.append(incident)
        return grown

    def flush(self) -> list[Incident]:
        """Return every incident that has grown since it was reported, quiet or not."""
        grown, self._leaving = self._leaving, []
        return grown + [incident for incident in self._all.values() if incident.grown]

    def close(self, rescue: Rescue) -> None:
        """Take note of how a rescue stands, for its incident and those of the rescues it took over.

        Call it at least with each rescue that has ended, before the next fault of its node; again is harmless.
        """
        for name in (rescue.name, *rescue.folded):
            incident = self._all.get((name, None))
            if incident is not None:
                incident.close(rescue)

    def restore(self, rescues: Iterable[Rescue], now: datetime) -> None:
        """Remember the incidents of the rescues in the store, after a restart; what is remembered already stays."""
        rescues = sorted(rescues, key=lambda rescue: rescue.last_seen)
        for rescue in rescues:
            if (rescue.name, None) in self._all:
                continue
            incident = Incident.opened_by(rescue.cause, None, now)
            incident.name = rescue.name
            incident.first_seen, incident.last_seen = rescue.first_seen, rescue.last_seen
            incident.count = incident.reported = rescue.count
            incident.decided(rescue.name)
            self._add(incident, now)
        for rescue in rescues:
            self.close(rescue)

    def discard(self, incident: Incident) -> None:
        """Forget an incident that could not be opened, so that its line opens it when it is handled again.

        Nothing of it is reported, because nothing of it was recorded. Harmless if it is not remembered any more.
        """
        if self._all.get(_slot(incident)) is incident:
            self._remove(incident)
        self._leaving = [leaving for leaving in self._leaving if leaving is not incident]

    def forget_skipped(self) -> None:
        """Forget the incidents that led to no rescue: policies or patterns have changed, they are decided anew."""
        for incident in [known for known in self._all.values() if isinstance(known.decision, Skip)]:
            self._remove(incident)

    def _owner(self, fault: NodeFault, reason: SkipReason | None) -> Incident | None:
        line = fault.fault
        if line.companion:
            return self._led_by(fault, line.kind, line.code)
        if (line.kind, line.code) == _CONSEQUENCE and line.caused_by_xid is not None:
            return self._led_by(fault, "xid", line.caused_by_xid)
        if (line.kind, line.code) == _FALL:
            return self._other_form(fault, reason)
        return None

    def _led_by(self, fault: NodeFault, kind: str, code: int) -> Incident | None:
        """The incident of that code on the fault's device which is near in time and is not one of companions alone."""
        there = self._families.get((fault.node, kind, code), {}).get(device_of(fault), ())
        return next(
            (
                incident
                for incident in reversed(there)
                if incident.key.reason is not SkipReason.COMPANION and incident.near(fault.time, self._window)
            ),
            None,
        )

    def _other_form(self, fault: NodeFault, reason: SkipReason | None) -> Incident | None:
        """The incident that is the same fall off the bus, told in the other form; a line may name no device.

        One that the gate has stopped takes only lines that it would stop for the same reason.
        """
        device = device_of(fault)
        for there, incidents in self._families.get((fault.node, *_FALL), {}).items():
            if there == device or None in (there, device):
                for incident in reversed(incidents):
                    if incident.key.reason in (None, reason) and incident.same_fall(fault):
                        return incident
        return None

    def _known(self, fault: NodeFault, reason: SkipReason | None) -> Incident | None:
        key = key_of(fault, reason)
        for incident in reversed(self._families.get(key[:3], {}).get(key.device, ())):
            if incident.key == key and incident.repeated_by(fault, self._window):
                return incident
        return None

    def _touch(self, incident: Incident, now: datetime) -> None:
        incident.touched = now
        slot = _slot(incident)
        self._all.move_to_end(slot)
        if slot in self._expendable:
            self._expendable.move_to_end(slot)

    def _add(self, incident: Incident, now: datetime) -> None:
        key, slot = incident.key, _slot(incident)
        if slot in self._all:
            self._remove(self._all[slot])
        # Earlier incidents of the same key are of use only while lines as old as theirs may still come.
        there = self._families.get(key[:3], {}).get(key.device, ())
        for earlier in [known for known in there if known.key == key and now - known.touched >= self._window]:
            self._remove(earlier)
        while len(self._all) >= self._limit:
            self._remove(self._least())
        self._families.setdefault(key[:3], {}).setdefault(key.device, []).append(incident)
        self._all[slot] = self._expendable[slot] = incident

    def _least(self) -> Incident:
        """The incident that is to be forgotten first."""
        while self._expendable:
            slot, incident = next(iter(self._expendable.items()))
            if not isinstance(incident.decision, str):
                return incident
            del self._expendable[slot]
        return next(iter(self._all.values()))

    def _remove(self, incident: Incident) -> None:
        family, device = incident.key[:3], incident.key.device
        del self._all[_slot(incident)]
        self._expendable.pop(_slot(incident), None)
        there = self._families[family][device]
        there.remove(incident)
        if not there:
            del self._families[family][device]
        if not self._families[family]:
            del self._families[family]
        if incident.grown:
            self._leaving.append(incident)


def _slot(incident: Incident) -> Slot:
    return incident.name, incident.key.reason
