"""Which pods a drain moves, and how: the filters of `kubectl drain`, and what the policy says beyond them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from fnmatch import fnmatchcase

from pipeline.durations import format_duration
from pipeline.model.node import Pod
from pipeline.model.plan import Drain, NamespaceMode, NamespaceRule

AFTER_GRACE = timedelta(seconds=30)
"""How long after its grace a pod should be gone at the latest, a slow kubelet and clocks that differ allowed for."""

_EVICT = NamespaceRule("*")


class Fate(Enum):
    """What is to be done about a pod that keeps a node from being drained; STUCK ones don't."""

    EVICTED = "it is to be asked to go"
    DELETED = "it is to be told to go, whatever a budget says"
    AWAITED = "it is left to come to its end by itself"
    LEAVING = "it was told to go, and has not gone yet"
    REFUSED = "it is not touched: nothing would bring it or its data back"
    STUCK = "it was told to go, and nobody is there who could say that it has"


@dataclass(frozen=True, slots=True)
class Sorted:
    """The pods that a drain is about: each with its fate, and why it is still there."""

    pods: tuple[tuple[Pod, Fate, str], ...]

    @property
    def drained(self) -> bool:
        """Whether no pod is left that keeps the node from being drained."""
        return not self.staying

    @property
    def staying(self) -> tuple[Pod, ...]:
        """The pods that keep it from that."""
        return tuple(pod for pod, fate, _ in self.pods if fate is not Fate.STUCK)

    def of(self, *fates: Fate) -> tuple[Pod, ...]:
        """The pods of these fates."""
        return tuple(pod for pod, fate, _ in self.pods if fate in fates)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When pods are sorted: how long they have been asked by `now`, and whether the node is `ready`."""

    now: datetime
    asked_for: timedelta = timedelta(0)
    ready: bool = True


def sort_pods(pods: Iterable[Pod], drain: Drain, when: Circumstances) -> Sorted:
    """Sort the pods of a node as `kubectl drain --ignore-daemonsets` does.

    Mirror pods and DaemonSet pods stay: they come back by themselves. Finished pods go without further condition. A pod
    without a controller needs `force`, one with an emptyDir `deleteEmptyDirData`.

    It differs from kubectl on purpose. One pod that is refused keeps kubectl from moving any; here the others go. A pod
    that is leaving already is waited for, even if nothing would bring it back. A DaemonSet's pod stays even when its
    DaemonSet is gone (kubectl asks for that; the garbage collector takes such pods away), or is of another API group
    (OpenKruise's come back as well). And a pod that should be gone for 30 s, on a node that is not Ready, keeps nobody
    waiting: its kubelet cannot say that it has ended.
    """
    return Sorted(tuple((pod, *_judged(pod, drain, when)) for pod in pods if _concerns(pod, drain)))


def _concerns(pod: Pod, drain: Drain) -> bool:
    comes_back_by_itself = pod.mirror or (pod.owner == "DaemonSet" and not pod.finished)
    return not comes_back_by_itself and (pod.uses_gpu or not drain.gpu_pods_only)


def _judged(pod: Pod, drain: Drain, when: Circumstances) -> tuple[Fate, str]:
    rule = _rule(pod, drain)
    if pod.deadline is not None:
        return _leaving(pod.deadline, when)
    if pod.finished:
        return Fate.EVICTED, "has finished"
    if rule.mode is NamespaceMode.WAIT_FOR_COMPLETION:
        return Fate.AWAITED, f"left to come to its end by itself: namespaces {rule.name}"
    if refusal := _refusal(pod, drain):
        return Fate.REFUSED, refusal
    if rule.after is not None and when.asked_for >= rule.after:
        return Fate.DELETED, f"deleted after {format_duration(rule.after)}: namespaces {rule.name}"
    return Fate.EVICTED, "asked to go"


def _leaving(deadline: datetime, when: Circumstances) -> tuple[Fate, str]:
    if not when.ready and when.now >= deadline + AFTER_GRACE:
        return Fate.STUCK, "terminating since more than its grace on a node that is not Ready"
    return Fate.LEAVING, f"terminating until {deadline.isoformat(timespec='seconds')}"


def _refusal(pod: Pod, drain: Drain) -> str | None:
    if pod.owner is None and not drain.force:
        return "no controller would bring it back; force: true evicts it"
    if pod.empty_dir and not drain.delete_empty_dir_data:
        return "its emptyDir would be lost; deleteEmptyDirData: true evicts it"
    return None


def _rule(pod: Pod, drain: Drain) -> NamespaceRule:
    return next((rule for rule in drain.namespaces if fnmatchcase(pod.namespace, rule.name)), _EVICT)
