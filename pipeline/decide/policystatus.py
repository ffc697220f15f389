"""The status of a policy: whether it is in force, and what is odd about it, as people read it by kubectl."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pipeline.decide.findings import Findings
from pipeline.decide.resources import Manifest, Reading, key_of

ACCEPTED = "Accepted"


class Reason(StrEnum):
    """Why a policy is in force or not."""

    VALID = "Valid"
    QUESTIONABLE = "Questionable"
    INVALID = "Invalid"


def policy_status(manifest: Manifest, reading: Reading, findings: Findings, now: datetime) -> dict[str, Any]:
    """Return the status of one policy; *now* is the time of a transition, if there is one since its present status.

    The form of the condition is that of Kubernetes (`metav1.Condition`).
    """
    key = key_of(manifest)
    reason, message = _judged(reading.refused.get(key), findings.count(key))
    accepted = "False" if reason is Reason.INVALID else "True"
    condition: dict[str, Any] = {
        "type": ACCEPTED,
        "status": accepted,
        "lastTransitionTime": _since(manifest.get("status"), accepted) or now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "reason": str(reason),
        "message": message,
    }
    status: dict[str, Any] = {"unknownLabels": list(findings.unknown_labels.get(key, ()))}
    if key[0] == "RescuePolicy":
        status["ties"] = list(findings.ties.get(key, ()))
        status["unreachableRules"] = list(findings.unreachable.get(key, ()))
    if (generation := reading.generations.get(key)) is not None:
        condition["observedGeneration"] = status["observedGeneration"] = generation
    return {**status, "conditions": [condition]}


def _judged(refused: str | None, odd: int) -> tuple[Reason, str]:
    if refused is not None:
        return Reason.INVALID, f"Left out, no rule of it acts: {refused}"
    if odd:
        return Reason.QUESTIONABLE, f"In force; see ties, unreachableRules and unknownLabels ({odd} in all)."
    return Reason.VALID, "In force."


def _since(status: Any, accepted: str) -> str | None:
    """Return since when it is accepted, or not, if its present status says the same."""
    conditions = status.get("conditions", ()) if isinstance(status, Mapping) else ()
    for condition in conditions:
        if condition.get("type") == ACCEPTED and condition.get("status") == accepted:
            since: str = condition["lastTransitionTime"]
            return since
    return None
