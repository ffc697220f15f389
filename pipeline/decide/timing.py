"""Guards of admission: whether it is time for what the next step does."""

from pipeline.decide.asking import Answer, Asking, Hold, Passed
from pipeline.durations import format_duration
from pipeline.model.plan import ActionName
from pipeline.model.rescue import HoldReason

DISTURBING = frozenset({ActionName.WARM_STANDBY, ActionName.DRAIN})
"""What disturbs running jobs. A cordon does not, and offline comes when the jobs have left or are lost.

The reboot of a node that is drained already disturbs none: a node that was emptied inside a window need not stand idle
until the next one. It waits for the windows of `deny` alone, in which a site wants no machine touched.
"""


def cool_down(asking: Asking) -> Answer:
    """Whether the node's last reboot by us is long enough ago for another one."""
    most, here = asking.settings.cool_down, asking.rescue.node
    if asking.action is not ActionName.REBOOT:
        return Passed("the next step is no reboot, which alone has to wait after a reboot")
    reboots = [(at, one.name) for one in asking.rescues if one.node == here and (at := one.rebooted_at) is not None]
    if not reboots:
        return Passed("no rescue that is known has rebooted the node")
    at, by = max(reboots)
    ago = f"rescue {by} has rebooted the node {format_duration(asking.now - at)} ago"
    if asking.now - at < most:
        until = (at + most).isoformat(timespec="seconds")
        return Hold(HoldReason.COOL_DOWN, f"{ago}: its next reboot waits until {until} (cool_down)")
    return Passed(f"{ago}, at least {format_duration(most)} (cool_down)")


def windows(asking: Asking) -> Answer:
    """Whether the site lets running jobs be disturbed now."""
    sets = asking.settings.windows
    if asking.action is ActionName.REBOOT:
        sets = sets.denying
    elif asking.action not in DISTURBING:
        return Passed(f"{asking.action} disturbs no running job, and waits for no maintenance window")
    opening = sets.opening(asking.now)
    if opening == asking.now:
        return Passed(f"no maintenance window keeps {asking.action} from going now (windows)")
    if opening is None:
        why = f"no maintenance window opens for {asking.action} within a year (windows)"
        return Hold(HoldReason.MAINTENANCE_WINDOW, why)
    when = opening.isoformat(timespec="minutes")
    return Hold(
        HoldReason.MAINTENANCE_WINDOW,
        f"{asking.action} waits for a maintenance window until {when} (windows)",
    )
