"""The file that a simulated cluster is read from."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from pipeline.clock import Clock
from pipeline.cluster.memory.budgets import Budget
from pipeline.cluster.memory.cluster import SimulatedCluster
from pipeline.cluster.memory.patching import flaws, is_domain
from pipeline.cluster.memory.timings import Timings
from pipeline.cluster.port import HOSTNAME
from pipeline.documents import Document, Strict, read_documents, validate
from pipeline.durations import Duration
from pipeline.errors import BadInputError, Complaint
from pipeline.model.node import Node, Pod, Taint

C = TypeVar("C", bound=SimulatedCluster)

_SHARE = re.compile(r"(?:[0-9]{1,2}|100)%")


class TaintSpec(Strict):
    """A taint of a node."""

    key: str = Field(description="The taint's key.")
    value: str = Field("", description="The taint's value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(description="What it does to pods.")


class AfterRebootSpec(Strict):
    """What is wrong with a machine, as it shows when it is rebooted."""

    returns: bool = Field(True, description="Whether the machine comes back at all.")
    gpus: int | None = Field(None, ge=0, description="How many GPUs it comes back with; all of them if not set.")


class NodeSpec(Strict):
    """A node and its machine."""

    name: str = Field(min_length=1, max_length=63, description="The node's name, in lower case.")
    count: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="So many nodes like this, called NAME-01, NAME-02 and so on; one if not set.",
    )
    labels: Mapping[str, str] = Field(
        default_factory=dict, description="Labels; kubernetes.io/hostname is the name unless it is set here."
    )
    annotations: Mapping[str, str] = Field(default_factory=dict, description="Annotations.")
    addresses: tuple[str, ...] = Field((), description="The Hostname, InternalIP and InternalDNS addresses.")
    gpus: int = Field(
        8, ge=0, description="How many GPUs the machine has, all of them allocatable; most servers have 8."
    )
    taints: tuple[TaintSpec, ...] = Field((), description="Taints.")
    unschedulable: bool = Field(False, description="Whether the node is cordoned from the start.")
    ready: bool = Field(True, description="Whether the node is Ready at the start.")
    boot_id: str = Field("", description="The first boot id; made from the name if not set.")
    after_reboot: AfterRebootSpec = Field(AfterRebootSpec(), description="What is wrong with the machine.")

    @field_validator("name")
    @classmethod
    def _is_domain(cls, name: str) -> str:
        if not is_domain(name):
            raise ValueError(
                f"{name!r} is no name of a node: lower-case letters, digits, dashes and dots, like gpu-a.rack1"
            )
        return name

    @model_validator(mode="after")
    def _is_valid(self) -> "NodeSpec":
        if self.count is not None and (self.addresses or self.boot_id or HOSTNAME in self.labels):
            raise ValueError(f"nodes by count each have their own addresses, boot_id and {HOSTNAME}; leave them out")
        found = list(flaws(self._node(self.names[-1])))
        if found:
            raise ValueError("; ".join(found))
        return self

    @property
    def names(self) -> list[str]:
        """The name of each of the nodes."""
        if self.count is None:
            return [self.name]
        width = max(2, len(str(self.count)))
        return [f"{self.name}-{number:0{width}}" for number in range(1, self.count + 1)]

    def nodes(self) -> list[Node]:
        """Return the node as it stands at the start, or all that there are by `count`."""
        return [self._node(name) for name in self.names]

    def _node(self, name: str) -> Node:
        return Node(
            name,
            "",
            labels={HOSTNAME: name, **self.labels},
            annotations=self.annotations,
            taints=tuple(Taint(taint.key, taint.value, taint.effect) for taint in self.taints),
            unschedulable=self.unschedulable,
            ready=self.ready,
            boot_id=self.boot_id,
            addresses=self.addresses,
            gpus=self.gpus,
            gpus_allocatable=self.gpus,
        )


class PodSpec(Strict):
    """A pod that is running at the start."""

    name: str = Field(min_length=1, description="The pod's name.")
    namespace: str = Field("default", min_length=1, description="The pod's namespace.")
    node: str = Field(min_length=1, description="The name of the node it is on.")
    owner: str | None = Field(
        "ReplicaSet",
        description="The kind of its controller, which brings it back; null for a pod that nothing brings back.",
    )
    labels: Mapping[str, str] = Field(default_factory=dict, description="Labels, by which budgets select it.")
    grace_period: Duration = Field(timedelta(seconds=30), description="How long it takes to end; 30s as in Kubernetes.")
    mirror: bool = Field(False, description="Whether it is a static pod of the kubelet.")
    empty_dir: bool = Field(False, description="Whether it keeps data in an emptyDir.")
    finished: bool = Field(False, description="Whether it has ended already.")
    uses_gpu: bool = Field(False, description="Whether it asks for GPUs; what gpuPodsOnly of a drain goes by.")
    hangs: bool = Field(
        False,
        description="Whether it outlives its grace period, as a process that hangs in the driver does: it goes with "
        "the machine, or when it is deleted without grace.",
    )

    def pod(self) -> Pod:
        """Return the pod as it stands at the start."""
        return Pod(**{key: value for key, value in self if key != "hangs"})


class BudgetSpec(Strict):
    """A PodDisruptionBudget: exactly one of `min_available` and `max_unavailable`."""

    name: str = Field(min_length=1, description="The budget's name.")
    namespace: str = Field("default", min_length=1, description="The namespace whose pods it covers.")
    selector: Mapping[str, str] = Field(default_factory=dict, description="Labels of the pods; all pods if empty.")
    min_available: int | str | None = Field(None, description="How many pods must stay: a number, or a share like 50%.")
    max_unavailable: int | str | None = Field(
        None, description="How many may be missing: a number, or a share like 50%."
    )

    @field_validator("min_available", "max_unavailable")
    @classmethod
    def _amount(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, str) and not _SHARE.fullmatch(value):
            raise ValueError(f"{value!r} is neither a number of pods nor a share; write it like 2 or 50%")
        if isinstance(value, int) and value < 0:
            raise ValueError("a number of pods is not negative")
        return value

    @model_validator(mode="after")
    def _one_of_two(self) -> "BudgetSpec":
        if (self.min_available is None) == (self.max_unavailable is None):
            raise ValueError("set exactly one of min_available and max_unavailable")
        return self

    def budget(self) -> Budget:
        """Return the budget."""
        return Budget(**dict(self))


class SimulatedClusterFile(Strict):
    """A simulated cluster: nodes, the pods on them, the budgets over those, and how long things take."""

    nodes: tuple[NodeSpec, ...] = Field((), description="The nodes.")
    pods: tuple[PodSpec, ...] = Field((), description="The pods that run at the start.")
    budgets: tuple[BudgetSpec, ...] = Field((), description="The disruption budgets.")
    timings: Timings = Field(Timings(), description="How long things take.")


def load_cluster(path: Path, clock: Clock, kind: type[C]) -> C:
    """Return the cluster that a YAML file describes; raise BadInputError, with FILE:LINE, for what is wrong in it."""
    documents = read_documents(path)
    if len(documents) != 1:
        remedy = "write one document with the key nodes"
        raise BadInputError(Complaint(f"{path}:1", f"holds {len(documents)} YAML documents", remedy))
    spec = validate(SimulatedClusterFile, documents[0])
    complaints = tuple(_complaints(spec, documents[0]))
    if complaints:
        raise BadInputError(*complaints)
    nodes = (node for described in spec.nodes for node in described.nodes())
    cluster = kind(clock, nodes, (pod.pod() for pod in spec.pods), timings=spec.timings)
    for budget in spec.budgets:
        cluster.add_budget(budget.budget())
    cluster.troubles.never_end.update(f"{pod.namespace}/{pod.name}" for pod in spec.pods if pod.hangs)
    for node in spec.nodes:
        if not node.after_reboot.returns:
            cluster.troubles.never_returns.update(node.names)
        if node.after_reboot.gpus is not None:
            cluster.troubles.gpus_after_reboot |= dict.fromkeys(node.names, node.after_reboot.gpus)
    return cluster


def _complaints(spec: SimulatedClusterFile, document: Document) -> Iterator[Complaint]:
    """Yield what is wrong between the parts of a file whose every part is right."""
    named = {
        "nodes": [(index, name) for index, node in enumerate(spec.nodes) for name in node.names],
        "pods": [(index, f"{pod.namespace}/{pod.name}") for index, pod in enumerate(spec.pods)],
        "budgets": [(index, f"{budget.namespace}/{budget.name}") for index, budget in enumerate(spec.budgets)],
    }
    for section, names in named.items():
        seen: set[str] = set()
        for index, name in names:
            if name in seen:
                place = document.where((section, index, "name"))
                yield Complaint(place, f"{section} has {name!r} twice", "give each its own name")
            seen.add(name)
    nodes = {name for _, name in named["nodes"]}
    for index, pod in enumerate(spec.pods):
        if pod.node not in nodes:
            place = document.where(("pods", index, "node"))
            yield Complaint(place, f"there is no node {pod.node!r}", "name one of the nodes of this file")
