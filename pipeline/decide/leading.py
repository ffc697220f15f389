"""Guards of admission: one rescue acts on a node at a time, and none on what a failed reboot has left."""

from pipeline.decide.asking import Answer, Asking, Cancel, Fold, Hold, Passed
from pipeline.decide.boots import left_by_failed_reboot, may_be_one_boot
from pipeline.decide.escalation import takes_over
from pipeline.decide.standing import given_up
from pipeline.model.rescue import CancelReason, HoldReason, Rescue


def taken_over(asking: Asking) -> Answer:
    """A crash has fallen between the taking over and the end of this one: what it asked for is being done, or was.

    One that has begun all the same, by the hand of another process, is brought to its end: its cordon is its own.
    """
    rescue = asking.rescue
    if rescue.begun:
        return Passed("the rescue has begun itself")
    into = next((other for other in asking.rescues if rescue.name in other.folded and other.name != rescue.name), None)
    if into is None:
        return Passed("no other rescue has taken this one over")
    if into.status.ended:
        return Cancel(CancelReason.FOLDED, f"rescue {into.name} had taken it over, and has ended")
    return Fold(into.name)


def one_per_node(asking: Asking) -> Answer:
    """Whether no other rescue acts on the node; one for a fault of another boot is waited for."""
    leader, rescue = _leader(asking), asking.rescue
    if leader.name == rescue.name:
        return Passed("no other rescue acts on the node")
    if takes_over(leader, rescue) and not rescue.begun:
        return Fold(leader.name)
    if not may_be_one_boot((*leader.faults, *rescue.faults)):
        return Hold(HoldReason.NODE_BUSY, f"rescue {leader.name} is under way, for a fault of another boot")
    return Hold(HoldReason.NODE_BUSY, f"rescue {leader.name} is under way, too far to take this one over")


def failed_reboot(asking: Asking) -> Answer:
    """A reboot that has failed is not tried again by the next fault; whoever has looked makes the node schedulable.

    Only the last rescue that has begun speaks: one that began after a failed one shows that a person had let it.
    """
    rescue, there = asking.rescue, asking.node
    if rescue.begun:
        return Passed("the rescue has begun since")
    begun = (one for one in asking.rescues if one.node == rescue.node and one.name != rescue.name and one.begun)
    last = max(begun, key=lambda one: one.ended or one.created, default=None)
    if there is None or not there.unschedulable or last is None or not left_by_failed_reboot(there, last):
        return Passed("no failed reboot has left the node for a person")
    told = f"rescue {last.name} has failed ({last.reason}) and the node is as it left it"
    return Hold(HoldReason.NODE_FAILED, f"{told}: it waits until a person has looked and made the node schedulable")


def _leader(asking: Asking) -> Rescue:
    """The one rescue that may act on the node: the one that has begun, else the oldest that still counts.

    One that would be cancelled leads nobody, or a good rescue would fold into it and be lost with it.
    """
    rescue = asking.rescue
    others = (other for other in asking.rescues if other.node == rescue.node and not other.status.ended)
    in_turn = sorted([rescue, *others], key=lambda other: (not other.begun, other.created, other.name))
    return next(other for other in in_turn if other.name == rescue.name or not given_up(asking.of(other)))
