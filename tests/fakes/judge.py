"""Who judges what the pipeline does to a site: it knows what is true without asking the code under test."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from pipeline.clock import Clock
from pipeline.decide.boots import same_boot
from pipeline.decide.guards import GuardSettings
from pipeline.model.node import Node, NodePatch, Pod
from pipeline.model.ownership import CORDONED_BY, OFFLINE, STANDBY_FOR, UNDER_RESCUE, WARM_STANDBY
from pipeline.model.plan import ActionName
from pipeline.model.rescue import BOOT_ID, CancelReason, Rescue, Status, StepState

_MARKS = (CORDONED_BY, UNDER_RESCUE, STANDBY_FOR)


class Truth(Protocol):
    """The nodes as they are, however far the cache is behind."""

    def truth(self) -> Mapping[str, Node]: ...


class Journals(Protocol):
    """The rescues as they are saved."""

    def get(self, name: str) -> Rescue | None: ...

    def open(self) -> Sequence[Rescue]: ...

    def on_node(self, node: str) -> Sequence[Rescue]: ...


class Judge:
    """Knows what is true of the site without asking the code under test, and writes down what was wrong.

    `ours` are the nodes that are out by a cordon of ours, and since when; `freed` those that people have made
    schedulable, and when.
    """

    def __init__(self, guards: GuardSettings, clock: Clock) -> None:
        self.wrong: list[str] = []
        self.ours: dict[str, datetime] = {}
        self.freed: dict[str, datetime] = {}
        self.reboots = Counter[str]()
        self._guards, self._clock = guards, clock

    def sit(self, cluster: Truth, store: Journals) -> None:
        """Judge what happens to these."""
        self._cluster, self._store = cluster, store
        self._gpu_nodes = sum(node.gpus > 0 for node in cluster.truth().values())

    def patch(self, before: Node, patch: NodePatch) -> None:
        """A node is about to be changed by us."""
        given = {key: patch.annotations[key] for key in _MARKS if key in patch.annotations}
        # To take off what is not there changes nothing: a step that is made again after a crash may do it.
        marks = {key: name for key, name in given.items() if name is not None or key in before.annotations}
        for key, name in marks.items():
            owner = self._store.get(name or before.annotations.get(key, ""))
            self._demand(owner is not None and not owner.dry_run, f"{key} of no real rescue on {before.name}: {name}")
            if owner is not None and name is not None:
                self._demand(self._may_sign(key, before, owner), f"{key} of another on {before.name}")
        claim = WARM_STANDBY in before.labels and patch.annotations.get(STANDBY_FOR) is not None
        if patch.unschedulable is False and before.unschedulable:
            self._demand(claim or before.name in self.ours, f"a foreign cordon of {before.name} is lifted")
        if patch.unschedulable:
            self._demand(not before.opted_out, f"{before.name}, which is opted out, is cordoned")
        if patch.taints is not None:
            self._demand(set(before.taints) <= set(patch.taints), f"a foreign taint of {before.name} is lifted")
        for key, value in patch.labels.items():
            kept = before.labels.get(key) in (None, value) or (claim and key == WARM_STANDBY)
            self._demand(kept, f"the label {key} of {before.name} is changed")

    def _may_sign(self, key: str, node: Node, rescue: Rescue) -> bool:
        """Whether the mark is free, or is handed on by another rescue of the same node.

        What a rescue that is over has signed and a person has made schedulable since, another one may sign.
        """
        signed = node.annotations.get(key)
        if signed in (None, rescue.name) or (key == CORDONED_BY and not node.unschedulable):
            return True
        if key == CORDONED_BY:
            return self._hands_over(signed, rescue.name)
        before = self._store.get(signed or "")
        return key == STANDBY_FOR and before is not None and before.node == rescue.node and before.status.ended

    def edited(self, before: Node, after: Node, patch: NodePatch, *, by_us: bool) -> None:
        """A node was changed."""
        signed = by_us and patch.annotations.get(CORDONED_BY) is not None
        handed_on = signed and after.name in self.ours
        if after.unschedulable and signed and (not before.unschedulable or handed_on):
            self.ours[after.name] = self._clock.now()
        if not after.unschedulable or (by_us and CORDONED_BY in patch.annotations and not signed):
            self.ours.pop(after.name, None)
        if before.unschedulable and not after.unschedulable and not by_us:
            self.freed[after.name] = self._clock.now()

    def pod(self, pod: Pod) -> None:
        """A pod is about to be sent away by us."""
        draining = (self._step(rescue, ActionName.DRAIN) for rescue in self._real(pod.node))
        self._demand(any(step and step.started for step in draining), f"{pod.full_name} goes without a drain")

    def reboot(self, node: Node, request: str) -> None:
        """A machine is told to reboot, and will."""
        rescue = self._store.get(request.removesuffix("-reboot"))
        step = self._step(rescue, ActionName.REBOOT) if rescue is not None else None
        real = rescue is not None and not rescue.dry_run and rescue.node == node.name and not rescue.status.ended
        saved = step is not None and step.started is not None and BOOT_ID in step.memo
        self._demand(real and saved, f"{node.name} is rebooted without a saved intent: {request}")
        if step is not None and BOOT_ID in step.memo:
            self._demand(same_boot(step.memo[BOOT_ID], node.boot_id), f"{request}: the intent is about another boot")
        self.reboots[request] += 1
        self._demand(self.reboots[request] == 1, f"{request} a second time")

    def begins(self, rescue: Rescue) -> None:
        """A rescue has got through admission: its node may be out of service from now on."""
        for where, members, most in self._limits(rescue.node):
            lately, everything, busy = (one & members - {rescue.node} for one in self._out())
            told = (
                f"{rescue.name}{where}: {len(lately)} lately, {len(everything)} in all, {len(busy)} busy, most {most}"
            )
            self._demand(len(lately) < most, f"the breaker lets one too many through: {told}")
            self._demand(len(everything) < most or not busy, f"half open lets a second one through: {told}")

    def ends(self, rescue: Rescue) -> None:
        """A rescue is over: its node is as its policy says, or the record says why not."""
        node = self._cluster.truth().get(rescue.node)
        cordon = self._step(rescue, ActionName.CORDON)
        if node is None or cordon is None or cordon.status is not Status.SUCCEEDED:
            return
        since = cordon.ended
        freed = node.name in self.freed and since is not None and self.freed[node.name] >= since
        told = f"{rescue.name} ends {rescue.status} ({rescue.reason}), and leaves"
        details: dict[str, Any] = {key: value for entry in rescue.journal for key, value in entry.details.items()}
        mine = {key for key in _MARKS[:2] if node.annotations.get(key) == rescue.name}
        names = {action.name for action in rescue.plan.actions}
        if rescue.status is Status.SUCCEEDED and ActionName.UNCORDON in names:
            kept = bool(details.get("left_cordoned") or details.get("in_reserve"))
            self._demand(node.unschedulable is kept and not mine, f"{told} {node}")
        elif rescue.status is Status.SUCCEEDED and ActionName.OFFLINE in names:
            tainted = OFFLINE in {taint.key for taint in node.taints}
            self._demand(OFFLINE in node.labels and tainted and node.unschedulable, f"{told} {node}")
        elif rescue.status in (Status.SUCCEEDED, Status.FAILED):
            # Once the reboot is asked for, a person's uncordon cancels nothing any more, and stands.
            self._demand(node.unschedulable or freed, f"{told} {node}")
        elif rescue.reason == CancelReason.UNCORDONED:
            self._demand(not node.unschedulable and not mine, f"{told} {node}")
        elif rescue.reason == CancelReason.OPTED_OUT and CORDONED_BY in mine and node.unschedulable:
            self._demand("kubectl uncordon" in rescue.journal[-1].message, f"{told} {node}, and does not say so")

    def look(self) -> None:
        """Judge the site as it is."""
        for node in self._cluster.truth().values():
            for key in _MARKS:
                owner = self._store.get(node.annotations.get(key, ""))
                self._demand(owner is None or not owner.dry_run, f"{key} of the rehearsal {owner} on {node.name}")
        takers = [node.annotations.get(STANDBY_FOR) for node in self._cluster.truth().values()]
        standbys = Counter(name for name in takers if name)
        self._demand(not standbys or max(standbys.values()) == 1, f"a rescue has two standbys: {standbys}")
        lately = self._out()[0]
        for where, members, most in self._limits(None):
            self._demand(len(lately & members) <= most, f"{len(lately & members)} nodes are out{where}, most {most}")

    def _out(self) -> tuple[set[str], set[str], set[str]]:
        """The nodes that are out lately, those that are out at all, and those that a rescue works on."""
        nodes = self._cluster.truth()
        busy = {rescue.node for rescue in self._store.open() if rescue.begun and not rescue.dry_run}
        # A node that was taken back, or has registered anew, is in service whatever a rescue still thinks.
        busy = {name for name in busy if name in nodes and (nodes[name].unschedulable or self._starting(name))}
        window = self._guards.breaker_window
        recent = {name for name, since in self.ours.items() if self._clock.now() - since <= window}
        return busy | recent, busy | set(self.ours), busy

    def _hands_over(self, owner: str | None, heir: str | None) -> bool:
        """Whether the owner of a cordon is about to lift it, and the other one has begun and works on the same node."""
        before, after = self._store.get(owner or ""), self._store.get(heir or "")
        if before is None or after is None or before.node != after.node:
            return False
        back = self._step(before, ActionName.UNCORDON)
        return back is not None and back.started is not None and after.begun and not after.status.ended

    def _starting(self, node: str) -> bool:
        steps = (self._step(rescue, ActionName.CORDON) for rescue in self._real(node))
        return any(step is not None and step.started is not None and not step.status.ended for step in steps)

    def _limits(self, node: str | None) -> list[tuple[str, set[str], int]]:
        """Every limit that holds for the node, or for any: its name, whom it is about, and how many may be out."""
        nodes, guards = self._cluster.truth(), self._guards
        most = min(guards.max_nodes, max(1, self._gpu_nodes * guards.max_percent // 100))
        limits = [("", set(nodes), most)]
        for group in guards.groups:
            values = {one.labels.get(group.label) for name, one in nodes.items() if node in (None, name)} - {None}
            for value in values:
                members = {name for name, one in nodes.items() if one.labels.get(group.label) == value}
                if group.max_nodes is not None:
                    limits.append((f" with {group.label}={value}", members, group.max_nodes))
        return limits

    def _real(self, node: str) -> list[Rescue]:
        return [one for one in self._store.on_node(node) if not one.dry_run and not one.status.ended]

    def _step(self, rescue: Rescue, name: ActionName) -> StepState | None:
        steps: Mapping[ActionName, StepState] = {
            action.name: step for action, step in zip(rescue.plan.actions, rescue.steps, strict=True)
        }
        return steps.get(name)

    def _demand(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.wrong.append(f"{self._clock.now():%H:%M:%S} {otherwise}")
