"""Which incident a fault belongs to: a bounded memory of what was seen lately."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime

from pipeline.decide.family import is_aftermath
from pipeline.decide.guards import GuardSettings
from pipeline.decide.identity import device_of, incident_name, key_of
from pipeline.decide.incident import Family, Incident
from pipeline.decide.remembered import Remembered
from pipeline.model.fault import NodeFault
from pipeline.model.plan import Skip, SkipReason
from pipeline.model.rescue import CancelReason, Rescue

__all__ = ["Companion", "Incident", "Incidents", "Joins", "New", "Placement", "Repeat", "incident_name"]

_FALL = ("xid", 79)


@dataclass(frozen=True, slots=True)
class New:
    """The fault opens an incident."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class Repeat:
    """The fault is the incident's again, and was counted, unless it is the line that opened it, delivered again."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class Joins:
    """The fault opens an incident that goes with others: one failure has led to all of the family."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class Companion:
    """The line goes with the incident and is no occurrence of its own."""

    incident: Incident


Placement = New | Joins | Repeat | Companion


class Incidents:
    """What was seen lately; `limit` incidents at most, about 3 KB each."""

    def __init__(self, settings: GuardSettings, limit: int = 100_000) -> None:
        self._window = settings.incident_window
        self._known = Remembered(settings.incident_window, limit)

    def __len__(self) -> int:
        return len(self._known)

    def place(self, fault: NodeFault, gate: Skip | None, now: datetime) -> Placement:
        """Say which incident the fault belongs to; *gate* is why it may lead to no rescue, None when it may.

        Faults may come in any order. The same incident is one of the same key within the window of what was seen of it.
        A 45 belongs to the newest family that it can be the aftermath of, also if it was seen before that.
        """
        reason = gate.reason if gate is not None else None
        owner = self._owner(fault, reason)
        if owner is not None:
            owner.accompanied_by(fault)
            self._known.touch(owner, now)
            return Companion(owner)
        known, family = self._repeated(fault, reason), None
        if reason is None and (known is None or is_aftermath(fault)):
            family = self._known.families.taking(fault, self._window)
        if known is not None and family not in (None, known.family):
            # Only a line of the very same moment belongs to an earlier one still: the two have one name.
            known = self._known.let_through(incident_name(fault))
        if known is not None:
            if not known.opened_by_line_of(fault):
                known.see(fault)
            self._known.touch(known, now)
            return Repeat(known)
        incident = Incident.opened_by(fault, reason, now)
        self._known.add(incident, family, now)
        return New(incident) if family is None else Joins(incident)

    def sweep(self, now: datetime) -> list[Incident]:
        """Return the incidents that have grown since they were reported and are quiet now, or had to leave.

        Quiet is what no line was placed into for the length of the window. Whoever calls reports them.
        """
        grown = self._known.left()
        for incident in self._known:
            if now - incident.touched < self._window:
                break
            if incident.grown:
                grown.append(incident)
        return grown

    def flush(self) -> list[Incident]:
        """Return every incident that has grown since it was reported, quiet or not."""
        return self._known.left() + [incident for incident in self._known if incident.grown]

    def grown_beside(self, fault: NodeFault) -> list[Incident]:
        """Return what has a rescue and has grown since it was reported, of the fault's code and device."""
        there = self._known.of_code((fault.node, fault.fault.kind, fault.fault.code)).get(device_of(fault), ())
        return [incident for incident in there if incident.rescue is not None and incident.grown]

    def close(self, *rescues: Rescue) -> None:
        """Take note of how rescues stand, for every fault that they are about and those of the rescues they took over.

        Call it at least with all that a node has when one of them has ended, before the next fault of the node; again
        is harmless.
        """
        by_name = {rescue.name: rescue for rescue in rescues}
        for rescue in rescues:
            taken_over = (by_name[name] for name in rescue.folded if name in by_name)
            for name in {member.name for one in (rescue, *taken_over) for member in one.members}:
                incident = self._known.let_through(name)
                if incident is not None:
                    incident.close(rescue)

    def restore(self, rescues: Iterable[Rescue], now: datetime) -> None:
        """Remember the incidents of the rescues in the store, after a restart; what is remembered already stays.

        What was only rehearsed is decided anew, since the restart may have brought other policies. A member that was
        handed on with its rescue goes on being counted where it is now.
        """
        rescues = sorted((one for one in rescues if not one.dry_run), key=lambda rescue: rescue.last_seen)
        folded = {rescue.name for rescue in rescues if rescue.reason == CancelReason.FOLDED}
        handed_on = {member.name for rescue in rescues if rescue.name not in folded for member in rescue.members}
        for rescue in rescues:
            self._remember(rescue, now, handed_on if rescue.name in folded else frozenset())
        self.close(*rescues)

    def discard(self, incident: Incident) -> None:
        """Forget an incident that could not be opened, so that its line opens it when it is handled again.

        Nothing of it is reported, because nothing of it was recorded. Harmless if it is not remembered any more.
        """
        self._known.withdraw(incident)

    def forget_skipped(self) -> None:
        """Forget what nothing was done about by itself: policies or patterns have changed, and it is decided anew.

        That is what leads to no rescue, and what was only rehearsed.
        """
        for incident in [known for known in self._known if known.provisional]:
            self._known.remove(incident)

    def _remember(self, rescue: Rescue, now: datetime, but: Container[str]) -> None:
        family: Family | None = None
        for member in rescue.members:
            if member.name in but or self._known.let_through(member.name) is not None:
                continue
            incident = Incident.opened_by(member.fault, None, now)
            incident.name = member.name
            incident.first_seen, incident.last_seen = member.first_seen, member.last_seen
            incident.count = member.count
            incident.reported_at(member.count)
            incident.decided(member.decision, rescue.name)
            self._known.add(incident, family, now)
            family = incident.family

    def _owner(self, fault: NodeFault, reason: SkipReason | None) -> Incident | None:
        line = fault.fault
        if line.companion:
            return self._led_by(fault, line.kind, line.code)
        if is_aftermath(fault) and line.caused_by_xid is not None:
            return self._led_by(fault, "xid", line.caused_by_xid)
        if (line.kind, line.code) == _FALL:
            return self._other_form(fault, reason)
        return None

    def _led_by(self, fault: NodeFault, kind: str, code: int) -> Incident | None:
        """The incident of that code on the fault's device which is near in time and is not one of companions alone."""
        there = self._known.of_code((fault.node, kind, code)).get(device_of(fault), ())
        return next(
            (
                incident
                for incident in reversed(there)
                if incident.key.reason is not SkipReason.COMPANION
                and incident.key.drill is fault.fault.drill
                and incident.near(fault.time, self._window)
            ),
            None,
        )

    def _other_form(self, fault: NodeFault, reason: SkipReason | None) -> Incident | None:
        """The incident that is the same fall off the bus, told in the other form; a line may name no device.

        One that the gate has stopped takes only lines that it would stop for the same reason.
        """
        device = device_of(fault)
        for there, incidents in self._known.of_code((fault.node, *_FALL)).items():
            if there == device or None in (there, device):
                for incident in reversed(incidents):
                    alike = incident.key.reason in (None, reason) and incident.key.drill is fault.fault.drill
                    if alike and incident.same_fall(fault):
                        return incident
        return None

    def _repeated(self, fault: NodeFault, reason: SkipReason | None) -> Incident | None:
        """The newest incident that takes the fault, but for a line that opened another one and is delivered again.

        One that was let through stays its incident's, though the gate would stop it now: its rescue has ended, say.
        """
        opened = self._known.let_through(incident_name(fault)) if reason is not None else None
        if opened is not None and opened.opened_by_line_of(fault):
            return opened
        key, newest = key_of(fault, reason), None
        for incident in reversed(self._known.of_code(key[:3]).get(key.device, ())):
            if incident.key == key and incident.repeated_by(fault, self._window):
                if incident.opened_by_line_of(fault):
                    return incident
                newest = newest or incident
        return newest
