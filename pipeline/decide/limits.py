"""What a plan may not do again: reboot for a fault that reboots have not cured."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pipeline.decide.guards import GuardSettings
from pipeline.decide.planner import in_order
from pipeline.durations import format_duration
from pipeline.model.fault import NodeFault
from pipeline.model.occurrence import Gpu
from pipeline.model.plan import ActionName, Offline, Plan
from pipeline.model.rescue import Rescue

_NOT_AGAIN = (ActionName.REBOOT, ActionName.UNCORDON)


def limited(plan: Plan, fault: NodeFault, rescues: Iterable[Rescue], now: datetime, settings: GuardSettings) -> Plan:
    """Return the plan, or one that takes the node out for good if it has been rebooted for this fault often enough.

    *rescues* are those of the node. A reboot counts that was proven within `reboot_window` and was made for the same
    code on the same GPU: by board serial, else UUID, else PCI address, so that a GPU that was exchanged starts anew.
    """
    if all(action.name is not ActionName.REBOOT for action in plan.actions):
        return plan
    reboots = sum(_counts(rescue, fault, now, settings) for rescue in rescues)
    if reboots < settings.max_reboots:
        return plan
    kept = [action for action in plan.actions if action.name not in _NOT_AGAIN]
    window = format_duration(settings.reboot_window)
    why = f"{reboots} reboots for the same fault within {window} have not cured it (max_reboots)"
    return replace(plan, actions=in_order([*kept, Offline()]), limit=why)


def _counts(rescue: Rescue, fault: NodeFault, now: datetime, settings: GuardSettings) -> bool:
    rebooted = rescue.rebooted_at
    if rebooted is None or now - rebooted > settings.reboot_window:
        return False
    return any(isinstance(member.decision, Plan) and _same(member.fault, fault) for member in rescue.members)


def _same(one: NodeFault, other: NodeFault) -> bool:
    return (one.fault.kind, one.fault.code) == (other.fault.kind, other.fault.code) and Gpu.of(one).same(Gpu.of(other))
