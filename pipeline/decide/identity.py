"""What makes two lines the same fault, and what an incident is called."""

import hashlib
import re
from datetime import UTC
from typing import NamedTuple

from pipeline.decide.errorcodes import severity
from pipeline.model.fault import Drill, DriverWord, NodeFault, Severity
from pipeline.model.plan import SkipReason

_LONGEST_NAME = 63
_DIGEST = 8


class Key(NamedTuple):
    """What makes two faults the same: the device, the code and all that a policy can tell apart, the gate's reason.

    The reason and the drill are in it so that a stale line or a drill never stands for a real one.
    """

    node: str
    kind: str
    code: int
    device: str | None
    subcode: str | None
    recovery: int | None
    word: DriverWord | None
    severity: Severity
    rescue: bool
    drill: Drill | None
    reason: SkipReason | None


def key_of(fault: NodeFault, reason: SkipReason | None) -> Key:
    """Return the key of a fault that the gate let through (reason None) or did not."""
    line = fault.fault
    return Key(
        fault.node,
        line.kind,
        line.code,
        device_of(fault),
        line.nvlink5.subcode if line.nvlink5 is not None else None,
        line.recovery_action.to_code if line.recovery_action is not None else None,
        line.word,
        severity(fault),
        fault.meaning.rescue,
        line.drill,
        reason,
    )


def device_of(fault: NodeFault) -> str | None:
    """Return the PCI address, else the device's name, else None."""
    return fault.fault.pci or fault.fault.device


def incident_name(fault: NodeFault) -> str:
    """Return the name of the incident that this fault opens: `NODE-xid-79-1a2b3c4d`, a DNS-1123 label.

    It depends on the line alone, so that the same line gives the same name whenever it is delivered; the hash is over
    node, code and device, the time of the line, or its position where it has no time, and what tells lines apart that
    one device prints within the same second (a drill and a real fault, two sub-codes, two verdicts).
    """
    line = fault.fault
    nvlink5, verdict = line.nvlink5, line.recovery_action
    facts = (
        fault.node,
        line.kind,
        line.code,
        device_of(fault),
        line.line.time.astimezone(UTC).isoformat() if line.line.time is not None else line.line.position,
        line.companion,
        line.severity_word,
        line.caused_by_xid,
        line.drill,
        (nvlink5.subcode, nvlink5.injected) if nvlink5 is not None else None,
        verdict.to_code if verdict is not None else None,
    )
    digest = hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:_DIGEST]
    tail = f"{_label(line.kind)[:20].strip('-')}-{line.code}-{digest}"
    head = _label(fault.node)[: _LONGEST_NAME - len(tail) - 1].strip("-")
    return f"{head or 'unnamed'}-{tail}"


def another_name(name: str) -> str:
    """Return what a rescue is called whose line was rehearsed before, under the name *name* of its incident."""
    return name[:-_DIGEST] + hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
