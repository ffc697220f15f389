"""The schema of records: what it takes, what it refuses, and that its closed lists are those of the pipeline."""

from collections.abc import Iterator
from copy import deepcopy
from enum import StrEnum
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.decide.blast import BlastRadius
from pipeline.model.fault import Drill, Lookup, Severity
from pipeline.model.guard import Guard, Verdict
from pipeline.model.plan import ActionName, SkipReason
from pipeline.model.rescue import CancelReason, EventAction, FailReason, HoldReason, Status
from sinks.schema import record_schema

SCHEMA = record_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

SKIPPED: dict[str, Any] = {
    "@timestamp": "2026-01-31T04:05:06.123456Z",
    "ecs": {"version": "8.17"},
    "event": {
        "id": "xid-62-gpu-01/1",
        "kind": "event",
        "category": ["host"],
        "type": ["denied"],
        "action": "fault-skipped",
        "outcome": "unknown",
        "reason": "stale",
        "sequence": 1,
        "dataset": "gpu_rescue.records",
        "module": "gpu_rescue",
    },
    "message": "xid 62 on gpu-01 is 3h old",
    "host": {"name": "gpu-01"},
    "orchestrator": {"type": "kubernetes", "cluster": {"name": "a"}, "resource": {"type": "node", "name": "gpu-01"}},
    "log": {"original": "NVRM: Xid (0000:03:00): 62, Channel 00000001"},
    "gpu_rescue": {
        "schema_version": 1,
        "fault": {
            "kind": "xid",
            "code": 154,
            "severity": "reboot",
            "catalogued": True,
            "pci": "0018:01:00",
            "message": "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)",
            "inferred": False,
            "recovery_action": {"frm": "None", "to": "Node Reboot Required", "to_code": 2},
            "nvlink5": {
                "subcode": "RLW_REMAP",
                "fatal": True,
                "cross_containment": False,
                "injected": False,
                "link": -1,
            },
            "rule": "xid",
            "count": 1,
            "first_seen": "2026-01-31T04:05:06Z",
            "last_seen": "2026-01-31T12:05:06+08:00",
        },
        "node": {"name": "gpu-01", "lookup": "found", "enriched": True, "labels": {"example.com/gpu.model": "H100"}},
        "decision": {
            "outcome": "skip",
            "reason": "stale",
            "considered": [{"policy": "a", "rule": 0, "priority": -1, "matched": False, "why": "another code"}],
            "guards": [{"guard": "age", "verdict": "skips", "told": "it is 3h old, more than 10min (max_age)"}],
        },
    },
}

STEP: dict[str, Any] = deepcopy(SKIPPED)
STEP["event"] |= {"action": "step-ended", "outcome": "success", "type": ["end", "change"], "duration": 1_500_000_000}
STEP["event"] |= {"start": "2026-01-31T04:05:05Z", "end": "2026-01-31T04:05:06.5Z"}
del STEP["event"]["reason"], STEP["gpu_rescue"]["decision"]
STEP["gpu_rescue"] |= {
    "rescue": {
        "name": "r-1",
        "status": "Running",
        "created": "2026-01-31T04:05:06Z",
        "folded": ["r-2"],
        "dry_run": False,
    },
    "step": {"action": "drain", "status": "Succeeded", "attempts": 0, "details": {"evicted": "7"}},
}

PLANNED: dict[str, Any] = deepcopy(SKIPPED)
PLANNED["event"] |= {"action": "rescue-planned", "type": ["start"]}
del PLANNED["event"]["reason"]
PLANNED["gpu_rescue"]["rescue"] = {"name": "r-1"}
PLANNED["gpu_rescue"]["decision"] = {"outcome": "plan", "policy": "a", "rule": 0, "priority": 10, "actions": ["cordon"]}


HELD: dict[str, Any] = deepcopy(STEP)
HELD["event"] |= {"action": "rescue-held", "type": ["info"], "outcome": "unknown", "reason": "max-nodes"}
del HELD["gpu_rescue"]["step"]
GUARD = {"guard": "breaker", "verdict": "holds", "told": "5 nodes are out of service"}
HELD["gpu_rescue"]["decision"] = {"outcome": "hold", "reason": "max-nodes", "guards": [GUARD]}

STARTED: dict[str, Any] = deepcopy(STEP)
STARTED["event"] |= {"action": "step-started", "type": ["start"], "outcome": "unknown"}
STARTED["gpu_rescue"]["decision"] = {"outcome": "go", "guards": [GUARD | {"verdict": "passed"}]}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the value at a dotted path replaced or, where it is None, removed."""
    copy = deepcopy(document)
    *parents, last = path.split("/")
    place = copy
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copy


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    "document",
    [SKIPPED, STEP, PLANNED, HELD, STARTED],
    ids=["a skipped fault", "a step", "a planned rescue", "a held rescue", "a started step"],
)
def test_a_record_is_taken_of(document: dict[str, Any]) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


REFUSED = {
    "an unknown field": changed(SKIPPED, "colour", "red"),
    "an unknown field of ours": changed(SKIPPED, "gpu_rescue/colour", "red"),
    "an unknown field of a fault": changed(SKIPPED, "gpu_rescue/fault/xid", 62),
    "an unknown field of an event": changed(SKIPPED, "event/severity", 1),
    "no time": changed(SKIPPED, "@timestamp", None),
    "a time without a zone": changed(SKIPPED, "@timestamp", "2026-01-31T04:05:06"),
    "no id": changed(SKIPPED, "event/id", None),
    "an empty id": changed(SKIPPED, "event/id", ""),
    "an action that nobody knows": changed(SKIPPED, "event/action", "node-exploded"),
    "a kind that ECS does not have": changed(SKIPPED, "event/kind", "fault"),
    "a type that ECS does not have": changed(SKIPPED, "event/type", ["warning"]),
    "a type that is no list": changed(SKIPPED, "event/type", "info"),
    "an outcome that ECS does not have": changed(SKIPPED, "event/outcome", "skipped"),
    "a reason that is a sentence": changed(SKIPPED, "event/reason", "it is too old"),
    "a version of ECS before 8.11": changed(SKIPPED, "ecs/version", "8.9"),
    "a fault without a code": changed(SKIPPED, "gpu_rescue/fault/code", None),
    "a code that is text": changed(SKIPPED, "gpu_rescue/fault/code", "62"),
    "an address as the driver prints it": changed(SKIPPED, "gpu_rescue/fault/pci", "PCI:0000:3B:00"),
    "a label that is no text": changed(SKIPPED, "gpu_rescue/node/labels", {"a": 1}),
    "a skip without a reason": changed(SKIPPED, "event/reason", None),
    "a skip without a decision": changed(SKIPPED, "gpu_rescue/decision", None),
    "a fault that is not told": changed(SKIPPED, "gpu_rescue/fault", None),
    "a step that is not told": changed(STEP, "gpu_rescue/step", None),
    "a step of no rescue": changed(STEP, "gpu_rescue/rescue", None),
    "a step of no node": changed(STEP, "host", None),
    "a failed step without a reason": changed(STEP, "event/action", "step-failed"),
    "a negative duration": changed(STEP, "event/duration", -1),
    "details that are no text": changed(STEP, "gpu_rescue/step/details", {"evicted": 7}),
    "a plan without actions": changed(PLANNED, "gpu_rescue/decision/actions", None),
    "a hold without what holds": changed(HELD, "gpu_rescue/decision/reason", None),
    "a start without its guards": changed(STARTED, "gpu_rescue/decision/guards", None),
    "an outcome that nobody knows": changed(HELD, "gpu_rescue/decision/outcome", "wait"),
    "a plan without a decision": changed(PLANNED, "gpu_rescue/decision", None),
}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED.keys())
def test_a_record_is_refused_with(document: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(document)


def values(*kinds: type[StrEnum]) -> list[str]:
    return list(dict.fromkeys(str(member) for kind in kinds for member in kind))


LISTS: dict[str, tuple[list[str], list[str]]] = {
    "what happened": (SCHEMA["$defs"]["event"]["properties"]["action"]["enum"], values(EventAction)),
    "why": (SCHEMA["$defs"]["reason"]["enum"], values(SkipReason, HoldReason, CancelReason, FailReason)),
    "how bad": (SCHEMA["$defs"]["severity"]["enum"], values(Severity)),
    "where a rescue stands": (SCHEMA["$defs"]["status"]["enum"], values(Status)),
    "what a step does": (SCHEMA["$defs"]["action_name"]["enum"], values(ActionName)),
    "what was asked": (SCHEMA["$defs"]["guard_state"]["properties"]["guard"]["enum"], values(Guard)),
    "what was answered": (SCHEMA["$defs"]["guard_state"]["properties"]["verdict"]["enum"], values(Verdict)),
    "how a drill is meant": (SCHEMA["$defs"]["fault"]["properties"]["drill"]["enum"], values(Drill)),
    "how far a fault reaches": (
        SCHEMA["$defs"]["fault"]["properties"]["blast_radius"]["enum"],
        values(BlastRadius),
    ),
    "how a node was looked for": (SCHEMA["$defs"]["node"]["properties"]["lookup"]["enum"], values(Lookup)),
}


@pytest.mark.parametrize(("listed", "known"), LISTS.values(), ids=LISTS.keys())
def test_the_schema_lists_what_the_pipeline_knows_of(listed: list[str], known: list[str]) -> None:
    assert listed == known


def objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for child in node.values():
            yield from objects(child)


def test_every_object_says_what_it_may_hold() -> None:
    found = list(objects(SCHEMA))
    assert len(found) > 15
    assert all("additionalProperties" in item for item in found)
