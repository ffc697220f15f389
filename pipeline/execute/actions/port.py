"""What an action is given, and what it may answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from pipeline.model.plan import Action
from pipeline.model.rescue import CancelReason, FailReason, Rescue, StepState

UNCORDONED = "uncordoned"
"""Detail of a step: somebody else has made the node schedulable meanwhile."""


@dataclass(frozen=True, slots=True)
class Done:
    """The step's purpose is reached; `message` says how, in one sentence."""

    message: str
    details: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intend:
    """Save `memo`, then call again: the next call makes an effect that can't be taken back."""

    memo: Mapping[str, str]
    message: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Call again after `delay`; `memo`, where given, is saved first, in place of the one there was."""

    delay: timedelta
    memo: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """The step cannot reach its purpose; the rescue fails with it and the node stays as it is."""

    reason: FailReason
    message: str
    details: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Abandon:
    """The rescue is no longer wanted (a person took the node back, say): it is cancelled and the node left alone."""

    reason: CancelReason
    message: str


Outcome = Done | Intend | Wait | Fail | Abandon


A_contra = TypeVar("A_contra", bound=Action, contravariant=True)


class ActionRunner(Protocol[A_contra]):
    """Runs one action of a plan, a short call at a time, from any replica, after any crash."""

    async def run(self, action: A_contra, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Look at what is, make one effect or some that can be repeated, and say what comes next.

        Raises TemporaryError to be called again later, PermanentError to fail the step.
        """
        ...
