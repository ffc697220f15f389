"""The object that `gpu-rescue match` prints for a fault."""

from dataclasses import asdict
from typing import Any

from pipeline.model.fault import Fault

_WHERE_SET = ("device", "gpu_instance", "compute_instance", "caused_by_xid", "severity_word", "link")


def report(fault: Fault, line_no: int) -> dict[str, Any]:
    """Return what was read off input line *line_no* (from 1), ready for JSON.

    `kind`, `code`, `pci`, `pid`, `name` and `message` are always there, and an SXid always says `companion`,
    `severity_word` and `link`; everything else only where it applies. `time` is ISO 8601 in UTC, `drill` dry or real.
    """
    found: dict[str, Any] = {
        "line_no": line_no,
        "kind": fault.kind,
        "code": fault.code,
        "pci": fault.pci,
        "pid": fault.pid,
        "name": fault.name,
        "message": fault.message,
    }
    if fault.line.node is not None:
        found["node"] = fault.line.node
    if fault.line.time is not None:
        found["time"] = fault.line.time.isoformat().replace("+00:00", "Z")
    if fault.kind == "sxid":
        found |= {"companion": fault.companion, "severity_word": fault.severity_word, "link": fault.link}
    found |= {name: value for name in _WHERE_SET if (value := getattr(fault, name)) is not None}
    if fault.inferred:
        found["inferred"] = True
    if fault.recovery_action:
        found["recovery_action"] = asdict(fault.recovery_action)
    if fault.nvlink5:
        found["nvlink5"] = asdict(fault.nvlink5)
    if fault.drill:
        found["drill"] = str(fault.drill)
    return found
