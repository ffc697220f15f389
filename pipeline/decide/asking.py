"""What a guard of admission is asked, and what it may answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipeline.decide.census import Census, Fleet
from pipeline.decide.guards import GuardSettings
from pipeline.model.guard import GuardState
from pipeline.model.node import Node
from pipeline.model.plan import ActionName
from pipeline.model.rescue import CancelReason, HoldReason, Rescue


@dataclass(frozen=True, slots=True)
class Asking:
    """A rescue before its next step, and all that bears on it; `rescues` may hold the rescue itself.

    `shared` is the census of these rescues and nodes that others ask for as well, where somebody has one.
    """

    rescue: Rescue
    rescues: Sequence[Rescue]
    nodes: Mapping[str, Node]
    now: datetime
    settings: GuardSettings
    shared: Census | None = None

    @property
    def census(self) -> Census:
        """What is counted over all nodes and rescues."""
        return self.shared or Census(self.rescues, Fleet(self.nodes), self.now, self.settings.breaker_window)

    @property
    def node(self) -> Node | None:
        """The rescue's node, if the cache has it."""
        return self.nodes.get(self.rescue.node)

    @property
    def action(self) -> ActionName | None:
        """What the next step does; None when all steps are done."""
        index = self.rescue.current
        return None if index is None else self.rescue.plan.actions[index].name

    def of(self, other: Rescue) -> "Asking":
        """The same moment, asked for another rescue."""
        return replace(self, rescue=other)


@dataclass(frozen=True, slots=True)
class Passed:
    """The guard has nothing against the step; why, in words without the node's name."""

    message: str


@dataclass(frozen=True, slots=True)
class Go:
    """The step may start; `guards` are all that were asked."""

    guards: tuple[GuardState, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: ask again later. `details` are names and numbers for machines."""

    reason: HoldReason
    message: str
    details: Mapping[str, str | int | bool] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Fold:
    """The rescue `into` is under way on the same node and can take this one over."""

    into: str

    @property
    def message(self) -> str:
        """Why, in words without the node's name."""
        return f"rescue {self.into} is under way on the node and takes this one over"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Not any more: the fault counts no longer, or the node is not ours to touch."""

    reason: CancelReason
    message: str


Answer = Passed | Hold | Fold | Cancel

Question = Callable[[Asking], Answer]
"""A guard of admission. Its message has no node's name in it: that is put before it where the rescue is told of."""
