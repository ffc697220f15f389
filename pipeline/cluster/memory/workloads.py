"""Pods, and those who look after them: the kubelets, the controllers and the scheduler, as far as a drain sees them.

Left out, because no rescue depends on it: resources, tolerations and affinities (a pod goes to any node that takes
pods), and the eviction by taint of the pods of a node that has been unreachable for minutes.
"""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from uuid import NAMESPACE_URL, uuid5

from pipeline.cluster.memory.budgets import Phase
from pipeline.cluster.memory.objects import NodeObjects
from pipeline.cluster.memory.timeline import Timeline
from pipeline.errors import PermanentError
from pipeline.model.node import Node, Pod

_AFTER_IT_IS_GONE = ("DaemonSet", "StatefulSet")
"""Controllers that start the new pod only when the old one is gone; all others do it when the old one begins to go."""

_NO_PODS = ("NoSchedule", "NoExecute")


class Workloads:
    """All pods of the cluster."""

    def __init__(
        self, nodes: NodeObjects, timeline: Timeline, pod_start: timedelta, never_end: Container[str] = frozenset()
    ) -> None:
        """*never_end* names, as `namespace/name`, pods that are still there when their grace is over."""
        self._nodes = nodes
        self._never_end = never_end
        self._timeline = timeline
        self._pod_start = pod_start
        self._pods: dict[tuple[str, str], Pod] = {}
        self._phases: dict[str, Phase] = {}
        self._powered_off: set[str] = set()
        self._born = 0

    def on(self, node: str) -> list[Pod]:
        """Return the pods bound to a node, by namespace and name."""
        return sorted(
            (pod for pod in self._pods.values() if pod.node == node), key=lambda pod: (pod.namespace, pod.name)
        )

    def phases(self) -> Iterator[tuple[Pod, Phase]]:
        """Yield every pod and how far it is."""
        return ((pod, self._phases[pod.uid]) for pod in self._pods.values())

    def find(self, pod: Pod) -> Pod | None:
        """Return the pod as it is now; None when it is gone, even if a namesake took its place."""
        held = self._pods.get((pod.namespace, pod.name))
        return held if held is not None and pod.uid in ("", held.uid) else None

    def add(self, pod: Pod, now: datetime) -> Pod:
        """Add a pod that is running already, or pending if it is bound to no node; return it with its uid.

        Raises PermanentError when there is one of that name, NotFoundError when its node does not exist.
        """
        if (pod.namespace, pod.name) in self._pods:
            raise PermanentError(f"pod {pod.full_name} exists already")
        if pod.node:
            self._nodes.get(pod.node)
        held = self._store(pod, Phase.READY if pod.node and not pod.finished else Phase.PENDING)
        if held.deadline is not None:
            self._let_go(held, max(now, held.deadline))
        self.assign_pending(now)
        return held

    def finish(self, pod: Pod) -> None:
        """Have the containers of a pod end by themselves, for good; nobody makes up for it."""
        self._timeline.cancel(_about(pod))
        self._pods[pod.namespace, pod.name] = replace(pod, finished=True)
        self._phases[pod.uid] = Phase.UNREADY

    def replace_on(self, node: str, pods: Sequence[Pod], now: datetime) -> None:
        """Have exactly these pods on a node, whatever was there or went by their names; nobody makes up for those."""
        for pod in (*self.on(node), *pods):
            self._discard((pod.namespace, pod.name))
        for pod in pods:
            self.add(pod, now)

    def delete(self, pod: Pod, grace_period: timedelta, now: datetime) -> None:
        """Delete a pod; it stays, terminating, until its grace period is over, which no later call extends."""
        if pod.mirror or pod.finished or not pod.node or not grace_period:
            self._remove(pod, now)
            return
        deadline = now + grace_period
        if pod.deadline is None or deadline < pod.deadline:
            self._pods[pod.namespace, pod.name] = replace(pod, deadline=deadline)
            self._let_go(pod, deadline)
        if not pod.terminating and pod.owner not in _AFTER_IT_IS_GONE:
            self._succeed(pod, now)

    def power_off(self, node: str) -> None:
        """The machine went down: nobody there ends or starts a pod, and nobody has noticed yet."""
        self._powered_off.add(node)
        for pod in self.on(node):
            self._timeline.cancel(_about(pod))

    def mark_unready(self, node: str) -> None:
        """The cluster noticed that the machine is down."""
        for pod in self.on(node):
            if self._phases[pod.uid] is Phase.READY:
                self._phases[pod.uid] = Phase.UNREADY

    def power_on(self, node: str, now: datetime) -> None:
        """The kubelet is back: leaving pods are gone, those of Jobs have failed, the others start again in place."""
        self._powered_off.discard(node)
        for pod in self.on(node):
            if pod.terminating:
                self._remove(pod, now)
            elif pod.owner == "Job" and not pod.finished:
                self.finish(pod)
                self._succeed(pod, now)
            elif not pod.finished:
                self._phases[pod.uid] = Phase.UNREADY
                self._start(pod, now)

    def node_removed(self, node: str, now: datetime) -> None:
        """The node object is gone, and its pods with it."""
        self._powered_off.discard(node)
        for pod in self.on(node):
            self._remove(pod, now)

    def assign_pending(self, now: datetime) -> None:
        """Bind the pods that wait for a node, oldest first, to the nodes with the fewest pods."""
        pending = [pod for pod in self._pods.values() if not pod.node and not pod.finished]
        open_nodes = [node.name for node in self._nodes.all().values() if _takes_pods(node)] if pending else []
        if not open_nodes:
            return
        load = Counter(pod.node for pod in self._pods.values())
        for pod in pending:
            node = min(open_nodes, key=lambda name: (load[name], name))
            load[node] += 1
            bound = self._pods[pod.namespace, pod.name] = replace(pod, node=node)
            self._start(bound, now)

    def _let_go(self, pod: Pod, gone_at: datetime) -> None:
        self._timeline.cancel(_about(pod))
        self._timeline.schedule(gone_at, _about(pod), partial(self._grace_is_over, (pod.namespace, pod.name)))

    def _grace_is_over(self, key: tuple[str, str], now: datetime) -> None:
        # With the machine off there is no kubelet to say that the containers have ended: the pod stays, terminating.
        pod = self._pods[key]
        if pod.node not in self._powered_off and pod.full_name not in self._never_end:
            self._remove(pod, now)

    def _remove(self, pod: Pod, now: datetime) -> None:
        self._discard((pod.namespace, pod.name))
        if not pod.finished and (pod.owner in _AFTER_IT_IS_GONE or pod.mirror or not pod.terminating):
            self._succeed(pod, now)

    def _discard(self, key: tuple[str, str]) -> None:
        held = self._pods.pop(key, None)
        if held is not None:
            self._timeline.cancel(_about(held))
            self._phases.pop(held.uid)

    def _succeed(self, pod: Pod, now: datetime) -> None:
        """Have the pod's controller, or its kubelet if it is a static one, put a new pod in its place."""
        stays = pod.mirror or pod.owner == "DaemonSet"
        if (pod.owner is None and not pod.mirror) or (stays and pod.node not in self._nodes):
            return
        name = pod.name if pod.mirror or pod.owner == "StatefulSet" else self._new_name(pod)
        heir = replace(pod, name=name, node=pod.node if stays else "", uid="", deadline=None, finished=False)
        heir = self._store(heir, Phase.PENDING)
        if stays:
            self._start(heir, now)
        else:
            self.assign_pending(now)

    def _store(self, pod: Pod, phase: Phase) -> Pod:
        self._born += 1
        held = replace(pod, uid=pod.uid or _uuid("pod", pod.namespace, pod.name, self._born))
        self._pods[held.namespace, held.name] = held
        self._phases[held.uid] = phase
        return held

    def _start(self, pod: Pod, now: datetime) -> None:
        if pod.node not in self._powered_off:
            self._timeline.schedule(now + self._pod_start, _about(pod), partial(self._started, pod.uid))

    def _started(self, uid: str, _now: datetime) -> None:
        self._phases[uid] = Phase.READY

    def _new_name(self, pod: Pod) -> str:
        stem = pod.name.rpartition("-")[0] or pod.name
        names = (f"{stem}-{_uuid('name', pod.namespace, stem, number)[:5]}" for number in count(self._born))
        return next(name for name in names if (pod.namespace, name) not in self._pods)


def _uuid(*parts: object) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join(map(str, parts))))


def _about(pod: Pod) -> str:
    return f"pod/{pod.uid}"


def _takes_pods(node: Node) -> bool:
    return node.ready and not node.unschedulable and not any(taint.effect in _NO_PODS for taint in node.taints)
