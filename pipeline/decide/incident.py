"""What was seen of the same fault on the same device, what was decided about it, and with which others it goes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.decide.family import FAMILY, LARGEST, is_aftermath, kin
from pipeline.decide.identity import Key, device_of, incident_name, key_of
from pipeline.model.fault import NodeFault
from pipeline.model.plan import ActionName, Decision, Skip, SkipReason
from pipeline.model.rescue import CancelReason, Member, Rescue, Status

_SAME_FALL = timedelta(seconds=5)
_MOMENT = timedelta.resolution
_COUNTS_NO_LONGER = (
    CancelReason.STALE,
    CancelReason.OLDER_THAN_BOOT,
    CancelReason.OLDER_THAN_RESCUE,
    CancelReason.NODE_OFFLINE,
    CancelReason.OPTED_OUT,
)


@dataclass(slots=True, eq=False)
class Incident:
    """What is known of one fault, however often it is seen.

    `lead` is the line that opened it and `name` the lead's. `first_seen` and `last_seen` are event times, `touched` is
    when a line of it was last placed. `count` is exact; `companions` are the lines that go with it and are not counted.
    `decision` is what it leads to by itself, None until it is decided; `rescue` the name of the rescue that is about
    it. `reported` is the count that is recorded: the opening of an incident is recorded by whoever decides it, so that
    it starts at 1. `saved` is the time of the last line of it that its rescue, if there is one, tells of. `family` are
    the incidents that the same failure has led to; what the gate has stopped has none.
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
    decision: Decision | None = None
    rescue: str | None = None
    family: "Family | None" = None
    saved: datetime | None = None
    _over: datetime | None = None
    _own_reboot: bool = False
    _numbered: datetime | None = None
    _unanswered: datetime | None = None

    @classmethod
    def opened_by(cls, fault: NodeFault, reason: SkipReason | None, now: datetime) -> "Incident":
        """Return the incident that *fault* opens."""
        name, time = incident_name(fault), fault.time
        incident = cls(key_of(fault, reason), name, fault, time, time, now, saved=time)
        incident._note_form(fault)
        return incident

    def decided(self, decision: Decision | None, rescue: str | None = None) -> None:
        """Take note of what it leads to by itself, and of the rescue that is about it, if there is one."""
        self.decision, self.rescue = decision, rescue

    @property
    def provisional(self) -> bool:
        """Whether nothing was done about it by itself: it leads to no rescue, or to one that is only rehearsed."""
        return isinstance(self.decision, Skip) or (self.decision is not None and self.decision.dry_run)

    def as_member(self) -> Member:
        """Return what a rescue keeps of it."""
        return Member(self.name, self.lead, self.count, self.first_seen, self.last_seen, self.decision)

    def due(self) -> bool:
        """Whether the count has reached the next power of two since it was reported."""
        return self.count >= 1 << self.reported.bit_length()

    def reported_at(self, count: int) -> None:
        """Take note that this count is recorded, and all that was seen saved."""
        self.reported, self.saved = max(self.reported, count), self.last_seen

    def outgrown(self, window: timedelta) -> bool:
        """Whether a rescue is about it that takes it for half a window older than it is.

        Whether a fault still counts is asked of its rescue, and after a restart the rescue is all that is known of it.
        """
        return self.rescue is not None and self.saved is not None and self.last_seen - self.saved >= window / 2

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
        return (self._own_reboot or self._same_boot(fault)) and self.near(fault.time, window)

    def goes_with(self, fault: NodeFault) -> bool:
        """Whether one failure can have led to it and to a fault of another key, as far as this one's end tells."""
        return self.key.drill is fault.fault.drill and self._same_boot(fault) and not self._is_over(fault.time)

    def cleared_up_by(self, fault: NodeFault, window: timedelta) -> bool:
        """Whether the fault is what the driver does after this one: a 45 on its device within the window after it."""
        cause = not is_aftermath(self.lead) and is_aftermath(fault)
        on_it = self.key.device is not None and self.key.device == device_of(fault)
        return cause and on_it and self.first_seen <= fault.time <= self.last_seen + window

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
        was cancelled because the fault counted no longer: what comes later is another one. Where the driver has taken
        it back, so is what comes in the moment in which it did, however late that was read. A rescue that failed, only
        cordoned or was cancelled by a person leaves it as it is, or each further line of a storm would open one more.
        For one that was taken over the other speaks. A drill is over when its rescue is, so that it can be held again.
        """
        if rescue.reason == CancelReason.FOLDED:
            return
        if rescue.rebooted_at is not None:
            self._over = rescue.rebooted_at
        elif rescue.recovered_at is not None:
            self._over = rescue.recovered_at - _MOMENT
        elif self.key.drill is not None or (rescue.status is Status.CANCELLED and rescue.reason in _COUNTS_NO_LONGER):
            self._over = rescue.ended
        self._own_reboot = any(
            action.name is ActionName.REBOOT and step.started is not None
            for action, step in zip(rescue.plan.actions, rescue.steps, strict=True)
        )

    def _same_boot(self, fault: NodeFault) -> bool:
        before, after = self.lead.boot_id, fault.boot_id
        return not before or not after or before == after

    def _is_over(self, time: datetime) -> bool:
        return self._over is not None and time > self._over

    def _note_form(self, fault: NodeFault) -> None:
        if fault.fault.inferred:
            self._unanswered = fault.time
        else:
            self._numbered = fault.time


@dataclass(slots=True, eq=False)
class Family:
    """The incidents of one node that one failure has led to, the one that opened it first; `opened` is its time."""

    name: str
    opened: datetime
    incidents: list[Incident] = field(default_factory=list)

    def takes(self, fault: NodeFault, window: timedelta) -> bool:
        """Whether a fault of the node, of a key of its own, belongs to it.

        It does if it is kin to one of the incidents and within FAMILY of what opened the family; or if it is a 45 after
        one of them.
        """
        at_once = abs(fault.time - self.opened) <= FAMILY
        if len(self.incidents) >= LARGEST or not (at_once or is_aftermath(fault)):
            return False
        return any(
            ((at_once and kin(one.lead, fault)) or one.cleared_up_by(fault, window)) and one.goes_with(fault)
            for one in self.incidents
        )

    @property
    def rescues(self) -> list[str]:
        """The rescues that are about it, the oldest first: one, unless a fault came too late to join that."""
        return list(dict.fromkeys(one.rescue for one in self.incidents if one.rescue is not None))

    @property
    def undone(self) -> list[Incident]:
        """The incidents that have led to nothing so far."""
        return [one for one in self.incidents if one.rescue is None and isinstance(one.decision, Skip)]
