"""drain: evict the node's pods and wait until they are gone, or until the time for it is over."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta

from pipeline.cluster.port import Cluster
from pipeline.errors import NotFoundError, PermanentError, TemporaryError
from pipeline.execute.actions.marks import leave, taken_back
from pipeline.execute.actions.pod_filters import AFTER_GRACE, Circumstances, Fate, Sorted, sort_pods
from pipeline.execute.actions.pods_left import ANSWERS, PODS_LEFT, kept, remembered, told
from pipeline.execute.actions.port import Done, Fail, Outcome, Wait
from pipeline.model.node import Pod
from pipeline.model.plan import Drain, OnTimeout
from pipeline.model.rescue import FailReason, Rescue, StepState

_SINCE = "since"
"""Memo: when pods were first asked to go; the waittime runs from then."""

_FORCED_AT = "forced_at"
"""Memo: when pods were first deleted without asking; their grace, and the time for forcing, run from then."""

_POLL = timedelta(seconds=10)
_FORCE_LIMIT = timedelta(minutes=10)
_NOT_GOING = (Fate.EVICTED, Fate.DELETED, Fate.AWAITED, Fate.REFUSED)
_STAYING = (*_NOT_GOING, Fate.LEAVING)


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
        since = _moment(step, _SINCE)
        asked_for = now - (since or now)
        pods = sort_pods(await self._cluster.pods_on(rescue.node), drain, Circumstances(now, asked_for, node.ready))
        if pods.drained:
            return _drained(rescue.node, pods)
        if since is None or asked_for < drain.waittime:
            answers = await self._ask(pods)
            return Wait(min(_POLL, drain.waittime - asked_for), _memo(step, pods, answers, _SINCE, now))
        forced_at = _moment(step, _FORCED_AT) or now
        left = told(pods, remembered(step), _STAYING)
        match drain.on_timeout:
            case OnTimeout.CONTINUE:
                return Done(f"{rescue.node} goes on with pods left: {left}", _counts(pods))
            case OnTimeout.FORCE if now < forced_at + _force_limit(pods):
                answers = await self._force(pods, forced_at, now)
                return Wait(_POLL, _memo(step, pods, answers, _FORCED_AT, now))
            case OnTimeout.FORCE | OnTimeout.FAIL:
                message = f"{rescue.node} stays cordoned: these pods would not go: {left}"
                return Fail(FailReason.DRAIN_TIMEOUT, message, _counts(pods))

    async def _ask(self, pods: Sorted) -> Mapping[str, str]:
        evicted = await _each(pods.of(Fate.EVICTED), self._cluster.evict)
        return {**evicted, **await _each(pods.of(Fate.DELETED), self._delete)}

    async def _force(self, pods: Sorted, forced_at: datetime, now: datetime) -> Mapping[str, str]:
        async def at_once(pod: Pod) -> None:
            await self._cluster.delete_pod(pod, timedelta(0))

        overdue = [pod for pod in pods.of(Fate.LEAVING) if now >= forced_at + pod.grace_period + AFTER_GRACE]
        return {**await _each(pods.of(*_NOT_GOING), self._delete), **await _each(overdue, at_once)}

    async def _delete(self, pod: Pod) -> None:
        await self._cluster.delete_pod(pod, pod.grace_period)


async def _each(pods: Iterable[Pod], ask: Callable[[Pod], Awaitable[None]]) -> Mapping[str, str]:
    """Ask it of every pod; return by `namespace/name` what the server answered instead of doing it.

    A disruption budget or a busy server says "not now" of one pod, a namespace that is being deleted "never"; the
    others can still go, and the next call asks again.
    """
    answers: dict[str, str] = {}
    for pod in pods:
        try:
            await ask(pod)
        except NotFoundError:
            continue
        except (TemporaryError, PermanentError) as error:
            answers[pod.full_name] = str(error)
    return answers


def _moment(step: StepState, key: str) -> datetime | None:
    return datetime.fromisoformat(step.memo[key]) if key in step.memo else None


def _memo(step: StepState, pods: Sorted, answers: Mapping[str, str], began: str, now: datetime) -> Mapping[str, str]:
    """Return what to remember after a round: what began with the first one, and a bounded account of who is left."""
    memo = {began: now.isoformat(), **step.memo, PODS_LEFT: told(pods, answers)}
    memo.pop(ANSWERS, None)
    return {**memo, ANSWERS: kept(answers)} if answers else memo


def _drained(node: str, pods: Sorted) -> Done:
    if not pods.of(Fate.STUCK):
        return Done(f"{node} is drained")
    left = told(pods, {}, (Fate.STUCK,))
    return Done(f"{node} is drained but for pods that it, not Ready, cannot report as ended: {left}", _counts(pods))


def _counts(pods: Sorted) -> Mapping[str, int]:
    counts = {"pods_left": len(pods.staying), "pods_stuck": len(pods.of(Fate.STUCK))}
    return {key: count for key, count in counts.items() if count}


def _force_limit(pods: Sorted) -> timedelta:
    """How long forcing may take: the longest grace period is honoured first."""
    return max(pod.grace_period for pod in pods.staying) + _FORCE_LIMIT
