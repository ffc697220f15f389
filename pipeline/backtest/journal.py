"""What is to be told of a rescue, read off its journal."""

from dataclasses import dataclass, field
from datetime import datetime

from pipeline.backtest.report import Phase, RescueTold, State, Step
from pipeline.model.fault import Fault
from pipeline.model.plan import ActionName
from pipeline.model.rescue import CancelReason, Entry, EventAction, Rescue

_STATES = {
    ActionName.CORDON: State.CORDONED,
    ActionName.DRAIN: State.DRAINING,
    ActionName.REBOOT: State.REBOOTING,
    ActionName.OFFLINE: State.OFFLINE,
}
_ENDS = (EventAction.RESCUE_SUCCEEDED, EventAction.RESCUE_FAILED, EventAction.RESCUE_CANCELLED)
_OUTCOMES = {EventAction.STEP_ENDED: "Succeeded", EventAction.STEP_FAILED: "Failed"}


def told(rescue: Rescue) -> RescueTold:
    """Return all that a backtest tells of a rescue; its journal may be forgotten then."""
    course = _Course()
    for entry in rescue.journal:
        course.take(entry)
    return RescueTold(
        name=rescue.name,
        node=rescue.node,
        fault=fault_name(rescue.cause.fault),
        lines=rescue.count,
        policy=f"{rescue.plan.policy}[{rescue.plan.rule}]",
        plan=tuple(str(action.name) for action in rescue.plan.actions),
        planned=rescue.created,
        ended=rescue.ended,
        status=str(rescue.status),
        reason=rescue.reason,
        message=rescue.journal[-1].message,
        steps=tuple(course.steps),
        phases=tuple(course.phases),
        out_from=course.out_from,
        out_to=course.out_to,
    )


def fault_name(fault: Fault) -> str:
    """`xid 79`."""
    return f"{fault.kind} {fault.code}"


@dataclass(slots=True)
class _Course:
    """Takes the entries of a journal in order."""

    steps: list[Step] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    out_from: datetime | None = None
    out_to: datetime | None = None
    _stays: bool = False

    def take(self, entry: Entry) -> None:
        """Note what one entry tells."""
        match entry.action:
            case EventAction.RESCUE_HELD:
                self._enter(State.HELD, entry)
            case EventAction.STEP_STARTED:
                self._start(entry)
            case EventAction.STEP_ENDED | EventAction.STEP_FAILED:
                self._finish(entry)
            case action if action in _ENDS:
                self._end(entry)

    def _start(self, entry: Entry) -> None:
        action = ActionName(str(entry.step))
        self.out_from = self.out_from or entry.time
        self.steps.append(Step(action=action, begin=entry.time, end=None, outcome="Running"))
        state = _STATES.get(action)
        if state is not None:
            self._enter(state, entry)
        elif self._held:
            self._enter(State.CORDONED, entry)

    def _finish(self, entry: Entry) -> None:
        standby = entry.details.get("standby")
        change: dict[str, object] = {"end": entry.time, "outcome": _OUTCOMES[entry.action]}
        if standby not in (None, "none"):
            change["standby"] = standby
        self.steps[-1] = self.steps[-1].model_copy(update=change)
        match entry.step:
            case ActionName.CORDON:
                self._stays = "cordoned_before" not in entry.details
            case ActionName.OFFLINE:
                self._stays = True
            case ActionName.DRAIN | ActionName.REBOOT:
                self._enter(State.CORDONED, entry)
            case ActionName.UNCORDON if "left_cordoned" not in entry.details:
                self._stays = False

    def _end(self, entry: Entry) -> None:
        if self.steps and self.steps[-1].end is None:
            self.steps[-1] = self.steps[-1].model_copy(update={"end": entry.time, "outcome": "Cancelled"})
        stays = self._stays and entry.reason != CancelReason.UNCORDONED
        if self._held or not stays:
            self._leave(entry)
        if stays and (not self.phases or self.phases[-1].end is not None):
            self._enter(State.CORDONED, entry)
        if self.out_from is not None and not stays:
            self.out_to = entry.time

    @property
    def _held(self) -> bool:
        return bool(self.phases) and self.phases[-1].end is None and self.phases[-1].state is State.HELD

    def _enter(self, state: State, entry: Entry) -> None:
        self._leave(entry)
        reason = entry.reason if state is State.HELD else None
        self.phases.append(Phase(state=state, begin=entry.time, end=None, reason=reason))

    def _leave(self, entry: Entry) -> None:
        """End the phase that goes on; one that took no time is none."""
        if not self.phases or self.phases[-1].end is not None:
            return
        last = self.phases.pop()
        if last.begin < entry.time:
            self.phases.append(last.model_copy(update={"end": entry.time}))
