"""PodDisruptionBudgets: how many of an application's pods may be missing, and what an eviction is told.

Follows the eviction subresource of the API server (pkg/registry/core/pod/storage/eviction.go) and the disruption
controller (pkg/controller/disruption) with the default unhealthyPodEvictionPolicy, IfHealthyBudget.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil

from pipeline.model.node import Pod

_UNSCALED = (None, "DaemonSet", "Job", "Node")


class Phase(StrEnum):
    """How far a pod is: bound or started not yet, serving, or running without serving."""

    PENDING = "pending"
    READY = "ready"
    UNREADY = "unready"


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget over the pods of its namespace whose labels include `selector`; an empty one selects all.

    Exactly one of `min_available` and `max_unavailable` is set: a number of pods, or a share such as `50%`.
    """

    name: str
    namespace: str
    selector: Mapping[str, str] = field(default_factory=dict)
    min_available: int | str | None = None
    max_unavailable: int | str | None = None

    def covers(self, pod: Pod) -> bool:
        """Whether the budget is about this pod."""
        return pod.namespace == self.namespace and self.selector.items() <= pod.labels.items()


def refusal(budget: Budget, pod: Pod, phases: Iterable[tuple[Pod, Phase]]) -> str | None:
    """Say why the budget does not let *pod* be evicted now; None if it does.

    *phases* are all pods of the cluster and how far they are, *pod* among them.
    """
    covered = [(other, phase) for other, phase in phases if budget.covers(other)]
    if not isinstance(budget.min_available, int) and any(other.owner in _UNSCALED for other, _ in covered):
        return f"the disruption budget {budget.name} failed to sync: it covers pods of controllers without a scale"
    wanted = _wanted_healthy(budget, sum(_counts(other) for other, _ in covered))
    healthy = sum(phase is Phase.READY and not other.terminating for other, phase in covered)
    if any(other == pod and phase is not Phase.READY for other, phase in covered) and healthy >= wanted > 0:
        return None
    if healthy > wanted:
        return None
    return f"the disruption budget {budget.name} needs {wanted} healthy pods and has {healthy} currently"


def _counts(pod: Pod) -> bool:
    """Whether the pod is one of those its controller wants; a leaving one is, until another has taken its place."""
    return not pod.finished and (not pod.terminating or pod.owner == "StatefulSet")


def _wanted_healthy(budget: Budget, expected: int) -> int:
    if budget.min_available is not None:
        return _amount(budget.min_available, expected)
    if budget.max_unavailable is not None:
        return max(0, expected - _amount(budget.max_unavailable, expected))
    return 0


def _amount(value: int | str, whole: int) -> int:
    return value if isinstance(value, int) else ceil(whole * int(value.removesuffix("%")) / 100)
