"""Admission: what is asked before each disruptive step of a rescue."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from pipeline.decide import leading, standing, timing
from pipeline.decide.asking import Answer, Asking, Cancel, Fold, Go, Hold, Passed, Question
from pipeline.decide.breaker import breaker, group_breaker
from pipeline.decide.census import Census
from pipeline.decide.fabric import fabric
from pipeline.decide.guards import GuardSettings
from pipeline.model.guard import Guard, GuardState, Verdict
from pipeline.model.node import Node
from pipeline.model.plan import ActionName
from pipeline.model.rescue import Rescue

__all__ = ["Admission", "Cancel", "Fold", "Go", "Hold", "admission_states", "admit"]

Admission = Go | Hold | Fold | Cancel

GUARDS: tuple[tuple[Guard, Question], ...] = (
    (Guard.TAKEN_OVER, leading.taken_over),
    (Guard.NODE, standing.node),
    (Guard.OPT_OUT, standing.opt_out),
    (Guard.BOOT, standing.boot),
    (Guard.LAST_RESCUE, standing.last_rescue),
    (Guard.AGE, standing.age),
    (Guard.FOREIGN_CORDON, standing.foreign_cordon),
    (Guard.ONE_PER_NODE, leading.one_per_node),
    (Guard.FAILED_REBOOT, leading.failed_reboot),
    (Guard.FABRIC, fabric),
    (Guard.COOL_DOWN, timing.cool_down),
    (Guard.WINDOWS, timing.windows),
    (Guard.BREAKER, breaker),
    (Guard.GROUP_BREAKER, group_breaker),
)
"""In the order in which they are asked; the first that has something against the step decides."""

_VERDICTS = {Passed: Verdict.PASSED, Hold: Verdict.HOLDS, Fold: Verdict.FOLDS, Cancel: Verdict.CANCELS}


def admit(
    rescue: Rescue,
    rescues: Sequence[Rescue],
    nodes: Mapping[str, Node],
    now: datetime,
    settings: GuardSettings,
    shared: Census | None = None,
) -> Admission:
    """Say whether the rescue may start its next step now; unCordon always may: it only gives back.

    *rescues* are all that are open, those of the same node that have ended, and those of any node that have ended
    within the last CACHE_LAG or since the `reach` of this one's fault; of the latter only the census need know, where
    there is one that is *shared* with others who ask. What must hold for the whole cluster is decided here alone.
    Whoever asks saves the start of the step before the next rescue asks, because a rescue counts from its first
    started step on. One that has begun goes on even when its node has left the cache: the step asks the server, and
    ends the rescue if the node is gone. Rescues that are only rehearsed bear on none that is real, nor real ones on
    them.
    """
    asking = _asking(rescue, rescues, nodes, now, settings, shared)
    if asking.action is ActionName.UNCORDON:
        return Go()
    states: list[GuardState] = []
    for guard, question in GUARDS:
        answer = question(asking)
        if isinstance(answer, Fold):
            return answer
        if not isinstance(answer, Passed):
            return replace(answer, message=f"{rescue.node}: {answer.message}")
        states.append(_state(guard, answer))
    return Go(tuple(states))


def admission_states(
    rescue: Rescue,
    rescues: Sequence[Rescue],
    nodes: Mapping[str, Node],
    now: datetime,
    settings: GuardSettings,
    shared: Census | None = None,
) -> tuple[GuardState, ...]:
    """Return what every guard answers to the same question that `admit` is asked, the first one against it decides."""
    asking = _asking(rescue, rescues, nodes, now, settings, shared)
    return tuple(_state(guard, question(asking)) for guard, question in GUARDS)


def _asking(
    rescue: Rescue,
    rescues: Sequence[Rescue],
    nodes: Mapping[str, Node],
    now: datetime,
    settings: GuardSettings,
    shared: Census | None,
) -> Asking:
    alike = [other for other in rescues if other.dry_run == rescue.dry_run]
    return Asking(rescue, alike, nodes, now, settings, shared)


def _state(guard: Guard, answer: Answer) -> GuardState:
    return GuardState(guard, _VERDICTS[type(answer)], answer.message)
