"""What no policy may overstep: the settings. `gate` and `admission` hold faults and rescues to them."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field, model_validator

from pipeline.decide.rules import UnknownCodes
from pipeline.decide.windows import Windows
from pipeline.documents import Strict
from pipeline.durations import Duration, format_duration

OUT_FOR_GOOD = "the node was taken out for good, and only a person brings it back"

_MOMENT = timedelta(0)


class GroupLimit(Strict):
    """How many nodes of a group may be out of service by our hand: those that carry the same value of a label."""

    label: str = Field(min_length=1, description="The label, rack for example; a node without it is in no group.")
    max_nodes: int | None = Field(None, ge=0, description="Nodes of one group; 0 holds them all.")
    max_percent: int | None = Field(
        None, ge=1, le=100, description="Percent of the nodes with GPUs in the group; one is always allowed."
    )

    @model_validator(mode="after")
    def _limits(self) -> "GroupLimit":
        if self.max_nodes is None and self.max_percent is None:
            raise ValueError("set max_nodes, max_percent, or both")
        return self


class ForeignCordon(StrEnum):
    """What becomes of a fault on a node that somebody else has cordoned."""

    HOLD = "hold"
    ACT = "act"


class FabricSettings(Strict):
    """When one fault on many nodes is a fault of what they share."""

    labels: tuple[str, ...] = Field(
        ("nvidia.com/gpu.clique",),
        description="Labels whose value nodes share that hang on one fabric; none: nothing is held. The default is "
        "what NVIDIA's GPU Feature Discovery writes on the nodes of one NVLink domain.",
    )
    nodes: int = Field(4, ge=2, description="So many nodes with the same fault and the same value make it one.")
    window: Duration = Field(
        timedelta(minutes=2), gt=_MOMENT, description="How far apart the fault was first seen on them at the most."
    )


class GuardSettings(Strict):
    """The guards of the whole cluster.

    The breaker (`max_nodes`, `max_percent`, `groups`) counts only nodes that are out of service by our hand: those a
    rescue works on, and those that carry a cordon of ours. Open, it holds rescues that have not begun; it never holds
    unCordon, a cancellation or a record. It half-opens by itself: a cordon that no rescue works on any more and that is
    older than `breaker_window` does not keep it open. While such cordons bring the count to the limit all the same, one
    rescue at a time is let through; those that are let through count, so that no more nodes than the limit leave
    service within a `breaker_window`. Never more than twice the limit are out: then a person has to bring some back.
    """

    max_age: Duration = Field(
        timedelta(minutes=10),
        gt=_MOMENT,
        description="A fault older than this, or as far ahead of the clock, is recorded and never acted on. 10min "
        "covers a shipper's usual delay; a consumer that comes back after hours must reboot nothing.",
    )
    max_hold: Duration = Field(
        timedelta(hours=2),
        gt=_MOMENT,
        description="A rescue that has not begun, or that waits for a person as one of a fabric incident, is given up "
        "when its fault was last seen longer ago than this. 2h let the breaker close or a person look; after that a "
        "held rescue would act on what is no longer so.",
    )
    max_nodes: int = Field(
        5,
        ge=0,
        description="Nodes that may leave service by our hand within breaker_window; one rescue more waits, and twice "
        "as many are never out. 0 holds them all. "
        "A fault of the fabric or the driver shows on many nodes at once, and rebooting them all would not mend it.",
    )
    max_percent: int = Field(
        10,
        ge=1,
        le=100,
        description="The same in percent of the nodes with GPUs; one node is always allowed. It is not asked when no "
        "such node is known. Hosts that a simulated cluster knows only from the log that is replayed do not count: of "
        "the others, nobody knows how many there are.",
    )
    groups: tuple[GroupLimit, ...] = Field(
        (),
        description="The same for each group of nodes that share a value of a label, so that one rack or one switch "
        "does not lose all that max_nodes allows.",
    )
    breaker_window: Duration = Field(
        timedelta(hours=1),
        gt=_MOMENT,
        description="A cordon of ours older than this, which no rescue works on, keeps the breaker open no longer, "
        "only half open: what is out so long waits for a person, and must not hold up the others.",
    )
    cool_down: Duration = Field(
        timedelta(minutes=10),
        ge=_MOMENT,
        description="After a proven reboot by us the node's next reboot waits so long; its cordon and its drain do "
        "not. A fault right after a reboot tells more about what the reboot did than about what another one would do.",
    )
    windows: Windows = Field(
        Windows(),
        description="When steps that disturb running jobs (enableWarmStandby, drain) may be taken. A cordon waits for "
        "no window: it keeps new pods away from a broken node and disturbs nobody; nor does the reboot of a drained "
        "node, but for the windows of deny.",
    )
    foreign_cordon: ForeignCordon = Field(
        ForeignCordon.ACT,
        description="A node that another hand has cordoned, a warm standby for one: `act` on it as on any other (its "
        "cordon stays), or `hold` the rescue until it is schedulable, as whoever cordoned it may be at work on it.",
    )
    fabric: FabricSettings = Field(
        FabricSettings(),
        description="A fault of the fabric, which shows on many nodes: rescues of it cordon their nodes, as far as "
        "the breaker lets them, and whatever comes after that is held for a person to look, because draining and "
        "rebooting the nodes would not mend it.",
    )
    max_reboots: int = Field(
        3,
        ge=1,
        description="Proven reboots of a node for the same fault within reboot_window after which the node goes "
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
