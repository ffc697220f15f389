"""The breaker: whether one more node may leave service by our hand, of the cluster and of each of its groups."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.decide.asking import Answer, Asking, Hold, Passed
from pipeline.decide.guards import GroupLimit
from pipeline.decide.out_of_service import OutOfService
from pipeline.durations import format_duration
from pipeline.model.rescue import HoldReason

CEILING = 2
"""So many times a limit are never out of service by our hand, however long ago each of them left it."""

_CLUSTER_WIDE = frozenset({HoldReason.MAX_NODES, HoldReason.MAX_PERCENT, HoldReason.HALF_OPEN})
_GROUP = "group"
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
    fleet, out, most = asking.census.fleet, _out(asking), asking.settings.max_nodes
    limits = [_Limit(most, HoldReason.MAX_NODES, f"at most {most} may be (max_nodes)", out)]
    if asking.rescue.node not in fleet.newcomers:
        known, percent = out.but(fleet.newcomers), asking.settings.max_percent
        limits += _percent(percent, fleet.gpu_nodes, HoldReason.MAX_PERCENT, "max_percent", known)
    return _judged(limits, asking, "", {})


def group_breaker(asking: Asking) -> Answer:
    """Whether one more node of each of its groups may leave service."""
    node = asking.node
    if asking.rescue.begun:
        return Passed(_COUNTED)
    fleet, out, told = asking.census.fleet, _out(asking), []
    for group in asking.settings.groups:
        value = None if node is None else node.labels.get(group.label)
        if value is not None:
            members = fleet.group(group.label, value)
            limits = _of_group(group, members.gpu_nodes, out.among(members.names))
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
    return asking.census.out.but({asking.rescue.node})


def _of_group(group: GroupLimit, gpu_nodes: int, out: OutOfService) -> list[_Limit]:
    limits, reason = [], HoldReason.MAX_PER_GROUP
    if group.max_nodes is not None:
        told = f"at most {group.max_nodes} may be (groups, max_nodes)"
        limits.append(_Limit(group.max_nodes, reason, told, out))
    if group.max_percent is not None:
        limits += _percent(group.max_percent, gpu_nodes, reason, "groups, max_percent", out)
    return limits


def _percent(percent: int, gpu_nodes: int, reason: HoldReason, setting: str, out: OutOfService) -> list[_Limit]:
    """The limit, or none where no node has GPUs."""
    most = max(1, gpu_nodes * percent // 100)
    told = f"at most {most} may be, {percent}% of {gpu_nodes} with GPUs ({setting})"
    return [_Limit(most, reason, told, out)] if gpu_nodes else []


def _judged(limits: Sequence[_Limit], asking: Asking, where: str, of_group: Mapping[str, str]) -> Answer:
    for limit in limits:
        if len(limit.out.lately) >= limit.most:
            return Hold(limit.reason, f"{_told(limit.out.lately, where)}, {limit.told}", of_group)
        if len(limit.out.all) >= limit.most * CEILING:
            why = f"{CEILING} times as many keep the breaker open until a person has brought nodes back"
            return Hold(limit.reason, f"{_told(limit.out.all, where)}, {limit.told}: {why}", of_group)
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
