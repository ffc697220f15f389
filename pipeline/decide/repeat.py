"""Rules that act on repetition (`repeat`): what counts as an occurrence, and how often a fault has occurred."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import Field

from pipeline.decide.boots import same_boot
from pipeline.decide.errorcodes import code_of
from pipeline.decide.incident import Incident
from pipeline.documents import Strict
from pipeline.durations import Duration, format_duration
from pipeline.model.fault import NodeFault
from pipeline.model.occurrence import Code, Gpu, Occurrence
from pipeline.model.plan import SkipReason
from pipeline.model.rescue import Member

LONGEST = timedelta(days=30)
"""The longest time over which a rule may count, and with it how long occurrences are remembered."""

_COUNTS_ALL_THE_SAME = frozenset(
    {
        SkipReason.STALE,
        SkipReason.OLDER_THAN_BOOT,
        SkipReason.OLDER_THAN_RESCUE,
        SkipReason.NODE_OFFLINE,
        SkipReason.OPTED_OUT,
    }
)


class Repeat(Strict):
    """From which occurrence of the same fault of the same GPU on a rule acts."""

    count: int = Field(
        ge=2, strict=True, description="The occurrence from which on the rule matches: 3 is the third and all after it."
    )
    within: Duration = Field(
        gt=timedelta(0),
        le=LONGEST,
        description="The time in which occurrences count, back from the present one; up to 30 days. Lines within "
        "guards.incident_window of each other are one occurrence, unless a reboot lies between them.",
    )

    def judge(self, seen: int) -> tuple[bool, str]:
        """Whether a rule may act when the fault has occurred *seen* times, this time included, and why."""
        told = f"this is the {ordinal(seen)} within {format_duration(self.within)} on this GPU"
        if seen < self.count:
            return False, f"but {told}, not yet the {ordinal(self.count)} (repeat)"
        return True, f"and {told} (repeat: from the {ordinal(self.count)} on)"


@dataclass(frozen=True, slots=True)
class History:
    """What is known of earlier times; *quiet* is how long nothing must be seen until what comes is another incident."""

    occurrences: Sequence[Occurrence] = ()
    quiet: timedelta = timedelta()

    def times(self, fault: NodeFault, within: timedelta, same: Callable[[Code], bool]) -> int:
        """Return how often what is the *same* has occurred on the GPU up to this fault, this time included.

        What is near in time and not known to be of different boots is one occurrence, whatever its name and code: a
        family of faults is one, and so is a storm that went on over a restart of ours or a change of the policies.
        """
        present = occurrence_of(Member("", fault, 1, fault.time, fault.time), None)
        earlier = (
            one
            for one in self.occurrences
            if one.first_seen <= fault.time
            and one.last_seen >= fault.time - within
            and one.gpu.same(present.gpu)
            and same(one.code)
        )
        return self._spells([*earlier, present])

    def _spells(self, occurrences: list[Occurrence]) -> int:
        count, lately = 0, list[Occurrence]()
        for one in sorted(occurrences, key=lambda each: each.first_seen):
            lately = [spell for spell in lately if one.first_seen - spell.last_seen <= self.quiet]
            mine = next((spell for spell in reversed(lately) if _may_be_one_boot(spell, one)), None)
            if mine is None:
                count += 1
                lately.append(one)
            else:
                lately.remove(mine)
                lately.append(mine.spanning(one))
        return count


def counts(fault: NodeFault, reason: SkipReason | None) -> bool:
    """Whether a fault that the gate has let through (reason None) or stopped is an occurrence.

    One that comes too late to act on has occurred all the same. A drill has not, nor has what another program wrote,
    what belongs to another line or to an unknown node, or what is said to come from the future.
    """
    injected = fault.fault.drill is not None or (fault.fault.nvlink5 is not None and fault.fault.nvlink5.injected)
    return not injected and (reason is None or reason in _COUNTS_ALL_THE_SAME)


def occurrence_of(member: Member, reason: SkipReason | None) -> Occurrence:
    """Return the occurrence that one fault of an incident is; *reason* is why the gate has stopped it, if it has.

    A stopped one is of the boot that its line names: that of the node, which is the present one, may be later.
    """
    fault = member.fault
    boot_id = fault.fault.line.boot_id or (fault.boot_id if reason is None else None)
    return Occurrence(member.name, code_of(fault), Gpu.of(fault), member.first_seen, member.last_seen, boot_id or None)


def adds(seen: Incident | Occurrence, known: Occurrence | None, quiet: timedelta) -> bool:
    """Whether what was *seen* of an occurrence tells so much more than what is *known* that it has to be noted again.

    A storm is noted once in half of *quiet*, not line by line: so its last line is known closely enough to know it
    again after a restart.
    """
    if known is None:
        return True
    longer = max(seen.last_seen - known.last_seen, known.first_seen - seen.first_seen)
    return longer >= quiet / 2


def ordinal(number: int) -> str:
    """Return `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`."""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _may_be_one_boot(one: Occurrence, other: Occurrence) -> bool:
    return not one.boot_id or not other.boot_id or same_boot(one.boot_id, other.boot_id)
