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
    "rescue-withdrawn": "Running",
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
    """One rescue: its node, fault, policy, the step it is at, its state and when that was last heard of.

    `dry_run` is whether it is rehearsed only, so that nobody takes what is told for what was done.
    """

    node: str
    fault: str
    policy: str
    step: str
    state: str
    time: datetime
    note: str = ""
    dry_run: bool = False


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
    faults: dict[str, str] = field(default_factory=dict)
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
            case "fault-detected" | "fault-joined" | "fault-repeated":
                # A fault that led to nothing at first is told once more when it joins a rescue: by the same name.
                name = own["incident"]["member"] if "incident" in own else record.id.split("/")[0]
                self.faults[name] = fault_name(own["fault"])
                self.repeats[name] = max(self.repeats.get(name, 1), own["fault"]["count"])
            case "fault-skipped":
                reason = body["event"]["reason"]
                self.skipped[reason] += 1
                self.skipped_nodes.setdefault(reason, set()).add(node)
            case "rescue-planned":
                self.decided[own["decision"]["policy"]] += 1
        if "rescue" in own and action in _STATES:
            self._move(own["rescue"]["name"], node, action, body, record.time)

    @property
    def seen(self) -> Counter[str]:
        """How many faults of each code were seen; a repeat is the same fault."""
        return Counter(self.faults.values())

    @property
    def states(self) -> Counter[str]:
        """How many rescues are in which state."""
        return Counter(row.state for row in self.rows.values())

    def _move(self, name: str, node: str, action: str, body: Mapping[str, Any], time: datetime) -> None:
        own = body["gpu_rescue"]
        row = self.rows.get(name) or Row(node, "", "", "", "Pending", time, dry_run=own["rescue"]["dry_run"])
        row = replace(row, fault=fault_name(own["fault"]))
        if "policy" in own.get("decision", {}):
            row = replace(row, policy=f"{own['decision']['policy']}[{own['decision']['rule']}]")
        if "step" in own:
            row = replace(row, step=own["step"]["action"])
        told = action in ("rescue-held", "rescue-withdrawn", "rescue-failed", "rescue-cancelled")
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
