"""What was decided: a plan of actions and the rule it came from, or a skip and its reason."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pipeline.model.guard import GuardState


class ActionName(StrEnum):
    """The words of a RescuePolicy's `actions`."""

    CORDON = "cordon"
    DRAIN = "drain"
    REBOOT = "reboot"
    UNCORDON = "unCordon"
    WARM_STANDBY = "enableWarmStandby"
    OFFLINE = "offline"


class OnTimeout(StrEnum):
    """What a drain does with the pods that would not go in time."""

    FAIL = "fail"
    FORCE = "force"
    CONTINUE = "continue"


class NamespaceMode(StrEnum):
    """How the pods of a namespace leave a node."""

    EVICT = "evict"
    WAIT_FOR_COMPLETION = "waitForCompletion"
    DELETE_AFTER = "deleteAfter"


@dataclass(frozen=True, slots=True)
class NamespaceRule:
    """How a drain treats the pods of the namespaces of this name, in which `*` stands for any text.

    With WAIT_FOR_COMPLETION they are left to come to their end by themselves. With DELETE_AFTER they are evicted, and
    what is left when `after` is over is deleted with its grace, without asking any disruption budget; `after` is of
    this mode only.
    """

    name: str
    mode: NamespaceMode = NamespaceMode.EVICT
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Cordon:
    """Mark the node unschedulable, as `kubectl cordon` does."""

    name: Literal[ActionName.CORDON] = ActionName.CORDON


@dataclass(frozen=True, slots=True)
class Drain:
    """Evict the node's pods, as `kubectl drain` does; `waittime` is how long eviction may take.

    Of `namespaces` the first that matches counts; pods of others are evicted. With `gpu_pods_only`, pods that ask for
    no GPU stay.
    """

    waittime: timedelta = timedelta(minutes=20)
    on_timeout: OnTimeout = OnTimeout.FAIL
    delete_empty_dir_data: bool = True
    force: bool = False
    namespaces: tuple[NamespaceRule, ...] = ()
    gpu_pods_only: bool = False
    name: Literal[ActionName.DRAIN] = ActionName.DRAIN


@dataclass(frozen=True, slots=True)
class Reboot:
    """Turn the machine off and on: `waittime` passes first, `timeout` bounds the wait for the proof."""

    waittime: timedelta = timedelta(0)
    timeout: timedelta = timedelta(minutes=30)
    name: Literal[ActionName.REBOOT] = ActionName.REBOOT


@dataclass(frozen=True, slots=True)
class Uncordon:
    """Make the node schedulable again, if it was this rescue that cordoned it."""

    name: Literal[ActionName.UNCORDON] = ActionName.UNCORDON


@dataclass(frozen=True, slots=True)
class EnableWarmStandby:
    """Put a warm standby node into service in this node's place."""

    name: Literal[ActionName.WARM_STANDBY] = ActionName.WARM_STANDBY


@dataclass(frozen=True, slots=True)
class Offline:
    """Take the node out for good: only a person brings it back."""

    name: Literal[ActionName.OFFLINE] = ActionName.OFFLINE


Action = Cordon | Drain | Reboot | Uncordon | EnableWarmStandby | Offline


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule that was looked at, and in one sentence why it did or did not match."""

    policy: str
    rule: int
    priority: int
    matched: bool
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions to take, in order, and the rule (its index in the policy, from 0) that asks for them.

    `limit` says, in one sentence, why the actions are not the rule's own. `guards` are those that have let the fault
    through. `dry_run` is whether the policy wants its plans rehearsed only; `fallback` whether it is the global policy,
    which speaks where no other rule does.
    """

    actions: tuple[Action, ...]
    policy: str
    rule: int
    priority: int
    considered: tuple[Considered, ...] = ()
    limit: str | None = None
    guards: tuple[GuardState, ...] = ()
    dry_run: bool = False
    fallback: bool = False


class SkipReason(StrEnum):
    """Why a fault leads to no rescue."""

    STALE = "stale"
    IN_THE_FUTURE = "in-the-future"
    OLDER_THAN_BOOT = "older-than-boot"
    OLDER_THAN_RESCUE = "older-than-rescue"
    DRILL = "drill"
    NOT_FROM_KERNEL = "not-from-kernel"
    NODE_UNNAMED = "node-unnamed"
    NODE_AMBIGUOUS = "node-ambiguous"
    NODE_OFFLINE = "node-offline"
    OPTED_OUT = "opted-out"
    RECOVERED = "recovered"
    COMPANION = "companion"
    CONSEQUENCE = "consequence"
    NO_RESCUE_NEEDED = "no-rescue-needed"
    UNKNOWN_CODE = "unknown-code"


@dataclass(frozen=True, slots=True)
class Skip:
    """No rescue, and why: `reason` for machines, `detail` for people."""

    reason: SkipReason
    detail: str
    considered: tuple[Considered, ...] = ()
    guards: tuple[GuardState, ...] = ()


Decision = Plan | Skip
