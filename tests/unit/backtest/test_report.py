"""The JSON object of a backtest: its keys are a promise, and each says what it means."""

from typing import Any

from jsonschema import Draft202012Validator

from pipeline.backtest.report import Report
from pipeline.documents import json_schema
from tests.fakes.backtests import MINUTE, Bench, fault

KEYS = {
    "": {"log", "assumed", "proposed", "against", "difference"},
    "log": {"files", "bytes", "lines", "faults", "unknown_driver_lines", "problems", "begin", "end", "until"},
    "proposed": {
        *("policies", "totals", "actions", "rescues", "holds", "skips", "peak", "node_hours", "new_nodes"),
    },
    "proposed.totals": {
        *("rescues", "succeeded", "failed", "cancelled", "folded", "open", "nodes", "cordons", "drains", "reboots"),
        *("uncordons", "standbys", "offlines", "held", "skipped", "peak", "node_hours"),
    },
    "proposed.rescues.0": {
        *("name", "node", "fault", "lines", "policy", "plan", "planned", "ended", "status", "reason", "message"),
        *("steps", "phases", "out_from", "out_to"),
    },
    "proposed.rescues.0.steps.0": {"action", "begin", "end", "outcome", "standby"},
    "proposed.rescues.0.phases.0": {"state", "begin", "end", "reason"},
    "proposed.holds.0": {"reason", "rescues", "nodes", "seconds", "longest_seconds"},
    "proposed.skips.0": {"reason", "fault", "incidents", "lines", "nodes"},
    "proposed.peak": {"nodes", "begin", "end", "names"},
    "difference": {"totals", "only_proposed", "only_against", "other_actions", "other_outcome"},
    "difference.totals.0": {"what", "proposed", "against"},
    "difference.other_actions.0": {"name", "node", "fault", "proposed", "against"},
    "difference.only_proposed.0": {"name", "node", "fault", "plan", "status", "instead"},
}


def at(document: Any, path: str) -> Any:
    for key in filter(None, path.split(".")):
        document = document[int(key) if key.isdecimal() else key]
    return document


async def test_the_keys_are_those_that_are_promised(bench: Bench) -> None:
    bench.file("more.yaml", (bench.folder / "reboots.yaml").read_text().replace('["79"]', '["79", "13"]'))
    bench.log(fault("gpu-1"), fault("gpu-2"), fault("gpu-2", 40 * MINUTE, 13), fault("gpu-2", 41 * MINUTE, 43))
    report = await bench.run("more.yaml", "cordons.yaml", guards__max_nodes=1)
    told = report.model_dump(mode="json")
    assert {path: set(at(told, path)) for path in KEYS} == KEYS
    Draft202012Validator(json_schema(Report)).validate(told)


def test_every_key_says_what_it_means() -> None:
    schema = json_schema(Report)
    described = [schema, *schema["$defs"].values()]
    keys = [key for model in described for key in model.get("properties", {}).items()]
    assert len(keys) > 80
    assert [name for name, key in keys if "description" not in key] == []
