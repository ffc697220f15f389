"""drain: evict the node's pods and wait until they are gone, or until the time for it is over."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta

from pipeline.cluster.port import Cluster
from pipeline.errors import NotFoundError, PermanentError, TemporaryError
from pipeline.execute.actions.marks import leave, taken_back
from pipeline.execute.actions.pod_filters import Sorted, sort_pods
from pipeline.execute.actions.port import Done, Fail, Outcome, Wait
from pipeline.model.node import Pod
from pipeline.model.plan import Drain, OnTimeout
from pipeline.model.rescue import FailReason, Rescue, StepState

_SINCE = "since"
"""Memo: when pods were first asked to go; the waittime runs from then."""

_FORCED_AT = "forced_at"
"""Memo: when pods were first deleted without asking; their grace, and the time for forcing, run from then."""

_PODS_LEFT = "pods_left"
"""Memo: the pods that are left, for people."""

_DENIALS = "denials"
"""Memo: why the server would not let some of them go, a JSON object by `namespace/name`; absent when it would."""

_POLL = timedelta(seconds=10)
_AFTER_GRACE = timedelta(seconds=30)
_FORCE_LIMIT = timedelta(minutes=10)
_MOST_NAMED = 10
_LONGEST_REASON = 200


class DrainRunner:
    """Evicts as `kubectl drain` does: through the eviction API, so that disruption budgets hold."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def run(self, drain: Drain, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Ask every pod that may go to go; asking again does no harm. A node that was taken back is left alone.

        Pods are asked at least once, and until the waittime is over; what the drain does then with those that are left
        is its `on_timeout`. Forcing deletes them with their own grace, and without any 30 s after that should be over.
        """
        node = await self._cluster.get_node(rescue.node)
        if taken_back(node, rescue):
            return await leave(self._cluster, node, rescue)
        pods = sort_pods(await self._cluster.pods_on(rescue.node), drain)
        if pods.drained:
            return Done(f"{rescue.node} is drained")
        since = _moment(step, _SINCE)
        if since is None or now < since + drain.waittime:
            denials = await self._each(pods.evictable, self._cluster.evict)
            deadline = (since or now) + drain.waittime
            return Wait(min(_POLL, deadline - now), _memo(step, pods, denials, _SINCE, now))
        forced_at = _moment(step, _FORCED_AT) or now
        match drain.on_timeout:
            case OnTimeout.CONTINUE:
                return Done(f"{rescue.node} goes on with pods left: {_named(step, pods)}", {"pods_left": len(pods)})
            case OnTimeout.FORCE if now < forced_at + _force_limit(pods):
                denials = await self._force(pods, forced_at, now)
                return Wait(_POLL, _memo(step, pods, denials, _FORCED_AT, now))
            case OnTimeout.FORCE | OnTimeout.FAIL:
                told = f"{rescue.node} stays cordoned: these pods would not go: {_named(step, pods)}"
                return Fail(FailReason.DRAIN_TIMEOUT, told, {"pods_left": len(pods)})

    async def _force(self, pods: Sorted, forced_at: datetime, now: datetime) -> Mapping[str, str]:
        async def with_grace(pod: Pod) -> None:
            await self._cluster.delete_pod(pod, pod.grace_period)

        async def at_once(pod: Pod) -> None:
            await self._cluster.delete_pod(pod, timedelta(0))

        staying = (*pods.evictable, *(pod for pod, _ in pods.refused))
        overdue = [pod for pod in pods.leaving if now >= forced_at + pod.grace_period + _AFTER_GRACE]
        return {**await self._each(staying, with_grace), **await self._each(overdue, at_once)}

    async def _each(self, pods: Iterable[Pod], ask: Callable[[Pod], Awaitable[None]]) -> Mapping[str, str]:
        """Ask it of every pod; return by `namespace/name` why the server denies it, where it does so for good."""
        denials: dict[str, str] = {}
        for pod in pods:
            try:
                await ask(pod)
            except (TemporaryError, NotFoundError):
                # A disruption budget or a busy server says "not now" of this pod, or it has gone meanwhile; the others
                # can still go, and the next call asks again.
                continue
            except PermanentError as error:
                denials[pod.full_name] = str(error)
        return denials


def _moment(step: StepState, key: str) -> datetime | None:
    return datetime.fromisoformat(step.memo[key]) if key in step.memo else None


def _memo(step: StepState, pods: Sorted, denials: Mapping[str, str], began: str, now: datetime) -> Mapping[str, str]:
    """Return what to remember after a round: what began with the first one, and a bounded account of who is left."""
    kept = {name: why[:_LONGEST_REASON] for name, why in sorted(denials.items())[:_MOST_NAMED]}
    memo = {began: now.isoformat(), **step.memo, _PODS_LEFT: _enumerate(pods.names(kept))}
    memo.pop(_DENIALS, None)
    return {**memo, _DENIALS: json.dumps(kept)} if kept else memo


def _named(step: StepState, pods: Sorted) -> str:
    return _enumerate(pods.names(json.loads(step.memo.get(_DENIALS, "{}"))))


def _force_limit(pods: Sorted) -> timedelta:
    """How long forcing may take: the longest grace period is honoured first."""
    everyone = (*pods.evictable, *pods.leaving, *(pod for pod, _ in pods.refused))
    return max(pod.grace_period for pod in everyone) + _FORCE_LIMIT


def _enumerate(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
