"""The breaker: whether one more node may leave service by our hand, of the cluster and of each of its groups."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.decide.asking import Answer, Asking, Hold, Passed
from pipeline.decide.guards import GroupLimit
from pipeline.decide.out_of_service import OutOfService, out_of_service
from pipeline.durations import format_duration
from pipeline.model.node import Node
from pipeline.model.ownership import NEWCOMER
from pipeline.model.rescue import HoldReason

_CLUSTER_WIDE = frozenset({HoldReason.MAX_NODES, HoldReason.MAX_PERCENT, HoldReason.HALF_OPEN})
_GROUP = "group"
_GPU_COUNT = "nvidia.com/gpu.count"
_MOST_NAMED = 10
_COUNTED = "the rescue has begun: its node counts already"


@dataclass(frozen=True, slots=True)
class _Limit:
    """How many nodes may be out, and which of them count for it; `told` says how many, and by which setting."""

    most: int
    reason: HoldReason
    told: str
    out: OutOfService


def breaker(asking: Asking) -> Answer:
    """Whether one more node of the cluster may leave service."""
    if asking.rescue.begun:
        return Passed(_COUNTED)
    out, most = _out(asking), asking.settings.max_nodes
    limits = [_Limit(most, HoldReason.MAX_NODES, f"at most {most} may be (max_nodes)", out)]
    newcomers = {name for name, node in asking.nodes.items() if NEWCOMER in node.annotations}
    if asking.rescue.node not in newcomers:
        known = [node for name, node in asking.nodes.items() if name not in newcomers]
        percent = asking.settings.max_percent
        limits += _percent(percent, known, HoldReason.MAX_PERCENT, "max_percent", out.but(newcomers))
    return _judged(limits, asking, "", {})


def group_breaker(asking: Asking) -> Answer:
    """Whether one more node of each of its groups may leave service."""
    node = asking.node
    if asking.rescue.begun:
        return Passed(_COUNTED)
    out, told = _out(asking), []
    for group in asking.settings.groups:
        value = None if node is None else node.labels.get(group.label)
        if value is not None:
            members = {name: other for name, other in asking.nodes.items() if other.labels.get(group.label) == value}
            limits = _of_group(group, members, out.among(members))
            details = {"label": group.label, _GROUP: value}
            answer = _judged(limits, asking, f" with {group.label}={value}", details)
            if not isinstance(answer, Passed):
                return answer
            told.append(answer.message)
    return Passed("; ".join(told) or "the node is in no group (groups)")


def holds_others(hold: Hold) -> bool:
    """Whether the breaker would hold other rescues for the same reason: it is the cluster's, not a group's."""
    return hold.reason in _CLUSTER_WIDE and _GROUP not in hold.details


def _out(asking: Asking) -> OutOfService:
    window = asking.settings.breaker_window
    return out_of_service(asking.rescues, asking.nodes, asking.now, window).but({asking.rescue.node})


def _of_group(group: GroupLimit, members: Mapping[str, Node], out: OutOfService) -> list[_Limit]:
    limits, reason = [], HoldReason.MAX_PER_GROUP
    if group.max_nodes is not None:
        told = f"at most {group.max_nodes} may be (groups, max_nodes)"
        limits.append(_Limit(group.max_nodes, reason, told, out))
    if group.max_percent is not None:
        limits += _percent(group.max_percent, members.values(), reason, "groups, max_percent", out)
    return limits


def _percent(percent: int, nodes: Iterable[Node], reason: HoldReason, setting: str, out: OutOfService) -> list[_Limit]:
    """The limit, or none where no node has GPUs."""
    gpu_nodes = sum(map(_has_gpus, nodes))
    most = max(1, gpu_nodes * percent // 100)
    told = f"at most {most} may be, {percent}% of {gpu_nodes} with GPUs ({setting})"
    return [_Limit(most, reason, told, out)] if gpu_nodes else []


def _has_gpus(node: Node) -> bool:
    """Whether it has GPUs; by its label too, because with MIG it may have none that are called nvidia.com/gpu."""
    label = node.labels.get(_GPU_COUNT, "")
    return node.gpus > 0 or (label.isdecimal() and int(label) > 0)


def _judged(limits: Sequence[_Limit], asking: Asking, where: str, of_group: Mapping[str, str]) -> Answer:
    for limit in limits:
        if len(limit.out.lately) >= limit.most:
            return Hold(limit.reason, f"{_told(limit.out.lately, where)}, {limit.told}", of_group)
    half_open = [limit for limit in limits if len(limit.out.all) >= limit.most]
    for limit in half_open:
        if limit.out.busy:
            since = f"{len(limit.out.long)} of them for longer than {format_duration(asking.settings.breaker_window)}"
            one = f"the breaker is half open and lets one at a time through, now rescue {min(limit.out.busy)}"
            return Hold(HoldReason.HALF_OPEN, f"{_told(limit.out.all, where)}, {limit.told}, {since}: {one}", of_group)
    told = "; ".join(f"{_told(limit.out.all, where)}, {limit.told}" for limit in limits)
    alone = ": the breaker is half open and lets this one through" if half_open else ""
    return Passed((told or f"no node{where} is known to have GPUs (groups, max_percent)") + alone)


def _told(nodes: Collection[str], where: str) -> str:
    """Say how many nodes are out, and which, as far as they can be named."""
    if not nodes:
        return f"no other node{where} is out of service by our hand"
    shown = ", ".join(sorted(nodes)[:_MOST_NAMED])
    more = f" and {len(nodes) - _MOST_NAMED} more" if len(nodes) > _MOST_NAMED else ""
    are = f"1 node{where} is" if len(nodes) == 1 else f"{len(nodes)} nodes{where} are"
    return f"{are} out of service by our hand ({shown}{more})"
