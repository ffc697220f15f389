"""What a backtest tells: the keys of its JSON object, each with its meaning."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pipeline.documents import Strict


class State(StrEnum):
    """What a rescue's node is in, as long as the rescue has a hand in it."""

    HELD = "held"
    CORDONED = "cordoned"
    DRAINING = "draining"
    REBOOTING = "rebooting"
    OFFLINE = "offline"


class Phase(Strict):
    """A time that a node would have spent in one state."""

    state: State = Field(description="held (the rescue waits), cordoned, draining, rebooting or offline.")
    begin: datetime = Field(description="When it would have begun.")
    end: datetime | None = Field(description="When it would have ended; null: not by itself, only a person ends it.")
    reason: str | None = Field(None, description="Of a hold: what it waits for, a guard's reason such as max-nodes.")


class Step(Strict):
    """One action that would have been taken."""

    action: str = Field(description="cordon, drain, reboot, unCordon, enableWarmStandby or offline.")
    begin: datetime = Field(description="When it would have begun.")
    end: datetime | None = Field(description="When it would have ended; null if it was still under way at the end.")
    outcome: str = Field(description="Succeeded, Failed, Cancelled or Running.")
    standby: str | None = Field(None, description="Of enableWarmStandby: the node put into service, null if none was.")


class RescueTold(Strict):
    """One rescue that would have been."""

    name: str = Field(description="The rescue's name, the same in every trial for the same line.")
    node: str = Field(description="The node.")
    fault: str = Field(description="Kind and code, such as `xid 79`.")
    lines: int = Field(description="How many lines told of it.")
    policy: str = Field(description="Policy and index of the rule, such as `reboot[0]`.")
    plan: tuple[str, ...] = Field(description="The actions of the plan, those of rescues folded into it included.")
    planned: datetime = Field(description="When it was planned.")
    ended: datetime | None = Field(description="When it would have ended; null if it was open at the end.")
    status: str = Field(description="Pending, Running, Held, Succeeded, Failed or Cancelled.")
    reason: str | None = Field(description="Why it failed, was cancelled or is held.")
    message: str = Field(description="The last that its journal says, one sentence.")
    steps: tuple[Step, ...] = Field(description="The actions that would have been taken, in order.")
    phases: tuple[Phase, ...] = Field(description="What the node would have gone through, in order.")
    out_from: datetime | None = Field(description="From when on the node would have been out of service by our hand.")
    out_to: datetime | None = Field(description="Until when; null with out_from: until a person brings it back.")


class Hold(Strict):
    """What one guard would have held."""

    reason: str = Field(description="The guard's reason, such as max-nodes.")
    rescues: tuple[str, ...] = Field(description="The rescues that it would have held, by name.")
    nodes: tuple[str, ...] = Field(description="Their nodes.")
    seconds: float = Field(description="How long all of them together would have waited for it, in seconds.")
    longest_seconds: float = Field(description="How long the one that waited longest would have.")


class SkipCount(Strict):
    """Faults that would have led to no rescue, of one code and for one reason."""

    reason: str = Field(description="Why, such as no-rescue-needed or stale.")
    fault: str = Field(description="Kind and code, such as `xid 13`.")
    incidents: int = Field(description="How many incidents.")
    lines: int = Field(description="How many lines told of them.")
    nodes: int = Field(description="On how many nodes.")


class Peak(Strict):
    """The most nodes that would have been out of service at a time."""

    nodes: int = Field(description="How many.")
    begin: datetime | None = Field(description="When that was so for the first time; null if none ever was.")
    end: datetime | None = Field(description="Until when; null as begin is.")
    names: tuple[str, ...] = Field(description="Which nodes those were.")


class ActionCount(Strict):
    """How often one action would have been taken."""

    action: str = Field(description="The action.")
    done: int = Field(description="How often to its purpose.")
    failed: int = Field(description="How often not: it failed, was given up or had not ended.")
    nodes: tuple[str, ...] = Field(description="On which nodes.")


class Totals(Strict):
    """What one set of policies would have come to, in numbers."""

    rescues: int = Field(description="Rescues planned.")
    succeeded: int = Field(description="Rescues that would have succeeded.")
    failed: int = Field(description="Rescues that would have failed.")
    cancelled: int = Field(description="Rescues that would have been cancelled, folded ones apart.")
    folded: int = Field(description="Rescues that another one on the same node would have taken over.")
    open: int = Field(description="Rescues that would have been open at the end: held, as a rule.")
    nodes: int = Field(description="Nodes with a rescue.")
    cordons: int = Field(description="Cordons made.")
    drains: int = Field(description="Drains that came to their end.")
    reboots: int = Field(description="Reboots proven.")
    uncordons: int = Field(description="Returns into service.")
    standbys: int = Field(description="Warm standbys put into service.")
    offlines: int = Field(description="Nodes taken out for good.")
    held: int = Field(description="Rescues that a guard would have held at some time.")
    skipped: int = Field(description="Incidents that would have led to no rescue.")
    peak: int = Field(description="The most nodes out of service at a time.")
    node_hours: float = Field(description="Hours that nodes would have been out of service, up to `log.until`.")


class Outcome(Strict):
    """What one set of policies would have done."""

    policies: tuple[str, ...] = Field(description="The files and folders of the policies; empty: the built-in one.")
    totals: Totals = Field(description="The numbers.")
    actions: tuple[ActionCount, ...] = Field(description="The actions taken.")
    rescues: tuple[RescueTold, ...] = Field(description="Every rescue, oldest first.")
    holds: tuple[Hold, ...] = Field(description="What the guards would have held, the longest first.")
    skips: tuple[SkipCount, ...] = Field(description="The faults that would have led to no rescue, most first.")
    peak: Peak = Field(description="The peak out of service.")
    node_hours: dict[str, float] = Field(description="Hours out of service by node, up to `log.until`, most first.")
    new_nodes: int = Field(description="Hosts of the log that the nodes file does not know; they became nodes.")


class LogTold(Strict):
    """What was read."""

    files: tuple[str, ...] = Field(description="The files, in the order in which lines of one moment count.")
    bytes: int = Field(description="Their size on disk.")
    lines: int = Field(description="Lines read, noise included.")
    faults: int = Field(description="Lines between --from and --to that tell of a fault.")
    unknown_driver_lines: int = Field(description="Lines of the driver that no pattern knew.")
    problems: dict[str, int] = Field(description="Messages that were not whole or not clean, by problem.")
    begin: datetime | None = Field(
        description="The first time that counts: --from or the log's own, the later one; null if no line has a time."
    )
    end: datetime | None = Field(description="The last time that counts: --to or the log's own, the earlier one.")
    until: datetime = Field(
        description="Until when node-hours count: the log's end, or when the last rescue of any trial that had begun "
        "came to its own."
    )


class Total(Strict):
    """One count of both trials."""

    what: str = Field(description="Which one, by its key in `totals`.")
    proposed: float = Field(description="Under the proposed policies.")
    against: float = Field(description="Under the others.")


class OnlyOne(Strict):
    """A rescue that only one of the trials has."""

    name: str = Field(description="The rescue's name.")
    node: str = Field(description="The node.")
    fault: str = Field(description="Kind and code.")
    plan: tuple[str, ...] = Field(description="Its actions.")
    status: str = Field(description="How it ended, with the reason.")
    instead: str = Field(description="What became of the fault in the other trial.")


class Changed(Strict):
    """A rescue that the trials have both, and that they treat in different ways."""

    name: str = Field(description="The rescue's name.")
    node: str = Field(description="The node.")
    fault: str = Field(description="Kind and code.")
    proposed: str = Field(description="Its actions, or its outcome, under the proposed policies.")
    against: str = Field(description="The same under the others.")


class Difference(Strict):
    """How the proposed policies differ from the others in what they would have done."""

    totals: tuple[Total, ...] = Field(description="The totals side by side.")
    only_proposed: tuple[OnlyOne, ...] = Field(description="Rescues that only the proposed policies would have made.")
    only_against: tuple[OnlyOne, ...] = Field(description="Rescues that only the others would have made.")
    other_actions: tuple[Changed, ...] = Field(description="Rescues whose plans have other actions.")
    other_outcome: tuple[Changed, ...] = Field(description="Rescues that end in another way.")


class Report(Strict):
    """The whole of a backtest."""

    log: LogTold = Field(description="Which logs were read, and how much of them.")
    assumed: tuple[str, ...] = Field(description="What the simulation takes for granted, in sentences.")
    proposed: Outcome = Field(description="What the policies of --policies would have done.")
    against: Outcome | None = Field(None, description="What those of --against would have done.")
    difference: Difference | None = Field(None, description="How the two differ.")
