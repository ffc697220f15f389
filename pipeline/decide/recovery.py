"""The driver takes a verdict back, Xid 154 to 0: which lines count, and which rescues are without cause then."""

from collections.abc import Iterable
from datetime import datetime

from pipeline.decide.gate import gate_states
from pipeline.decide.guards import GuardSettings
from pipeline.decide.identity import device_of
from pipeline.decide.together import with_folded
from pipeline.model.fault import NodeFault
from pipeline.model.guard import Guard, Verdict
from pipeline.model.plan import Skip
from pipeline.model.rescue import Member, Rescue


def tells_of_recovery(fault: NodeFault, settings: GuardSettings, now: datetime, last_rescue: Rescue | None) -> bool:
    """Whether the driver says that a device needs nothing any more, by a line that would count if it told of a fault.

    So a stale line ends nothing, as it begins nothing: faults as old that came after it begin nothing either. One
    without a time of its own looks new whenever it is delivered again. One with a process's name may be what a user
    has made of a verdict that was cut off; the driver prints none in a 154.
    """
    line = fault.fault
    if line.recovery_action is None or not line.recovery_action.recovered or line.line.time is None or line.name:
        return False
    states = gate_states(fault, settings, now, last_rescue)
    return [state.guard for state in states if state.verdict is Verdict.SKIPS] == [Guard.LINE]


def without_cause(rescue: Rescue, recovery: NodeFault, rescues: Iterable[Rescue]) -> bool:
    """Whether nothing but a cordon is done yet, and all that it is about are verdicts which the recovery takes back.

    Any other fault that leads to a plan keeps it: the driver takes back its verdict, not what it said beside it. The
    faults of those that it took over are its own to cure; *rescues* are those of its node, and where one that it took
    over is not among them, nobody can tell.
    """
    together = with_folded(rescue, rescues)
    if rescue.committed or rescue.withdrawn or rescue.status.ended or len(together) <= len(rescue.folded):
        return False
    asking = (member for one in together for member in one.members if not isinstance(member.decision, Skip))
    return all(_takes_back(recovery, member) for member in asking)


def _takes_back(recovery: NodeFault, member: Member) -> bool:
    """Whether the member is a verdict of the same device, and was last seen before the recovery.

    Of two in one moment, as shippers that write whole seconds deliver them, nobody knows which came first.
    """
    its = member.fault
    same = (device_of(its), its.fault.drill) == (device_of(recovery), recovery.fault.drill)
    return its.fault.recovery_action is not None and same and member.last_seen < recovery.time
