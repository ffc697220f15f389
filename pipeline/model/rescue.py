"""A rescue: the plan for one incident on one node, and the journal of all that was done about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from pipeline.model.fault import NodeFault
from pipeline.model.guard import GuardState
from pipeline.model.plan import ActionName, Decision, Plan

BOOT_ID = "boot_id"
"""Memo of a reboot: the boot that is to end; never empty."""

REBOOTED_AT = "rebooted_at"
"""Memo of a reboot: when the new boot was first seen, ISO 8601."""

RECOVERED_AT = "recovered_at"
"""Detail of a cancel: when the driver took back what the rescue was about, ISO 8601."""


class Status(StrEnum):
    """Where a rescue or a step stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    HELD = "Held"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


class HoldReason(StrEnum):
    """What a held rescue waits for."""

    NODE_UNKNOWN = "node-unknown"
    NODE_BUSY = "node-busy"
    NODE_FAILED = "node-failed"
    FOREIGN_CORDON = "foreign-cordon"
    FABRIC_INCIDENT = "fabric-incident"
    COOL_DOWN = "cool-down"
    MAINTENANCE_WINDOW = "maintenance-window"
    MAX_NODES = "max-nodes"
    MAX_PERCENT = "max-percent"
    MAX_PER_GROUP = "max-per-group"
    HALF_OPEN = "half-open"


class CancelReason(StrEnum):
    """Why a rescue was given up before its plan was done."""

    FOLDED = "folded"
    STALE = "stale"
    OLDER_THAN_BOOT = "older-than-boot"
    OLDER_THAN_RESCUE = "older-than-rescue"
    NODE_OFFLINE = "node-offline"
    OPTED_OUT = "opted-out"
    UNCORDONED = "uncordoned"
    RECOVERED = "recovered"
    DELETED = "deleted"


class FailReason(StrEnum):
    """Why a step, and with it the rescue, failed."""

    DRAIN_TIMEOUT = "drain-timeout"
    REBOOT_TIMEOUT = "reboot-timeout"
    REBOOT_UNCERTAIN = "reboot-uncertain"
    NODE_GONE = "node-gone"
    REFUSED = "refused"
    ATTEMPTS_EXHAUSTED = "attempts-exhausted"


class EventAction(StrEnum):
    """What happened; the `event.action` of a record."""

    FAULT_DETECTED = "fault-detected"
    FAULT_REPEATED = "fault-repeated"
    FAULT_JOINED = "fault-joined"
    FAULT_SKIPPED = "fault-skipped"
    RESCUE_PLANNED = "rescue-planned"
    RESCUE_HELD = "rescue-held"
    RESCUE_ESCALATED = "rescue-escalated"
    RESCUE_WITHDRAWN = "rescue-withdrawn"
    RESCUE_SUCCEEDED = "rescue-succeeded"
    RESCUE_FAILED = "rescue-failed"
    RESCUE_CANCELLED = "rescue-cancelled"
    STEP_STARTED = "step-started"
    STEP_INTENDED = "step-intended"
    STEP_ENDED = "step-ended"
    STEP_FAILED = "step-failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to a rescue; its place in the journal is its number, and makes its record's id.

    `step` is the action, for what happened to a step (a plan has each action once); `reason` the value of one of the
    closed enums above; `message` one sentence for people; `plan` what was planned or escalated; `guards` what was asked
    before a hold or a start; `details` numbers and names for machines.
    """

    time: datetime
    action: EventAction
    message: str
    step: ActionName | None = None
    reason: str | None = None
    plan: Plan | None = None
    guards: tuple[GuardState, ...] = ()
    details: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepState:
    """The progress of one action of the plan.

    `memo` is what the action must know again after a crash (the boot id before a reboot, say); it is saved before the
    effect that it is about. `attempts` counts temporary errors in a row.
    """

    status: Status = Status.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    attempts: int = 0
    memo: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Member:
    """One fault of an incident and how often it was seen; `name` is that of its own line, as if it had opened it.

    `decision` is what it leads to by itself: a plan, which is merged with that of the others, or nothing, and why.
    """

    name: str
    fault: NodeFault
    count: int
    first_seen: datetime
    last_seen: datetime
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Rescue:
    """One rescue. `cause`, `plan` and `name` are its spec, the rest its status.

    `name` is a pure function of what opened it. `cause` is the worst fault of its incident, `members` are all of them,
    the one that opened it first; `count`, `first_seen` and `last_seen` are of all members together. `due` is when the
    executor looks at it next, `recorded` how many journal entries are safe in the sinks, `revision` the store's
    compare-and-set token (0: never saved). `folded` names the rescues of the same node that this one took over, for
    whatever fault; the faults that are its own are its members.
    `dry_run` is whether it is rehearsed on a copy of the cluster. `withdrawn` is why it was given up after it had
    begun: nothing is left of its plan but to give the node back, and then it is cancelled for that reason.
    """

    name: str
    node: str
    cause: NodeFault
    plan: Plan
    created: datetime
    due: datetime
    first_seen: datetime
    last_seen: datetime
    status: Status = Status.PENDING
    reason: str | None = None
    count: int = 1
    steps: tuple[StepState, ...] = ()
    journal: tuple[Entry, ...] = ()
    folded: tuple[str, ...] = ()
    recorded: int = 0
    ended: datetime | None = None
    revision: int = 0
    members: tuple[Member, ...] = ()
    dry_run: bool = False
    withdrawn: CancelReason | None = None

    @property
    def faults(self) -> tuple[NodeFault, ...]:
        """The faults of its incident, the one that opened it first."""
        return tuple(member.fault for member in self.members)

    def member(self, name: str) -> Member | None:
        """Return the member of that name, if there is one."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def begun(self) -> bool:
        """Whether any step has started: from then on the node may be out of service by our hand."""
        return any(step.started for step in self.steps)

    @property
    def committed(self) -> bool:
        """Whether more than a cordon has started, which is taken back as if it had not been."""
        steps = zip(self.plan.actions, self.steps, strict=True)
        return any(step.started for action, step in steps if action.name is not ActionName.CORDON)

    @property
    def current(self) -> int | None:
        """The index of the first step that has not ended; None when all have."""
        return next((i for i, step in enumerate(self.steps) if not step.status.ended), None)

    @property
    def rebooted_at(self) -> datetime | None:
        """When the new boot after its reboot was first seen; None when it made none, or it is not proven yet."""
        for action, step in zip(self.plan.actions, self.steps, strict=True):
            if action.name is ActionName.REBOOT and step.status is Status.SUCCEEDED:
                return datetime.fromisoformat(step.memo[REBOOTED_AT])
        return None

    @property
    def recovered_at(self) -> datetime | None:
        """When the driver took back what it was about; None unless it was given up for that."""
        told = (entry.details[RECOVERED_AT] for entry in self.journal if RECOVERED_AT in entry.details)
        return next((datetime.fromisoformat(str(at)) for at in told), None)

    def noted(self, *entries: Entry) -> "Rescue":
        """Return this rescue with *entries* added to its journal."""
        return replace(self, journal=self.journal + entries)

    def with_step(self, index: int, step: StepState) -> "Rescue":
        """Return this rescue with the state of one step replaced."""
        return replace(self, steps=(*self.steps[:index], step, *self.steps[index + 1 :]))
