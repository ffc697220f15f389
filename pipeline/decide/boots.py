"""What boot ids tell: whether a fault is of a boot that is over, whether a node was rebooted since."""

from collections.abc import Iterable
from datetime import datetime

from pipeline.model.fault import NodeFault
from pipeline.model.node import Node
from pipeline.model.plan import ActionName
from pipeline.model.rescue import BOOT_ID, REBOOTED_AT, FailReason, Rescue, Status

_REBOOT_FAILED = (FailReason.REBOOT_TIMEOUT, FailReason.REBOOT_UNCERTAIN)


def same_boot(one: str, other: str) -> bool:
    """Whether two boot ids are the same; the journal writes them without the dashes that the kernel has."""
    return _bare(one) == _bare(other)


def may_be_one_boot(faults: Iterable[NodeFault]) -> bool:
    """Whether all of the faults of a node can be of the same boot: no two are known to be of different ones."""
    boots = (fault.fault.line.boot_id or fault.boot_id for fault in faults)
    return len({_bare(boot) for boot in boots if boot}) <= 1


def is_of_boot(fault: NodeFault, boot_id: str, booted_at: datetime | None) -> bool:
    """Whether the fault is known to be of the boot *boot_id*, first seen at *booted_at*.

    The boot id that the line itself carries tells it. Without one it is known if the node was in that boot when the
    fault was enriched and the boot was seen before the fault: then the line was not merely delivered late.
    """
    if fault.fault.line.boot_id:
        return same_boot(fault.fault.line.boot_id, boot_id)
    if not fault.boot_id or booted_at is None:
        return False
    return same_boot(fault.boot_id, boot_id) and fault.time >= booted_at


def earlier_boot(fault: NodeFault, boot_id: str | None, booted_at: datetime | None) -> str | None:
    """Say why the fault is older than the node's boot *boot_id*, first seen at *booted_at*; None if that is not known.

    The boot id that the line itself carries decides. Without one it is the boot that the node was in when the fault was
    enriched: if the node is in another one now it has rebooted since, and a fault of before *booted_at* is of an
    earlier one. A fault of which neither is known is never called older: the kernel prints its first lines before the
    kubelet posts the new boot id, so that a line from before *booted_at* may well be of this boot.
    """
    of_line, then = fault.fault.line.boot_id, fault.boot_id
    if not boot_id or (of_line and same_boot(of_line, boot_id)):
        return None
    if of_line:
        return f"its line is of boot {of_line}, the node {fault.node} is in boot {boot_id}"
    if then and not same_boot(then, boot_id):
        return f"the node {fault.node} was in boot {then} then and is in boot {boot_id} now"
    if then and booted_at is not None and fault.time < booted_at:
        return f"it happened at {fault.time.isoformat()}, the node {fault.node} has booted at {booted_at.isoformat()}"
    return None


def left_by_failed_reboot(node: Node, rescue: Rescue) -> bool:
    """Whether the rescue's reboot failed and the node, as far as is known, is still in the boot in which it left it.

    That is the boot of before, as the step's memo has it; or the next one, if the machine did reboot (`rebooted_at`)
    and did not come back whole.
    """
    if rescue.status is not Status.FAILED or rescue.reason not in _REBOOT_FAILED:
        return False
    steps = zip(rescue.plan.actions, rescue.steps, strict=True)
    memo = next((step.memo for action, step in steps if action.name is ActionName.REBOOT), {})
    if REBOOTED_AT in memo:
        return node.booted_at is None or rescue.ended is None or node.booted_at <= rescue.ended
    before = memo.get(BOOT_ID)
    return not before or not node.boot_id or same_boot(before, node.boot_id)


def _bare(boot_id: str) -> str:
    return boot_id.replace("-", "").lower()
