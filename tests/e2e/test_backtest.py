"""`gpu-rescue backtest` as people use it: in a process of its own, its output in a pipe."""

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.fakes.backtests import CORDONS, MINUTE, NODES, REBOOTS, fault

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "pipeline.cli", "backtest"]
CONFIG = """
sources: [{type: file, path: kern.log, follow: true}]
cluster: {type: simulated, nodes: nodes.yaml, newcomers: false}
policies: [policies]
sinks: [{type: file, path: records.ndjson}]
"""


def environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GPU_RESCUE_")}
    return {**clean, "PYTHONPATH": str(ROOT), "COLUMNS": "180", "TERM": "xterm"}


def run(folder: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    """Run the command; nothing ever prints a traceback."""
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, timeout=60, check=False, env=environment()
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err, err
    assert done.returncode == code, out + err
    return out, err


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site's configuration, its log with a rotated one, its policies and others."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "mine.yaml").write_text(REBOOTS)
    (tmp_path / "cordons.yaml").write_text(CORDONS)
    (tmp_path / "nodes.yaml").write_text(NODES)
    (tmp_path / "pipeline.yaml").write_text(CONFIG)
    (tmp_path / "kern.log").write_text(fault("gpu-2", 30 * MINUTE))
    (tmp_path / "kern.log.1.gz").write_bytes(gzip.compress((fault("gpu-1") + fault("gpu-7", MINUTE)).encode()))
    return tmp_path


def test_the_configuration_s_own_logs_and_policies_are_tried_without_effect(site: Path) -> None:
    before = sorted(site.rglob("*"))
    out, err = run(site, "-c", "pipeline.yaml")
    told = json.loads(out)
    assert [rescue["node"] for rescue in told["proposed"]["rescues"]] == ["gpu-1", "gpu-7", "gpu-2"]
    assert told["proposed"]["totals"]["reboots"] == 3
    assert (told["against"], told["difference"]) == (None, None)
    assert sorted(site.rglob("*")) == before
    assert err == ""


def test_policies_are_compared_and_drawn(site: Path) -> None:
    options = ["--policies", "cordons.yaml", "--against", "policies", "--source", "kern.log*"]
    out, _ = run(site, "-c", "pipeline.yaml", *options, "--timeline", "picture.svg")
    told = json.loads(out)
    totals = {total["what"]: (total["proposed"], total["against"]) for total in told["difference"]["totals"]}
    assert totals["reboots"] == (0, 3)
    picture = ElementTree.parse(site / "picture.svg")
    words = "".join(picture.getroot().itertext())
    assert all(node in words for node in ("gpu-1", "gpu-2", "gpu-7"))


def test_bounds_are_kept(site: Path) -> None:
    out, _ = run(site, "-c", "pipeline.yaml", "--from", "2024-03-05T08:10", "--to", "2024-03-05T09:00:00+00:00")
    assert [rescue["node"] for rescue in json.loads(out)["proposed"]["rescues"]] == ["gpu-2"]


def test_without_a_configuration_a_log_of_ones_own_is_tried_on_an_empty_cluster(site: Path) -> None:
    out, _ = run(site, "--source", "kern.log.1.gz", "--policies", "policies/mine.yaml")
    told = json.loads(out)
    assert told["proposed"]["new_nodes"] == told["proposed"]["totals"]["reboots"] == 2


def test_a_terminal_gets_tables(site: Path) -> None:
    reader, writer = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "-c", "pipeline.yaml", "--against", "cordons.yaml"],
        cwd=site,
        env=environment(),
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    shown = bytearray()
    try:
        while block := os.read(reader, 65_536):
            shown += block
    except OSError:
        # Linux ends a terminal whose other side has gone with an error.
        pass
    finally:
        os.close(reader)
    assert process.wait(timeout=60) == 0
    told = shown.decode()
    assert "Traceback" not in told
    for words in ("gpu-7", "Rescues", "Difference", "node hours", "Assumed", "takes 2min to the kubelet"):
        assert words in told


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("no such file", ["--source", "absent.log"], "absent.log: does not exist; name a log file"),
        ("no file of a pattern", ["--source", "absent*"], "absent*: no file matches"),
        ("a log without lines", ["--source", "empty.log"], "empty.log: no line in it"),
        ("a damaged file", ["--source", "spoilt.gz"], "spoilt.gz: is damaged: "),
        ("an unknown time", ["--from", "soon"], "--from: 'soon' is no time; write it like 2026-11-20T08:00:00Z"),
        ("bounds the wrong way round", ["--from", "2024-03-06", "--to", "2024-03-05"], "--from: 2024-03-06 is later"),
        ("bounds beside the log", ["--to", "2023-01-01"], "--from, --to: no line of the log is of this time"),
        ("no such policies", ["--policies", "absent.yaml"], "absent.yaml: cannot be read: No such file"),
        ("a folder without policies", ["--against", "nothing"], "--against: nothing holds no policy"),
        ("bad policies", ["--policies", "bad.yaml"], "bad.yaml:"),
        ("a picture of another kind", ["--timeline", "a.png"], "--timeline: a.png is no picture that can be drawn"),
        ("a picture nowhere", ["--timeline", "nowhere/a.svg"], "--timeline: nowhere/a.svg cannot be written"),
    ],
)
def test_a_mistake_is_told_with_its_place(name: str, arguments: list[str], told: str, site: Path) -> None:
    (site / "empty.log").touch()
    (site / "nothing").mkdir()
    (site / "spoilt.gz").write_bytes(b"\x1f\x8b\x08\x00 and no more of it than this")
    (site / "bad.yaml").write_text(REBOOTS.replace("cordon", "condor", 1))
    out, err = run(site, "-c", "pipeline.yaml", *arguments, code=2)
    assert (out, err.startswith(told)) == ("", True), err
