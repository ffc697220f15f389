"""What a plan may not do again: reboot for a fault that reboots have not cured."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pipeline.decide.guards import GuardSettings
from pipeline.decide.planner import in_order
from pipeline.decide.together import with_folded
from pipeline.durations import format_duration
from pipeline.model.fault import NodeFault
from pipeline.model.occurrence import Gpu
from pipeline.model.plan import ActionName, Offline, Plan
from pipeline.model.rescue import Rescue

_NOT_AGAIN = (ActionName.REBOOT, ActionName.UNCORDON)


def limited(plan: Plan, fault: NodeFault, rescues: Sequence[Rescue], now: datetime, settings: GuardSettings) -> Plan:
    """Return the plan, or one that takes the node out for good if it has been rebooted for this fault often enough.

    *rescues* are those of the node. A reboot counts that was proven within `reboot_window` and was made for the same
    code on any GPU of the node, be it for one that was taken over. A GPU that is known by its board serial or UUID to
    have been exchanged starts anew.
    """
    if all(action.name is not ActionName.REBOOT for action in plan.actions):
        return plan
    lately = (rescue for rescue in rescues if _rebooted(rescue, now, settings))
    reboots = sum(any(_planned(one, fault) for one in with_folded(rescue, rescues)) for rescue in lately)
    if reboots < settings.max_reboots:
        return plan
    kept = [action for action in plan.actions if action.name not in _NOT_AGAIN]
    window = format_duration(settings.reboot_window)
    why = f"{reboots} reboots for the same fault within {window} have not cured it (max_reboots)"
    return replace(plan, actions=in_order([*kept, Offline()]), limit=why)


def _rebooted(rescue: Rescue, now: datetime, settings: GuardSettings) -> bool:
    at = rescue.rebooted_at
    return at is not None and now - at <= settings.reboot_window


def _planned(rescue: Rescue, fault: NodeFault) -> bool:
    """Whether the rescue was planned for the same fault, by itself or with others."""
    return any(isinstance(member.decision, Plan) and _same(member.fault, fault) for member in rescue.members)


def _same(one: NodeFault, other: NodeFault) -> bool:
    """Whether both are the same code of one node, whichever of its GPUs it was on: a riser or a switch may be at fault.

    Not where the GPU in that place is known to be another one by now.
    """
    mine, its = Gpu.of(one), Gpu.of(other)
    exchanged = mine.device == its.device and not mine.same(its)
    return (one.fault.kind, one.fault.code) == (other.fault.kind, other.fault.code) and not exchanged
