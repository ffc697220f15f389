"""unCordon where the reserve is replenished: the healed node takes the place of the standby that stood in for it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from pipeline.cluster.port import Cluster
from pipeline.decide.standby import is_free
from pipeline.decide.warmstandby import WarmStandbyPolicy, lacking
from pipeline.errors import PermanentError
from pipeline.execute.actions.claims import UNMARKED, chosen, in_service, label_of, look, stands_in
from pipeline.execute.actions.marks import removal
from pipeline.execute.actions.port import ActionRunner, Done, Intend, Outcome
from pipeline.model.node import Node, NodePatch
from pipeline.model.ownership import CORDONED_BY, STANDBY_FOR
from pipeline.model.plan import Uncordon
from pipeline.model.rescue import Rescue, StepState

_LABEL = "label"
"""Memo: the label that the node gets, as `key=value`; the standby had it."""

_LACKS = "lacks"
"""Memo: the labels by which policies find the standby and will not find the node, for people."""

_log = structlog.get_logger()


class ReplenishRunner:
    """Leaves the healed node cordoned, as a free standby, and the standby in service, as a normal node.

    Where that cannot be (no standby was claimed, it does not serve any more, the node would not be a free standby), the
    node is uncordoned as it would be without: what serves comes before the reserve.
    """

    def __init__(
        self,
        cluster: Cluster,
        uncordon: ActionRunner[Uncordon],
        policies: Callable[[], Sequence[WarmStandbyPolicy]],
        label: str,
    ) -> None:
        """*uncordon* is what is done otherwise; *label* that of the reserve."""
        self._cluster = cluster
        self._uncordon = uncordon
        self._policies = policies
        self._label = label

    async def run(self, action: Uncordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Save that the two change places and by which label; then take the standby's marks off, then the node's.

        The node is last: while our cordon is on it nobody can claim it, and whoever comes after a crash goes on. The
        node of a rescue that was withdrawn has not been healed, and does not go into the reserve.
        """
        if rescue.withdrawn is not None:
            return await self._uncordon.run(action, rescue, step, now)
        node = await self._cluster.get_node(rescue.node)
        standby = await look(self._cluster, chosen(rescue))
        exchanged = (
            await self._exchange(node, standby, rescue, step)
            if _LABEL in step.memo
            else self._intent(node, standby, rescue)
        )
        return exchanged or await self._uncordon.run(action, rescue, step, now)

    def _intent(self, node: Node, standby: Node | None, rescue: Rescue) -> Intend | None:
        label = label_of(standby) if standby is not None else None
        if standby is None or label is None or not stands_in(standby, rescue):
            return None
        joined = _joined(node, rescue, *label)
        if not (_serves(standby, rescue, label[0]) and self._may_join(node, joined, rescue)):
            return None
        missing = lacking(self._policies(), {**standby.labels, label[0]: label[1]}, joined.labels)
        lacks = ", ".join(f"{key}={value}" for key, value in missing.items())
        told = f"{node.name} is to take the place of {standby.name} in the reserve"
        return Intend({_LABEL: "=".join(label), _LACKS: lacks}, told)

    async def _exchange(self, node: Node, standby: Node | None, rescue: Rescue, step: StepState) -> Done | None:
        key, _, value = step.memo[_LABEL].partition("=")
        joined = _joined(node, rescue, key, value)
        if node == joined and node.unschedulable:
            return _done(rescue, step)
        if standby is None or not (_serves(standby, rescue, key) and self._may_join(node, joined, rescue)):
            return None
        try:
            normal = NodePatch(annotations=UNMARKED)
            await self._cluster.patch_node(standby.name, normal, standby.resource_version)
            patch = NodePatch(labels={key: joined.labels[key]}, annotations=removal(node, rescue))
            await self._cluster.patch_node(node.name, patch, node.resource_version)
        except PermanentError as error:
            # No refusal, and no standby that goes in between, may cost the node its uncordon.
            _log.warning("standby.not-replenished", rescue=rescue.name, error=str(error))
            return None
        return _done(rescue, step)

    def _may_join(self, node: Node, joined: Node, rescue: Rescue) -> bool:
        return node.annotations.get(CORDONED_BY) == rescue.name and is_free(joined, self._label)


def _joined(node: Node, rescue: Rescue, key: str, value: str) -> Node:
    """Return the node as it would be in the reserve; a label of this key that it has already stays."""
    marks = removal(node, rescue)
    annotations = {name: text for name, text in node.annotations.items() if name not in marks}
    return replace(node, labels={key: value, **node.labels}, annotations=annotations)


def _serves(standby: Node, rescue: Rescue, key: str) -> bool:
    """Whether the standby is at work, and nobody has put it to another use or back into the reserve."""
    other = standby.annotations.get(STANDBY_FOR, rescue.name) != rescue.name
    return in_service(standby) and standby.ready and not (other or standby.opted_out or key in standby.labels)


def _done(rescue: Rescue, step: StepState) -> Done:
    standby, lacks = chosen(rescue) or "", step.memo[_LACKS]
    told = f"{rescue.node} stays cordoned as a warm standby in the place of {standby}, which stays in service for good"
    details: dict[str, str | int | bool] = {"in_reserve": True, "in_service": standby}
    if lacks:
        told += f"; policies that found {standby} by {lacks} will not find it"
        details["lacks"] = lacks
    return Done(told, details)
