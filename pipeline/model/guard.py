"""The guards: what is asked before anything is done, and what each of them answered."""

from dataclasses import dataclass
from enum import StrEnum


class Guard(StrEnum):
    """One question each, of a fault by the gate, of a rescue before a step by admission, or by both."""

    ORIGIN = "origin"
    DRILL = "drill"
    LINE = "line"
    NODE = "node"
    OPT_OUT = "opt-out"
    AGE = "age"
    BOOT = "boot"
    LAST_RESCUE = "last-rescue"
    TAKEN_OVER = "taken-over"
    FOREIGN_CORDON = "foreign-cordon"
    ONE_PER_NODE = "one-per-node"
    FAILED_REBOOT = "failed-reboot"
    FABRIC = "fabric"
    COOL_DOWN = "cool-down"
    WINDOWS = "windows"
    BREAKER = "breaker"
    GROUP_BREAKER = "group-breaker"


class Verdict(StrEnum):
    """What a guard answered; where it has something against the rescue, what follows from that."""

    PASSED = "passed"
    SKIPS = "skips"
    HOLDS = "holds"
    FOLDS = "folds"
    CANCELS = "cancels"


@dataclass(frozen=True, slots=True)
class GuardState:
    """What one guard answered, and in one sentence why."""

    guard: Guard
    verdict: Verdict
    told: str
