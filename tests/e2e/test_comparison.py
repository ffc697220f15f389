"""docs/comparison.md tells of ours what the command does: every incident is run, with the examples and without."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
LABELS = {"app": "train", "env": "prod", "gpu": "h100"}
# Hours lie between two incidents, so that none is on the other's account: no breaker, no fabric, no window.
FIRST, APART = datetime(2026, 1, 1, 12, 0, tzinfo=UTC), timedelta(hours=4)

Incident = Mapping[str, Any]
INCIDENTS: Sequence[Incident] = yaml.safe_load((DATA / "comparison.yaml").read_text())
KEYS = [incident["key"] for incident in INCIDENTS]


def _log() -> str:
    """A log of all incidents, each on the node of its own name, in syslog's form and marked as the kernel's."""
    lines = []
    for number, incident in enumerate(INCIDENTS):
        for line in incident["lines"]:
            time = FIRST + number * APART + timedelta(seconds=line.get("at", 0))
            lines.append(
                f"<3>1 {time.isoformat(timespec='microseconds')} {_node(incident['key'])} kernel - - - {line['text']}\n"
            )
    return "".join(lines)


def _node(key: str) -> str:
    return f"gpu-{key}"


def _run(folder: Path, policies: str) -> list[Any]:
    """Run the log on training nodes and return the records of what it led to."""
    nodes = [{"name": _node(key), "labels": LABELS} for key in KEYS]
    (folder / "cluster.yaml").write_text(yaml.safe_dump({"nodes": nodes}))
    (folder / "kern.log").write_text(_log())
    settings = [f"cluster.nodes={folder / 'cluster.yaml'}", f"policies={policies}"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "run", "--source", "kern.log", *(f"--set={one}" for one in settings)],
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("GPU_RESCUE_")},
            "PYTHONPATH": str(ROOT),
        },
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in (folder / "rescue-records.ndjson").read_text().splitlines()]


def _told(records: Sequence[Any]) -> dict[str, str]:
    """What became of each incident, in the words of the tables: the planned actions, else the reasons of the skips."""
    plans: dict[str, set[str]] = {_node(key): set() for key in KEYS}
    skips: dict[str, set[str]] = {_node(key): set() for key in KEYS}
    for record in records:
        node, event = record["host"]["name"], record["event"]
        if event["action"] == "rescue-planned":
            actions = record["gpu_rescue"]["decision"]["actions"]
            plans[node].add(f"`{' '.join(action.split()[0] for action in actions)}`")
        elif event["action"] == "fault-skipped":
            skips[node].add(f"skip `{event['reason']}`")
    return {key: " or ".join(sorted(plans[_node(key)] or skips[_node(key)])) for key in KEYS}


@pytest.fixture(scope="module")
def by_examples(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the shipped example policies lead to."""
    return _run(tmp_path_factory.mktemp("examples"), f"[{ROOT / 'config' / 'examples' / 'policies'}]")


@pytest.fixture(scope="module")
def by_none(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the built-in policy leads to, where nobody wrote one."""
    return _run(tmp_path_factory.mktemp("none"), "[]")


def _documented() -> list[tuple[str, str, str]]:
    """The rows of the page's tables of incidents: key, our column with the examples, our column without policies."""
    rows = []
    for line in (ROOT / "docs" / "comparison.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        key = re.match(r"\*\*([\w-]+)\*\*", cells[0])
        if line.startswith("|") and key:
            assert len(cells) == 7, line
            rows.append((key[1], cells[4], cells[5]))
    return rows


DOCUMENTED = _documented()


def test_the_tables_hold_every_incident_once() -> None:
    assert [key for key, _, _ in DOCUMENTED] == KEYS


@pytest.mark.parametrize(("key", "told"), [pytest.param(key, told, id=key) for key, told, _ in DOCUMENTED])
def test_with_the_example_policies_it_ends_as_documented(key: str, told: str, by_examples: list[Any]) -> None:
    assert _told(by_examples)[key] == told


@pytest.mark.parametrize(("key", "told"), [pytest.param(key, told, id=key) for key, _, told in DOCUMENTED])
def test_without_policies_it_ends_as_documented(key: str, told: str, by_none: list[Any]) -> None:
    assert _told(by_none)[key] == told


def test_whatever_comes_together_reboots_a_node_once(by_examples: list[Any]) -> None:
    intents = [one for one in by_examples if one["event"]["action"] == "step-intended"]
    intended = [one["host"]["name"] for one in intents if one["gpu_rescue"]["step"]["action"] == "reboot"]
    planned = {_node(key) for key, told in _told(by_examples).items() if "reboot" in told}
    assert sorted(intended) == sorted(planned)


def test_at_least_twenty_incidents_are_real_lines_of_the_corpus() -> None:
    corpus = [json.loads(line) for line in (DATA / "xid_lines.jsonl").read_text().splitlines()]
    # The three lines of a fall off the bus are one entry of the corpus.
    real = "\n".join(entry["line"] for entry in corpus if entry["provenance"] == "real")
    claimed = [incident for incident in INCIDENTS if incident["origin"] == "corpus"]
    assert [line["text"] for one in claimed for line in one["lines"] if line["text"] not in real] == []
    assert len(claimed) >= 20


@pytest.mark.parametrize(
    "incident", [one for one in INCIDENTS if one["origin"] != "corpus"], ids=lambda one: one["key"]
)
def test_a_line_that_is_not_of_the_corpus_says_where_it_is_from(incident: Incident) -> None:
    assert incident["origin"] in ("published", "made")
    assert incident["source"]
