"""What a run looks like so far, told by its records alone: the rescues as rows, and the tallies of the end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sinks.base import Record

_STATES = {
    "rescue-planned": "Pending",
    "rescue-held": "Held",
    "rescue-succeeded": "Succeeded",
    "rescue-failed": "Failed",
    "rescue-cancelled": "Cancelled",
    "step-started": "Running",
    "step-intended": "Running",
    "step-ended": "Running",
    "step-failed": "Failed",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One rescue: its node, fault, policy, the step it is at, its state and when that was last heard of."""

    node: str
    fault: str
    policy: str
    step: str
    state: str
    time: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """What no record tells: lines read, damaged messages by problem, driver lines that no pattern knew."""

    lines_read: int
    problems: Mapping[str, int]
    unknown_driver_lines: int


@dataclass(slots=True)
class Board:
    """Takes records in the order they are made."""

    rows: dict[str, Row] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    repeats: dict[str, int] = field(default_factory=dict)
    decided: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    skipped_nodes: dict[str, set[str]] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """Note one record."""
        body = record.document
        action, own = body["event"]["action"], body["gpu_rescue"]
        node = body.get("host", {}).get("name", "-")
        match action:
            case "fault-detected":
                self.seen[fault_name(own["fault"])] += 1
            case "fault-repeated":
                key = record.id.split("/")[0]
                self.repeats[key] = max(self.repeats.get(key, 0), own["fault"]["count"])
            case "fault-skipped":
                reason = body["event"]["reason"]
                self.skipped[reason] += 1
                self.skipped_nodes.setdefault(reason, set()).add(node)
            case "rescue-planned":
                self.decided[own["decision"]["policy"]] += 1
        if "rescue" in own and action in _STATES:
            self._move(own["rescue"]["name"], node, action, body, record.time)

    @property
    def states(self) -> Counter[str]:
        """How many rescues are in which state."""
        return Counter(row.state for row in self.rows.values())

    def _move(self, name: str, node: str, action: str, body: Mapping[str, Any], time: datetime) -> None:
        own = body["gpu_rescue"]
        row = self.rows.get(name) or Row(node, fault_name(own["fault"]), "", "", "Pending", time)
        if "decision" in own:
            row = replace(row, policy=f"{own['decision']['policy']}[{own['decision']['rule']}]")
        if "step" in own:
            row = replace(row, step=own["step"]["action"])
        told = action in ("rescue-held", "rescue-failed", "rescue-cancelled")
        note = body["event"].get("reason", "") if told else ""
        self.rows[name] = replace(row, state=_STATES[action], time=time, note=note)


def fault_name(fault: Mapping[str, Any]) -> str:
    """`xid 79`, or with the NVLink5 sub-code or the recovery action it carries."""
    base = f"{fault['kind']} {fault['code']}"
    if "nvlink5" in fault:
        return f"{base} {fault['nvlink5']['subcode']}"
    if "recovery_action" in fault:
        return f"{base} to {fault['recovery_action']['to_code']}"
    return base
