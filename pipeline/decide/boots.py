"""Whether a fault belongs to a boot that is over."""

from datetime import datetime

from pipeline.model.fault import NodeFault


def same_boot(one: str, other: str) -> bool:
    """Whether two boot ids are the same; the journal writes them without the dashes that the kernel has."""
    return _bare(one) == _bare(other)


def earlier_boot(fault: NodeFault, boot_id: str | None, booted_at: datetime | None) -> str | None:
    """Say why the fault is older than the node's boot *boot_id*, first seen at *booted_at*; None if that is not known.

    The boot id that the line itself carries decides. Without one, a node whose boot id has changed since the fault was
    enriched has rebooted since, and a fault before *booted_at* is of an earlier boot.
    """
    of_line = fault.fault.line.boot_id
    if of_line and boot_id:
        if same_boot(of_line, boot_id):
            return None
        return f"its line is of boot {of_line}, the node {fault.node} is in boot {boot_id}"
    if fault.boot_id and boot_id and not same_boot(fault.boot_id, boot_id):
        return f"the node {fault.node} was in boot {fault.boot_id} then and is in boot {boot_id} now"
    if booted_at is not None and fault.time < booted_at:
        return f"it happened at {fault.time.isoformat()}, the node {fault.node} has booted at {booted_at.isoformat()}"
    return None


def _bare(boot_id: str) -> str:
    return boot_id.replace("-", "").lower()
