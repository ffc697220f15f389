"""`gpu-rescue run` on one machine, killed with kill -9 at random moments: nothing is lost, nothing is done twice.

Nor is anything done beside another process, or without a store.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

_COMMAND = [sys.executable, "-m", "pipeline.cli"]
_CONFIG = ["-c", "pipeline.yaml"]
_ROOT = Path(__file__).parents[2]
_NODES = [f"gpu-{number}" for number in range(6)]
_KILLS = 6
_POLICY = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: reboot}
spec:
  rules:
  - priority: 10
    errorCode: ["79"]
    actions: [{name: cordon}, {name: drain}, {name: reboot, attribute: {unCordon: "true"}}]
"""
_CLUSTER = {
    "timings": {"unnoticed": "1s", "boot": "2s", "ready": "1s", "gpus": "1s"},
    "nodes": [{"name": name} for name in _NODES],
    "pods": [{"name": "train-0", "node": name, "namespace": name, "grace_period": "1s"} for name in _NODES],
}
_SETTINGS: dict[str, Any] = {
    "sources": [{"type": "file", "path": "kern.log", "follow": True, "poll": "0.1s", "positions": "kern.position"}],
    "cluster": {"type": "simulated", "nodes": "cluster.yaml", "state": "cluster.ndjson"},
    "policies": ["policy.yaml"],
    "store": {"type": "sqlite", "path": "rescues.db"},
    "guards": {"max_nodes": 6, "max_percent": 100, "fabric": {"labels": []}},
    "execute": {"settle": "0s", "hold_poll": "1s", "retry_first": "1s"},
    "sinks": [{"type": "file", "path": "records.ndjson"}],
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, content in {"pipeline.yaml": _SETTINGS, "cluster.yaml": _CLUSTER}.items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "policy.yaml").write_text(_POLICY)
    (tmp_path / "kern.log").touch()
    return tmp_path


def _environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GPU_RESCUE_")}
    return {**clean, "PYTHONPATH": str(_ROOT)}


def _started(site: Path) -> "subprocess.Popen[bytes]":
    command = [*_COMMAND, "run", *_CONFIG]
    with (site / "errors").open("ab") as errors:
        return subprocess.Popen(command, cwd=site, env=_environment(), stdout=subprocess.DEVNULL, stderr=errors)


def _said(site: Path, *arguments: str) -> tuple[int, str, str]:
    """The exit code of another command, and what it has said."""
    done = subprocess.run(
        [*_COMMAND, *arguments], cwd=site, env=_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def _until_ended(site: Path, nodes: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 90
    while len(_ended(site)) < nodes and time.monotonic() < deadline:
        assert process.poll() is None, (site / "errors").read_text()
        time.sleep(0.2)


def _fault(site: Path, node: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    with (site / "kern.log").open("a") as log:
        log.write(f"<3>1 {stamp}Z {node} kernel - - - NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n")


def _lines(path: Path) -> list[Any]:
    """The objects of a file; what is being written at its end is none yet."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def _ended(site: Path) -> list[str]:
    """The nodes of the rescues that have ended, as far as the records tell."""
    endings = ("rescue-succeeded", "rescue-failed", "rescue-cancelled")
    return [one["host"]["name"] for one in _lines(site / "records.ndjson") if one["event"]["action"] in endings]


@pytest.mark.parametrize("seed", [1])
def test_a_run_that_is_killed_again_and_again_rescues_each_node_once(site: Path, seed: int) -> None:
    rng = random.Random(seed)
    for node in _NODES[:_KILLS]:
        process = _started(site)
        try:
            _fault(site, node)
            time.sleep(rng.uniform(1.5, 4))
            assert process.poll() is None, (site / "errors").read_text()
        finally:
            process.kill()
            process.wait(20)
    process = _started(site)
    try:
        _until_ended(site, len(_NODES), process)
    finally:
        process.terminate()
        assert process.wait(20) == 0
    records = _lines(site / "records.ndjson")
    told = Counter((one["host"]["name"], one["event"]["action"]) for one in records)
    assert {node: told[node, "rescue-succeeded"] for node in _NODES} == dict.fromkeys(_NODES, 1)
    assert {node: told[node, "rescue-planned"] for node in _NODES} == dict.fromkeys(_NODES, 1)
    assert len({one["event"]["id"] for one in records}) == len(records)
    effects = _lines(site / "cluster.ndjson")
    reboots = Counter(effect["node"] for effect in effects if effect["what"] == "rebooted")
    assert reboots == dict.fromkeys(_NODES, 1)
    cordons = [(one["node"], one["patch"]["unschedulable"]) for one in effects if one["what"] == "edited"]
    assert Counter(cordons) == {(node, cordoned): 1 for node in _NODES for cordoned in (True, False)}
    assert "Traceback" not in (site / "errors").read_text()


def test_a_second_run_is_refused_and_a_store_that_is_removed_ends_the_first(site: Path) -> None:
    (site / "cluster.ndjson").write_text("{}\n")
    assert _said(site, "check", *_CONFIG)[0] == 2
    (site / "cluster.ndjson").unlink()
    assert "store (sqlite): ok, rescues.db does not exist yet" in _said(site, "check", *_CONFIG, "--online")[1]
    process = _started(site)
    try:
        _fault(site, "gpu-0")
        _until_ended(site, 1, process)
        code, _, told = _said(site, "run", *_CONFIG)
        assert (code, told.strip().splitlines()[-1]) == (
            2,
            "rescues.db: is in use by another process; stop that one, or give each pipeline a store of its own",
        )
        assert "store (sqlite): ok, in use by a process that runs" in _said(site, "check", *_CONFIG, "--online")[1]
        (site / "rescues.db").unlink()
        _fault(site, "gpu-1")
        assert process.wait(30) == 2
    finally:
        process.kill()
        process.wait(20)
    told = (site / "errors").read_text()
    assert "rescues.db: was removed or replaced while it was in use; start again, with the right file in its" in told
    assert "Traceback" not in told
