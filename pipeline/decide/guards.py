"""What no policy may overstep: the numbers. `gate` and `admission` hold rescues to them."""

from datetime import timedelta

from pydantic import Field

from pipeline.decide.rules import UnknownCodes
from pipeline.documents import Strict
from pipeline.durations import Duration, format_duration

OUT_FOR_GOOD = "the node was taken out for good, and only a person brings it back"

_MOMENT = timedelta(0)


class GuardSettings(Strict):
    """The guards of the whole cluster."""

    max_age: Duration = Field(
        timedelta(minutes=10),
        gt=_MOMENT,
        description="A fault older than this, or as far ahead of the clock, is recorded and never acted on. 10min "
        "covers a shipper's usual delay; a consumer that comes back after hours must reboot nothing.",
    )
    max_hold: Duration = Field(
        timedelta(hours=2),
        gt=_MOMENT,
        description="A rescue that has not begun is given up when its fault was last seen longer ago than this. 2h let "
        "the breaker close or a person look; after that a held rescue would act on what is no longer so.",
    )
    max_nodes: int = Field(
        5,
        ge=0,
        description="Nodes that may be out of service by our hand at a time; one rescue more waits. 0 holds them all. "
        "A fault of the fabric or the driver shows on many nodes at once, and rebooting them all would not mend it.",
    )
    window: Duration = Field(
        timedelta(hours=1),
        gt=_MOMENT,
        description="A cordon of ours older than this counts no longer for max_nodes: what is out so long waits for "
        "a person, and must not hold up the others.",
    )
    max_reboots: int = Field(
        3,
        ge=1,
        description="Proven reboots for the same fault of the same GPU within reboot_window after which the node goes "
        "offline instead. What three reboots have not cured is broken, and each costs the jobs that came back.",
    )
    reboot_window: Duration = Field(
        timedelta(hours=24),
        gt=_MOMENT,
        description="The time in which max_reboots counts. A day, so that a fault that comes back each night is seen.",
    )
    require_kernel: bool = Field(
        False,
        description="Whether to act only on lines whose envelope says that they came from the kernel; off, because "
        "many shippers do not tell, and their lines would all be skipped. What another program wrote, by its envelope, "
        "is never acted on.",
    )
    unknown_codes: UnknownCodes = Field(
        UnknownCodes.RECORD,
        description="A code that no catalogue knows and no rule names: `record` it, or let rules without errorCode act "
        "(`policies`). Drivers print new codes before anybody knows what they ask for.",
    )
    incident_window: Duration = Field(
        timedelta(minutes=10),
        gt=_MOMENT,
        description="The same fault of the same device within this time of the last one is the same incident.",
    )


def too_old(age: timedelta, settings: GuardSettings) -> str:
    """Say that a fault of this age is stale."""
    return f"it is {format_duration(age)} old, more than {format_duration(settings.max_age)} (max_age)"
