"""From the actions that a rule asks for, in whatever order, to a plan in the one order that is safe."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.decide.actions import ActionSpec, RebootSpec
from pipeline.model.plan import Action, ActionName, Cordon, Uncordon

ORDER = (
    ActionName.CORDON,
    ActionName.WARM_STANDBY,
    ActionName.DRAIN,
    ActionName.REBOOT,
    ActionName.UNCORDON,
    ActionName.OFFLINE,
)
"""The order of every plan. A standby is put into service before the drain, so that evicted pods find a place."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why no plan follows; `action` is the index of the offending entry."""

    action: int
    text: str

    def __str__(self) -> str:
        return f"Failures to meet preconditions: {self.text}"


class PreconditionError(ValueError):
    """The actions cannot be done together, or not without another one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("Failures to meet preconditions: " + "; ".join(problem.text for problem in problems))
        self.problems = tuple(problems)


def plan_actions(asked: Sequence[ActionSpec]) -> tuple[Action, ...]:
    """Return the actions in order, those added that others imply.

    drain and offline imply cordon: a node whose pods leave, or that leaves for good, must take no new ones, and it is
    the cordon that counts as out of service by our hand. reboot's attribute unCordon "true" is the action unCordon.
    Raises PreconditionError with every problem there is.
    """
    places: dict[str, int] = {entry.name: place for place, entry in reversed(list(enumerate(asked)))}
    problems = [*_repeated(asked, places), *_contradictions(asked, places), *_missing(places)]
    if problems:
        raise PreconditionError(sorted(problems, key=lambda problem: problem.action))
    actions = [entry.action for entry in asked]
    if ActionName.UNCORDON not in places and any(_returns(entry) for entry in asked):
        actions.append(Uncordon())
    if ActionName.CORDON not in places:
        # What meets its preconditions without a cordon has drain or offline.
        actions.append(Cordon())
    return in_order(actions)


def in_order(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Return the actions in the order of every plan."""
    return tuple(sorted(actions, key=lambda action: ORDER.index(action.name)))


def _returns(entry: ActionSpec) -> bool:
    return isinstance(entry, RebootSpec) and entry.attribute.uncordon == "true"


def _repeated(asked: Sequence[ActionSpec], places: Mapping[str, int]) -> Iterable[Problem]:
    for place, entry in enumerate(asked):
        if places[entry.name] != place:
            yield Problem(place, f"{entry.name} is asked for twice; keep one of them")


def _contradictions(asked: Sequence[ActionSpec], places: Mapping[str, int]) -> Iterable[Problem]:
    uncordon = places.get(ActionName.UNCORDON)
    for place, entry in enumerate(asked):
        if uncordon is not None and isinstance(entry, RebootSpec) and entry.attribute.uncordon == "false":
            yield Problem(place, 'reboot says unCordon "false" beside the action unCordon; keep one of them')
        if ActionName.OFFLINE in places and (place == uncordon or _returns(entry)):
            yield Problem(place, "offline takes the node out for good; it excludes unCordon")


def _missing(places: Mapping[str, int]) -> Iterable[Problem]:
    named = set(places)
    if ActionName.REBOOT in named and ActionName.DRAIN not in named:
        yield Problem(
            places[ActionName.REBOOT], "reboot needs drain: a machine is rebooted only when its pods have left"
        )
    if ActionName.UNCORDON in named and ActionName.REBOOT not in named:
        yield Problem(places[ActionName.UNCORDON], "unCordon needs reboot: without it the fault would still be there")
    out_of_service = {ActionName.CORDON, ActionName.DRAIN, ActionName.REBOOT, ActionName.OFFLINE}
    if ActionName.WARM_STANDBY in named and not out_of_service & named:
        text = "enableWarmStandby needs one of cordon, drain, reboot: a standby replaces a node that leaves service"
        yield Problem(places[ActionName.WARM_STANDBY], text)
