"""drain: evict the node's pods and wait until they are gone, or until the time for it is over."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pipeline.cluster.port import Cluster
from pipeline.errors import TemporaryError
from pipeline.execute.actions.pod_filters import Sorted, sort_pods
from pipeline.execute.actions.port import Done, Fail, Outcome, Wait
from pipeline.model.node import Pod
from pipeline.model.plan import Drain, OnTimeout
from pipeline.model.rescue import FailReason, Rescue, StepState

_POLL = timedelta(seconds=10)
_NAMED = 10
_AFTER_GRACE = timedelta(seconds=30)
_FORCE_LIMIT = timedelta(minutes=10)


class DrainRunner:
    """Evicts as `kubectl drain` does: through the eviction API, so that disruption budgets hold."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def run(self, drain: Drain, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Ask every pod that may go to go; asking again does no harm."""
        assert step.started is not None
        pods = sort_pods(await self._cluster.pods_on(rescue.node), drain)
        if pods.drained:
            return Done(f"{rescue.node} is drained")
        deadline = step.started + drain.waittime
        if now < deadline:
            await self._evict(pods.evictable)
            return Wait(min(_POLL, deadline - now), {"pods_left": _enumerate(pods.names)})
        match drain.on_timeout:
            case OnTimeout.CONTINUE:
                return Done(
                    f"{rescue.node} goes on with pods left: {_enumerate(pods.names)}", {"pods_left": len(pods.names)}
                )
            case OnTimeout.FORCE if now < deadline + _force_limit(pods):
                await self._force(pods, deadline, now)
                return Wait(_POLL, {"pods_left": _enumerate(pods.names)})
            case OnTimeout.FORCE | OnTimeout.FAIL:
                return Fail(
                    FailReason.DRAIN_TIMEOUT,
                    f"{rescue.node} stays cordoned: these pods would not go: {_enumerate(pods.names)}",
                    {"pods_left": len(pods.names)},
                )

    async def _evict(self, pods: Iterable[Pod]) -> None:
        for pod in pods:
            try:
                await self._cluster.evict(pod)
            except TemporaryError:
                # A disruption budget or a busy server says "not now" of this pod; the others can still go, and the
                # next call asks again.
                continue

    async def _force(self, pods: Sorted, deadline: datetime, now: datetime) -> None:
        for pod in (*pods.evictable, *(pod for pod, _ in pods.refused)):
            await self._cluster.delete_pod(pod, pod.grace_period)
        for pod in pods.leaving:
            if now >= deadline + pod.grace_period + _AFTER_GRACE:
                await self._cluster.delete_pod(pod, timedelta(0))


def _force_limit(pods: Sorted) -> timedelta:
    """How long forcing may take: the longest grace period is honoured first."""
    everyone = (*pods.evictable, *pods.leaving, *(pod for pod, _ in pods.refused))
    return max(pod.grace_period for pod in everyone) + _FORCE_LIMIT


def _enumerate(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
