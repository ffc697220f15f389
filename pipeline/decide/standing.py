"""Guards of admission: whether a rescue's fault counts still, and whether its node may be touched."""

from pipeline.decide.asking import Answer, Asking, Cancel, Hold, Passed
from pipeline.decide.boots import earlier_boot, is_of_boot
from pipeline.decide.guards import OUT_FOR_GOOD, ForeignCordon, too_old
from pipeline.decide.optout import left
from pipeline.durations import format_duration
from pipeline.model.ownership import CORDONED_BY, OFFLINE
from pipeline.model.rescue import CancelReason, HoldReason

_BEGUN = "the rescue has begun, and is brought to its end"


def node(asking: Asking) -> Answer:
    """Whether the node is there and in service; a rescue that has begun asks the server itself."""
    there, settings = asking.node, asking.settings
    if asking.rescue.begun:
        return Passed(_BEGUN)
    if there is None:
        unknown, age = "the cluster has no node of this name", asking.now - asking.rescue.last_seen
        if age > settings.max_age:
            why = f"{unknown}, and the fault counts no longer: {too_old(age, settings)}"
            return Cancel(CancelReason.STALE, why)
        return Hold(HoldReason.NODE_UNKNOWN, unknown)
    if OFFLINE in there.labels:
        return Cancel(CancelReason.NODE_OFFLINE, OUT_FOR_GOOD)
    return Passed("the cluster has the node, and it was not taken out for good")


def opt_out(asking: Asking) -> Answer:
    """Whether somebody has told us to keep our hands off; that stops a rescue which has begun as well."""
    there = asking.node
    if there is not None and there.opted_out:
        return Cancel(CancelReason.OPTED_OUT, left(there, asking.rescue))
    return Passed("nobody has opted the node out")


def boot(asking: Asking) -> Answer:
    """Whether the node is still in the boot of the fault."""
    there, rescue = asking.node, asking.rescue
    if rescue.begun:
        return Passed(_BEGUN)
    if there is None or (not there.ready and not rescue.cause.boot_id):
        # It was not Ready when the fault was read and is not now: its boot id may still be that of the boot before.
        return Passed("nothing is known of the node's boot")
    older = earlier_boot(rescue.cause, there.boot_id, there.booted_at)
    if older is not None:
        return Cancel(CancelReason.OLDER_THAN_BOOT, f"the fault is older than the node's boot: {older}")
    return Passed("nothing says that the node has rebooted since the fault")


def last_rescue(asking: Asking) -> Answer:
    """Whether the fault is newer than the reboot by which the node's last rescue may have cured it.

    As at the gate, which that rescue had not told of its reboot yet when the fault came; but a fault that is known to
    be of the present boot stays, whenever that boot was seen.
    """
    rescue, there = asking.rescue, asking.node
    if rescue.begun:
        return Passed(_BEGUN)
    reboots = [(at, one.name) for one in asking.rescues if one.node == rescue.node and (at := one.rebooted_at)]
    if not reboots:
        return Passed("no rescue that is known has rebooted the node")
    at, by = max(reboots)
    told = f"{at.isoformat()}, when the node was first seen in the boot that rescue {by} had led to"
    if rescue.last_seen > at:
        return Passed(f"the fault was seen later than {told}")
    if there is not None and is_of_boot(rescue.cause, there.boot_id, there.booted_at):
        return Passed("the fault is known to be of the boot in which the node is")
    return Cancel(CancelReason.OLDER_THAN_RESCUE, f"the fault was not seen later than {told}")


def age(asking: Asking) -> Answer:
    """Whether the fault was seen lately enough to begin."""
    ago, most = asking.now - asking.rescue.last_seen, asking.settings.max_hold
    seen = f"it was last seen {format_duration(ago)} ago"
    if asking.rescue.begun:
        return Passed(_BEGUN)
    if ago > most:
        why = f"the fault counts no longer: {seen}, more than {format_duration(most)} (max_hold)"
        return Cancel(CancelReason.STALE, why)
    return Passed(f"{seen}, at most {format_duration(most)} (max_hold)")


def foreign_cordon(asking: Asking) -> Answer:
    """Whether somebody else has the node out of service, and may be working on it."""
    there = asking.node
    if asking.rescue.begun or there is None or not there.unschedulable or CORDONED_BY in there.annotations:
        return Passed("no other hand has cordoned the node")
    if asking.settings.foreign_cordon is ForeignCordon.ACT:
        return Passed("another hand has cordoned the node, and is not asked (foreign_cordon)")
    return Hold(
        HoldReason.FOREIGN_CORDON, "another hand has cordoned the node, and may be at work on it (foreign_cordon)"
    )


GIVING_UP = (node, opt_out, boot, last_rescue, age)
"""Those that can give a rescue up; one that they give up leads no other."""


def given_up(asking: Asking) -> bool:
    """Whether the rescue would be cancelled when it asks next."""
    return any(isinstance(question(asking), Cancel) for question in GIVING_UP)
