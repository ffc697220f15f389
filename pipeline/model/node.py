"""A Kubernetes node and its pods, as far as a rescue needs to know them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.model.ownership import IGNORE


@dataclass(frozen=True, slots=True)
class Taint:
    """A node taint; `effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Node:
    """One node as last seen.

    `addresses` are its Hostname, InternalIP and InternalDNS addresses. `gpus` is the count of the device plugin's
    resource in capacity, `gpus_allocatable` in allocatable. `booted_at` is when its boot id was first seen, None if
    never observed.
    """

    name: str
    resource_version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    ready: bool = True
    boot_id: str = ""
    booted_at: datetime | None = None
    addresses: tuple[str, ...] = ()
    gpus: int = 0
    gpus_allocatable: int = 0

    @property
    def opted_out(self) -> bool:
        """Whether somebody has told us to keep our hands off; whatever the annotation says but `false` means it."""
        return self.annotations.get(IGNORE, "false") != "false"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod on a node; `owner` is the kind of its controller, None for a pod that nothing would bring back.

    `uses_gpu` is whether one of its containers asks for a GPU or a part of one. `deadline` is when a pod that was told
    to end should be gone (the API's deletionTimestamp: the moment of the deletion, and its grace), None for one that
    was not. `uid`, where it is known, tells the pod from a namesake that came after it.
    """

    namespace: str
    name: str
    node: str
    owner: str | None = None
    mirror: bool = False
    empty_dir: bool = False
    finished: bool = False
    uses_gpu: bool = False
    deadline: datetime | None = None
    grace_period: timedelta = timedelta(seconds=30)
    labels: Mapping[str, str] = field(default_factory=dict)
    uid: str = ""

    @property
    def terminating(self) -> bool:
        """Whether it was told to end."""
        return self.deadline is not None

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class NodePatch:
    """What to change on a node; None for a label's or an annotation's value removes it; what is not named stays."""

    unschedulable: bool | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    taints: tuple[Taint, ...] | None = None
