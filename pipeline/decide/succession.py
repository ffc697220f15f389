"""Who works on a node next, when the rescue that works on it now is about to give it back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.decide.admission import Go, admit
from pipeline.decide.guards import GuardSettings
from pipeline.model.guard import GuardState
from pipeline.model.node import Node
from pipeline.model.plan import ActionName
from pipeline.model.rescue import Rescue, Status


@dataclass(frozen=True, slots=True)
class Heir:
    """The rescue that goes on with the node; `guards` are those that let it begin, none if it has begun already."""

    name: str
    guards: tuple[GuardState, ...] = ()


def heir(
    rescue: Rescue, rescues: Sequence[Rescue], nodes: Mapping[str, Node], now: datetime, settings: GuardSettings
) -> Heir | None:
    """Return the rescue that would work on the node if *rescue* had ended; None if the node can be given back.

    *rescues* are those that `admit` is asked with for any of the node. One that would be held or given up is no heir:
    the node would stay out of service for nobody.
    """
    ended = replace(rescue, status=Status.SUCCEEDED, ended=now)
    then = [*(other for other in rescues if other.name != rescue.name), ended]
    waiting = (other for other in then if _works_on(other, rescue))
    for other in sorted(waiting, key=lambda other: (other.created, other.name)):
        if other.begun:
            return Heir(other.name)
        verdict = admit(other, then, nodes, now, settings)
        if isinstance(verdict, Go):
            return Heir(other.name, verdict.guards)
    return None


def _works_on(other: Rescue, rescue: Rescue) -> bool:
    """Whether the other one has anything to do on the same node but to give it back as well."""
    index = other.current
    open_here = other.node == rescue.node and other.dry_run is rescue.dry_run and not other.status.ended
    return open_here and index is not None and other.plan.actions[index].name is not ActionName.UNCORDON
