"""Drills from the command line to the records, in processes of their own, as people hold them."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.waiting import until

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "pipeline.cli"]
NODES = ROOT / "config" / "examples" / "cluster.yaml"
POLICY = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: out}
spec:
  rules: [{priority: 10, errorCode: ["79"], actions: [{name: offline}]}]
"""
CONFIG = f"""
sources: [{{type: file, path: kern.log, follow: true, poll: 1s}}]
cluster: {{type: simulated, nodes: {NODES}}}
policies: [policy.yaml]
execute: {{settle: 0s}}
sinks: [{{type: file, path: records.ndjson}}]
"""


def _environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GPU_RESCUE_")}
    return {**clean, "PYTHONPATH": str(ROOT)}


def _run(*arguments: str, cwd: Path, stdin: bytes = b"", code: int = 0) -> tuple[str, str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
        env=_environment(),
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err, err
    assert done.returncode == code, out + err
    return out, err


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a configuration, a policy that takes nodes out for good, and a log that a pipeline follows."""
    (tmp_path / "pipeline.yaml").write_text(CONFIG)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "kern.log").write_text("2026-11-20T12:00:00+00:00 gpu-h100-01 kernel: usb 1-1: a line without an end")
    return tmp_path


def _inject(site: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    return _run(
        "inject", "-c", "pipeline.yaml", "--node", "gpu-h100-02", "--xid", "79", *arguments, cwd=site, code=code
    )


def _of_rescues(path: Path) -> list[Any]:
    # The last line may be half written: a process may be at it.
    lines = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
    return [body for body in map(json.loads, lines) if "rescue" in body["gpu_rescue"]]


def _until_ended(site: Path, rescues: int) -> list[Any]:
    def ended() -> bool:
        told = [body["event"]["action"] for body in _of_rescues(site / "records.ndjson")]
        return told.count("rescue-succeeded") == rescues

    until(ended, site, 30)
    return _of_rescues(site / "records.ndjson")


def test_drills_of_both_kinds_run_their_course_in_a_pipeline_that_runs(site: Path) -> None:
    with subprocess.Popen([*COMMAND, "run", "-c", "pipeline.yaml"], cwd=site, env=_environment()) as running:
        try:
            for drills in (1, 2):
                # Again, though the node was taken out for good in the first one.
                out, _ = _inject(site)
                dry = _until_ended(site, drills)
            assert "nothing happens to the node" in out
            _inject(site, "--really", "--yes", "--envelope", "json")
            found = _until_ended(site, 3)
        finally:
            running.send_signal(signal.SIGTERM)
    assert running.returncode == 0
    assert {body["gpu_rescue"]["rescue"]["dry_run"] for body in dry} == {True}
    assert {body["gpu_rescue"]["fault"]["drill"] for body in dry} == {"dry"}
    real = [body["gpu_rescue"] for body in found[len(dry) :]]
    assert {(own["rescue"]["dry_run"], own["fault"]["drill"]) for own in real} == {(False, "real")}


def test_a_drill_is_piped_into_a_run(tmp_path: Path) -> None:
    line, told = _run("inject", "--node", "my-node", "--xid", "79", "--count", "3", "--to", "-", cwd=tmp_path)
    assert line.splitlines()[0].endswith(
        "my-node kernel: gpu-rescue-drill: NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus"
    )
    assert told.startswith("wrote 3 lines to standard output: ")
    out, _ = _run("run", "--source", "-", cwd=tmp_path, stdin=line.encode())
    bodies = _of_rescues(tmp_path / "rescue-records.ndjson")
    assert {body["gpu_rescue"]["rescue"]["dry_run"] for body in bodies} == {True}
    assert bodies[0]["message"].startswith("drill: xid 79 on my-node")
    assert "rescue-succeeded   my-node: cordon done in 0:00:02 (dry run)" in out


def test_the_line_gets_a_line_of_its_own(site: Path) -> None:
    out, _ = _inject(site, "--message", "GPU is gone", "--pci", "PCI:0000:3C:00.0", "--count", "2")
    *_, first, second = (site / "kern.log").read_text().splitlines()
    assert first == second
    assert first.endswith("gpu-h100-02 kernel: gpu-rescue-drill: NVRM: Xid (PCI:0000:3c:00): 79, GPU is gone")
    assert out.startswith(f"wrote 2 lines to kern.log: {first}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--to", "nowhere.log"], "nowhere.log: nowhere.log is not there", id="a file that is not there"),
        pytest.param(
            ["--set", "sources.0.follow=false"], "sources: no source can be written to (file)", id="no source"
        ),
        pytest.param(["--pci", "3b"], "'3b' is no PCI address; write it like 0000:3b:00", id="no PCI address"),
        pytest.param(["--message", "one\ntwo"], "would not read this drill off it", id="a message of two lines"),
        pytest.param(["--count", "0"], "--count", id="no line at all"),
        pytest.param(["--really"], "add --yes if it is meant", id="for real, with nobody to ask"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_written(arguments: list[str], told: str, site: Path) -> None:
    before = (site / "kern.log").read_bytes()
    _, err = _inject(site, *arguments, code=2)
    assert told in err
    assert (site / "kern.log").read_bytes() == before
    assert not (site / "nowhere.log").exists()


def test_the_shipped_sample_log_is_never_written_to(tmp_path: Path) -> None:
    sample = ROOT / "config" / "examples" / "kernel.log"
    before = sample.read_bytes()
    _, err = _run("inject", "--node", "gpu-1", "--xid", "79", cwd=tmp_path, code=2)
    assert "--to -" in err
    assert sample.read_bytes() == before


@pytest.mark.parametrize(("answer", "code", "lines"), [("y", 0, 2), ("n", 1, 1), ("", 1, 1)])
def test_on_a_terminal_it_asks_before_it_is_done_for_real(answer: str, code: int, lines: int, site: Path) -> None:
    ours, its = pty.openpty()
    command = [*COMMAND, "inject", "-c", "pipeline.yaml", "--node", "gpu-h100-02", "--xid", "79", "--really"]
    with subprocess.Popen(command, cwd=site, env=_environment(), stdin=its, stderr=subprocess.PIPE) as asking:
        os.write(ours, f"{answer}\n".encode())
        _, err = asking.communicate(timeout=60)
    os.close(ours)
    os.close(its)
    assert b"FOR REAL" in err
    assert asking.returncode == code
    assert len((site / "kern.log").read_text().splitlines()) == lines


def test_under_the_global_dry_run_it_says_that_it_is_rehearsed_all_the_same(site: Path) -> None:
    out, _ = _inject(site, "--really", "--yes", "--set", "dry_run=true")
    assert "is rehearsed all the same" in out


def test_match_shows_how_a_drill_is_read(tmp_path: Path) -> None:
    line, _ = _run("inject", "--node", "gpu-1", "--xid", "999", "--envelope", "json", "--to", "-", cwd=tmp_path)
    (found,) = map(json.loads, _run("match", cwd=tmp_path, stdin=line.encode())[0].splitlines())
    assert (found["code"], found["node"], found["drill"]) == (999, "gpu-1", "dry")
    assert found["message"] == "Drill of a code that no catalogue knows"
