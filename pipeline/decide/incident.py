"""One incident: what was seen of the same fault on the same device, and what was decided about it."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pipeline.decide.errorcodes import severity
from pipeline.model.fault import NodeFault, Severity
from pipeline.model.plan import ActionName, Skip, SkipReason
from pipeline.model.rescue import CancelReason, Rescue, Status

_LONGEST_NAME = 63
_SAME_FALL = timedelta(seconds=5)
_COUNTS_NO_LONGER = (CancelReason.STALE, CancelReason.OLDER_THAN_BOOT, CancelReason.NODE_OFFLINE)


class Key(NamedTuple):
    """What makes two faults the same: the device, the code and all that a policy can tell apart, the gate's reason.

    The reason is in it so that a stale line or a drill never stands for a real one.
    """

    node: str
    kind: str
    code: int
    device: str | None
    subcode: str | None
    recovery: int | None
    severity: Severity
    rescue: bool
    reason: SkipReason | None


def key_of(fault: NodeFault, reason: SkipReason | None) -> Key:
    """Return the key of a fault that the gate let through (reason None) or did not."""
    line = fault.fault
    return Key(
        fault.node,
        line.kind,
        line.code,
        device_of(fault),
        line.nvlink5.subcode if line.nvlink5 is not None else None,
        line.recovery_action.to_code if line.recovery_action is not None else None,
        severity(fault),
        fault.meaning.rescue,
        reason,
    )


def device_of(fault: NodeFault) -> str | None:
    """Return the PCI address, else the device's name, else None."""
    return fault.fault.pci or fault.fault.device


def incident_name(fault: NodeFault) -> str:
    """Return the name of the incident that this fault leads: `NODE-xid-79-1a2b3c4d`, a DNS-1123 label.

    It depends on the line alone, so that the same line gives the same name whenever it is delivered; the hash is over
    node, code and device, the time of the line, or its position where it has no time, and what tells lines apart that
    one device prints within the same second (a drill and a real fault, two sub-codes, two verdicts).
    """
    line = fault.fault
    nvlink5, verdict = line.nvlink5, line.recovery_action
    facts = (
        fault.node,
        line.kind,
        line.code,
        device_of(fault),
        line.line.time.astimezone(UTC).isoformat() if line.line.time is not None else line.line.position,
        line.companion,
        line.severity_word,
        line.caused_by_xid,
        (nvlink5.subcode, nvlink5.injected) if nvlink5 is not None else None,
        verdict.to_code if verdict is not None else None,
    )
    digest = hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:8]
    tail = f"{_label(line.kind)[:20].strip('-')}-{line.code}-{digest}"
    head = _label(fault.node)[: _LONGEST_NAME - len(tail) - 1].strip("-")
    return f"{head or 'unnamed'}-{tail}"


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


@dataclass(slots=True, eq=False)
class Incident:
    """What is known of one incident.

    `lead` is the fault that opened it and `name` the lead's. `first_seen` and `last_seen` are event times, `touched` is
    when a line of it was last placed. `count` is exact; `companions` are the lines that go with it and are not counted.
    `decision` is the name of its rescue, or the skip; None until it is decided. `reported` is the count that is
    recorded: the opening of an incident is recorded by whoever decides it, so that it starts at 1.
    """

    key: Key
    name: str
    lead: NodeFault
    first_seen: datetime
    last_seen: datetime
    touched: datetime
    count: int = 1
    companions: int = 0
    reported: int = 1
    decision: str | Skip | None = None
    _over: datetime | None = None
    _own_reboot: bool = False
    _numbered: datetime | None = None
    _unanswered: datetime | None = None

    @classmethod
    def opened_by(cls, fault: NodeFault, reason: SkipReason | None, now: datetime) -> "Incident":
        """Return the incident that *fault* opens."""
        incident = cls(key_of(fault, reason), incident_name(fault), fault, fault.time, fault.time, now)
        incident._note_form(fault)
        return incident

    def decided(self, decision: str | Skip) -> None:
        """Take note of the decision: the name of the rescue, or the skip."""
        self.decision = decision

    def due(self) -> bool:
        """Whether the count has reached the next power of two since it was reported."""
        return self.count >= 1 << self.reported.bit_length()

    def reported_at(self, count: int) -> None:
        """Take note that this count is saved and recorded."""
        self.reported = max(self.reported, count)

    @property
    def grown(self) -> bool:
        """Whether more was seen than reported."""
        return self.count > self.reported

    def near(self, time: datetime, window: timedelta) -> bool:
        """Whether *time* is within the window of what was seen, before or after, and not later than the end."""
        return not self._is_over(time) and self.first_seen - window <= time <= self.last_seen + window

    def repeated_by(self, fault: NodeFault, window: timedelta) -> bool:
        """Whether a fault of the same key is the same incident again.

        Not for a fault of another boot, unless this incident's own rescue has rebooted and the proof has not come; and
        not for a fault whose node is known when the lead's was not, which was decided without labels.
        """
        if fault.enriched and not self.lead.enriched:
            return False
        before, after = self.lead.boot_id, fault.boot_id
        if before and after and before != after and not self._own_reboot:
            return False
        return self.near(fault.time, window)

    def opened_by_line_of(self, fault: NodeFault) -> bool:
        """Whether the fault's line is the lead's, delivered again: after a crash, say, before it was acknowledged."""
        mine, its = self.lead.fault.line, fault.fault.line
        return (mine.position, mine.time) == (its.position, its.time)

    def see(self, fault: NodeFault) -> None:
        """Count one more."""
        self.count += 1
        self.last_seen = max(self.last_seen, fault.time)
        self.first_seen = min(self.first_seen, fault.time)
        self._note_form(fault)

    def same_fall(self, fault: NodeFault) -> bool:
        """Whether the fault is this one told in the other form: with its number, or without it (inferred).

        A GPU that falls off the bus is told by a line with the number 79 and by lines without, in either order. A line
        without belongs to a numbered one near it; a numbered one answers one occurrence that was counted without.
        """
        seen = self._numbered if fault.fault.inferred else self._unanswered
        return seen is not None and abs(fault.time - seen) <= _SAME_FALL and not self._is_over(fault.time)

    def accompanied_by(self, fault: NodeFault) -> None:
        """Take note of a line that goes with the incident."""
        self.companions += 1
        if not fault.fault.inferred and fault.fault.code == self.key.code:
            self._numbered, self._unanswered = fault.time, None

    def close(self, rescue: Rescue) -> None:
        """Take note of what became of its rescue, or of the one that took its rescue over.

        The incident is over when the node was first seen in the boot after the reboot that cured it, or when its rescue
        was cancelled because the fault counted no longer: what comes later is another one. A rescue that failed, only
        cordoned or was cancelled by a person leaves it as it is, or each further line of a storm would open one more.
        For one that was taken over the other speaks.
        """
        if rescue.reason == CancelReason.FOLDED:
            return
        if rescue.rebooted_at is not None:
            self._over = rescue.rebooted_at
        elif rescue.status is Status.CANCELLED and rescue.reason in _COUNTS_NO_LONGER:
            self._over = rescue.ended
        self._own_reboot = any(
            action.name is ActionName.REBOOT and step.started is not None
            for action, step in zip(rescue.plan.actions, rescue.steps, strict=True)
        )

    def _is_over(self, time: datetime) -> bool:
        return self._over is not None and time > self._over

    def _note_form(self, fault: NodeFault) -> None:
        if fault.fault.inferred:
            self._unanswered = fault.time
        else:
            self._numbered = fault.time
