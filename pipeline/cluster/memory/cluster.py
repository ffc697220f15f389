"""The simulated cluster: the port's promises, kept by an API server, controllers and machines that live in memory."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from pipeline.clock import Clock
from pipeline.cluster.memory.budgets import Budget, refusal
from pipeline.cluster.memory.events import KeptEvents
from pipeline.cluster.memory.machines import AcceptedReboot, Machines
from pipeline.cluster.memory.objects import NodeObjects
from pipeline.cluster.memory.patching import check, patched
from pipeline.cluster.memory.policies import Manifest, Policies
from pipeline.cluster.memory.timeline import Timeline
from pipeline.cluster.memory.timings import Timings
from pipeline.cluster.memory.troubles import Call, Troubles
from pipeline.cluster.memory.watch import Watch
from pipeline.cluster.memory.workloads import Workloads
from pipeline.errors import ConflictError, PermanentError, TemporaryError
from pipeline.model.node import Node, NodePatch, Pod
from pipeline.model.ownership import NEWCOMER

_NEWCOMER_GPUS = 8


class SimulatedCluster:
    """A Kubernetes cluster as the pipeline sees it, in memory.

    It has no tasks and never waits. What takes time (a pod's grace period, a machine's boot) is scheduled, and made
    the next time anybody looks, in the order and with the time stamps it was due: `settle` does it, every other call
    begins with it, and `next_change` tells until when nothing happens by itself. `troubles` is what goes wrong,
    `reboots` what was rebooted, `events` what people see with kubectl.
    """

    def __init__(
        self,
        clock: Clock,
        nodes: Iterable[Node] = (),
        pods: Iterable[Pod] = (),
        policies: Iterable[Manifest] = (),
        timings: Timings | None = None,
    ) -> None:
        """Begin with these nodes and pods. A node without a boot id gets one; a pod's node must be among the nodes."""
        self.timings = timings = timings or Timings()
        self.troubles, self.events = Troubles(), KeptEvents()
        self._clock = clock
        self._timeline = Timeline()
        self._objects = NodeObjects()
        self._workloads = Workloads(self._objects, self._timeline, timings.pod_start, self.troubles.never_end)
        self._machines = Machines(self._objects, self._workloads, self._timeline, timings)
        self._policies = Policies(policies)
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._cached: Mapping[str, Node] = {}
        self._cached_generation = 0
        for node in nodes:
            self.add_node(node)
        for pod in pods:
            self.add_pod(pod)

    # Time.

    def settle(self) -> datetime:
        """Make every change that is due by now, and return now."""
        now = self._clock.now()
        self._timeline.settle(now)
        return now

    def next_change(self) -> datetime | None:
        """Return when something next happens by itself; None when all is at rest."""
        self.settle()
        return self._timeline.next()

    # The port: what a rescue reads and writes.

    @property
    def synced(self) -> bool:
        """Whether the cache shows anything yet."""
        return self.troubles.cache_synced

    @property
    def generation(self) -> int:
        """How many changes the cache has seen."""
        self._refresh()
        return self._cached_generation

    def nodes(self) -> Mapping[str, Node]:
        """All nodes as the cache shows them: a snapshot, which is up to date unless troubles have it lag."""
        self._refresh()
        return self._cached

    def changed_since(self, generation: int) -> Iterable[str]:
        """The names of the nodes that have changed since, those that the cache does not show yet among them."""
        self._refresh()
        return self._objects.changed_since(generation)

    def watch(self) -> Watch:
        """Return an endless iterator over node events; see `Watch`."""
        self.settle()
        return self._objects.watch()

    async def reach(self) -> str:
        """Tell how many nodes there are."""
        return f"simulated, {len(self.nodes())} nodes"

    async def get_node(self, name: str) -> Node:
        """Return the node as it is."""
        with self.troubles.around(Call.GET_NODE):
            self.settle()
            return self._objects.get(name)

    async def patch_node(self, name: str, patch: NodePatch, resource_version: str) -> Node:
        """Change the node if nobody has changed it since *resource_version*."""
        with self.troubles.around(Call.PATCH_NODE):
            self.settle()
            if self._objects.get(name).resource_version != resource_version:
                raise ConflictError(f"node {name} has been modified since version {resource_version}")
            return self.edit_node(name, patch)

    async def pods_on(self, node: str) -> Sequence[Pod]:
        """Return the pods bound to a node; none for a node that does not exist."""
        with self.troubles.around(Call.PODS_ON):
            self.settle()
            return self._workloads.on(node)

    async def evict(self, pod: Pod) -> None:
        """Evict as the eviction subresource does.

        A pod that has ended, is leaving or waits for a node goes without asking; one budget is asked, with more than
        one the server gives up (500). A budget's refusal (429) names no delay, as the API server names none.
        """
        with self.troubles.around(Call.EVICT):
            now = self.settle()
            held = self._workloads.find(pod)
            if held is None:
                return
            if not (held.finished or held.terminating or not held.node):
                self._ask_budgets(held)
            self._workloads.delete(held, held.grace_period, now)

    async def delete_pod(self, pod: Pod, grace_period: timedelta) -> None:
        """Delete the pod; a grace period of zero removes it at once, wherever its machine is."""
        with self.troubles.around(Call.DELETE_POD):
            now = self.settle()
            held = self._workloads.find(pod)
            if held is not None:
                self._workloads.delete(held, grace_period, now)

    def policies(self) -> Sequence[Mapping[str, Any]]:
        """Return the manifests with their status; the same object until one of them changes."""
        return self._policies.all()

    async def set_policy_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        """Replace the status of a policy."""
        with self.troubles.around(Call.SET_POLICY_STATUS):
            self._policies.set_status(kind, name, status)

    # The machines: what a simulated rebooter does and remembers.

    @property
    def reboots(self) -> Sequence[AcceptedReboot]:
        """Every reboot that came to pass, oldest first."""
        return tuple(self._machines.reboots)

    def reboot(self, node: str, request: str) -> None:
        """Turn the node's machine off and on, once for each name of a request; NotFoundError if it does not exist."""
        self._machines.reboot(node, request, self.settle(), self.troubles)

    def reboot_asked(self, node: str, request: str) -> bool:
        """Whether this very reboot was accepted."""
        return self._machines.asked(node, request)

    # People: what others than the pipeline do.

    def add_node(self, node: Node) -> Node:
        """Add a node and its machine; raise PermanentError if the name is taken or an API server would refuse it."""
        now = self.settle()
        if node.name in self._objects:
            raise PermanentError(f"node {node.name} exists already")
        check(node)
        return self._install(node, now)

    def newcomer(self, host: str) -> Node:
        """Return the node of that name; there is one from now on, with eight GPUs and no labels, marked as a newcomer.

        Any name will do, also one that no API server would take: it comes out of somebody's log.
        """
        now = self.settle()
        if host in self._objects:
            return self._objects.get(host)
        marks = {NEWCOMER: "true"}
        node = Node(host, "", annotations=marks, gpus=_NEWCOMER_GPUS, gpus_allocatable=_NEWCOMER_GPUS)
        return self._install(node, now)

    def edit_node(self, name: str, patch: NodePatch) -> Node:
        """Change a node whatever its version, as `kubectl label` and `kubectl annotate --overwrite` do."""
        now = self.settle()
        changed = self._objects.put(patched(self._objects.get(name), patch))
        self._workloads.assign_pending(now)
        return changed

    def cordon_by_hand(self, name: str) -> Node:
        """Cordon a node as a person does, who leaves no mark of ownership."""
        return self.edit_node(name, NodePatch(unschedulable=True))

    def uncordon_by_hand(self, name: str) -> Node:
        """Uncordon a node as a person does, whoever cordoned it."""
        return self.edit_node(name, NodePatch(unschedulable=False))

    def delete_node(self, name: str) -> None:
        """Delete a node and the pods on it; NotFoundError if it does not exist."""
        self._remove(name, self.settle())

    def add_pod(self, pod: Pod) -> Pod:
        """Add a running pod and return it with its uid; raise PermanentError if its name is taken."""
        return self._workloads.add(pod, self.settle())

    def finish_pod(self, pod: Pod) -> None:
        """Have a pod come to its end by itself, as that of a Job does."""
        self.settle()
        held = self._workloads.find(pod)
        if held is not None:
            self._workloads.finish(held)

    def add_budget(self, budget: Budget) -> None:
        """Add a PodDisruptionBudget, or replace the one of its name."""
        self._budgets[budget.namespace, budget.name] = budget

    def set_policies(self, manifests: Iterable[Manifest]) -> None:
        """Replace the policies; those that stay keep their status."""
        self._policies.replace(manifests)

    # What holds it together.

    def _install(self, node: Node, now: datetime) -> Node:
        added = self._objects.put(self._machines.install(node))
        self._workloads.assign_pending(now)
        return added

    def _remove(self, name: str, now: datetime) -> None:
        self._objects.remove(name)
        self._machines.remove(name)
        self._workloads.node_removed(name, now)

    def _ask_budgets(self, pod: Pod) -> None:
        budgets = [budget for budget in self._budgets.values() if budget.covers(pod)]
        if len(budgets) > 1:
            raise TemporaryError(
                f"pod {pod.full_name} has more than one disruption budget, which an eviction cannot ask"
            )
        for budget in budgets:
            problem = refusal(budget, pod, self._workloads.phases())
            if problem is not None:
                raise TemporaryError(f"cannot evict {pod.full_name} now: {problem}")

    def _refresh(self) -> None:
        self.settle()
        if not self.troubles.cache_synced or self.troubles.cache_lags:
            return
        if self._cached_generation != self._objects.generation:
            self._cached_generation = self._objects.generation
            self._cached = MappingProxyType(dict(self._objects.all()))
