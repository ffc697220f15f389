"""Faults as an intake sees them, each by a line of its own, and how `Incidents` places them."""

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

from pipeline.decide.gate import gate
from pipeline.decide.guards import GuardSettings
from pipeline.decide.incidents import Incident, Incidents, Placement
from pipeline.model.fault import NodeFault, NvLink5
from pipeline.model.plan import Skip, SkipReason
from pipeline.model.rescue import Rescue, Status, StepState
from tests.fakes.faults import NOON, fault, line, node_fault, rescue

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
WINDOW = 10 * MINUTE
STALE = Skip(SkipReason.STALE, "old")
HARMLESS = Skip(SkipReason.NO_RESCUE_NEEDED, "harmless")
SETTINGS = GuardSettings()
NETIR = NvLink5("NETIR", True, False, False, 1, None, None)

_PLACES = count()


def fresh(found: NodeFault) -> NodeFault:
    """The same fault by another line: one that was found at another place."""
    position = f"kernel.log:{next(_PLACES)}"
    return replace(found, fault=replace(found.fault, line=replace(found.fault.line, position=position)))


def seen(code: int = 79, at: timedelta = timedelta(0), node: str = "gpu-1", **given: Any) -> NodeFault:
    """A fault at noon and *at*; what is given is the line's, but for the labels of a node fault."""
    own = {key: given.pop(key) for key in ("boot_id", "booted_at", "lookup", "meaning") if key in given}
    one = fault(code, line=line(time=NOON + at, node=node), **given)
    return fresh(node_fault(code, node, NOON + at, fault=one, **own))


def place(incidents: Incidents, found: NodeFault, skip: Skip | None = None, now: Any = NOON) -> Placement:
    """Place one fault."""
    return incidents.place(found, skip, now)


def kinds(*faults: NodeFault, skips: tuple[Skip | None, ...] = ()) -> list[str]:
    """How each of the faults is placed, one after the other; what the gate says of it is up to the gate."""
    incidents = Incidents(SETTINGS)
    faults = tuple(map(fresh, faults))
    given_skips = skips or tuple(gate(found, SETTINGS, found.time, None) for found in faults)
    return [type(place(incidents, found, skip)).__name__ for found, skip in zip(faults, given_skips, strict=True)]


SXID = seen(20034, kind="sxid", severity_word="Fatal")
DATA = seen(20034, at=MICROSECOND, kind="sxid", companion=True)
FELL = seen(79)
BARE = seen(79, at=MICROSECOND, inferred=True)


def ended(incident: Incident, status: Status, reason: str | None = None, at: timedelta = timedelta(0)) -> Rescue:
    """The rescue that an incident has led to, at its end."""
    one = rescue(incident.name, cause=incident.lead)
    return replace(one, status=status, reason=reason, ended=NOON + at)


def rebooted(one: Rescue, at: timedelta, status: Status = Status.SUCCEEDED) -> Rescue:
    """The rescue after its reboot, which was proven then if its status is Succeeded."""
    when = NOON + at
    return one.with_step(2, StepState(status, when, when, memo={"rebooted_at": when.isoformat()}))
