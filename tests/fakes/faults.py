"""Faults and rescues with sensible values for all that a test does not speak of."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.execute.progress import planned
from pipeline.model.fault import CodeMeaning, Fault, Lookup, NodeFault, Severity
from pipeline.model.line import LogLine
from pipeline.model.plan import Action, Cordon, Drain, Plan, Reboot, Uncordon
from pipeline.model.rescue import Rescue

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def line(text: str = "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", **given: Any) -> LogLine:
    """A line of kernel text."""
    return LogLine(
        **{"text": text, "position": "kernel.log:0", "time": NOON, "node": "gpu-1", "original": text, **given}
    )


def fault(code: int = 79, **given: Any) -> Fault:
    """A recognised Xid."""
    values: dict[str, Any] = {
        "kind": "xid",
        "pci": "0000:3b:00",
        "message": "GPU has fallen off the bus.",
        "rule": "xid",
    }
    return Fault(**{"code": code, "line": line(), **values, **given})


def node_fault(code: int = 79, node: str = "gpu-1", time: datetime = NOON, **given: Any) -> NodeFault:
    """A fault whose node was found."""
    values: dict[str, Any] = {
        "fault": fault(code, line=line(time=time, node=node)),
        "meaning": CodeMeaning("xid", code, "NAME", "meaning", "RESET_GPU", Severity.REBOOT, rescue=True),
        "lookup": Lookup.FOUND,
        "labels": {"app": "train"},
    }
    return NodeFault(node=node, time=time, **{**values, **given})


FULL: tuple[Action, ...] = (Cordon(), Drain(), Reboot(), Uncordon())


def plan(*actions: Action, policy: str = "test", rule: int = 0, priority: int = 10) -> Plan:
    """A plan; without actions the full one: cordon, drain, reboot, unCordon."""
    return Plan(actions or FULL, policy, rule, priority)


def rescue(name: str = "gpu-1-xid-79-abc", node: str = "gpu-1", now: datetime = NOON, **given: Any) -> Rescue:
    """A planned rescue, as intake makes it."""
    spec: Mapping[str, Any] = {"cause": node_fault(node=node, time=now), "plan": plan(), **given}
    return planned(name, spec["cause"], spec["plan"], now)
