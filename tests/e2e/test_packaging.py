"""What is handed out: the wheel runs where no checkout is, and the image's recipe names what there is."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as pip would lay it out."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=120)
    (wheel,) = folder.glob("gpu_rescue-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_pipeline_the_sinks_and_the_configuration_only(installed: Path) -> None:
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"pipeline", "sinks"}
    assert (installed / "pipeline" / "config" / "pipeline.yaml").read_text() == (
        ROOT / "config/pipeline.yaml"
    ).read_text()


def test_the_wheel_runs_where_no_checkout_is(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pipeline.cli", "run"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PATH": ""},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "rescue-records.ndjson").read_text().splitlines()]
    assert "rescue-succeeded" in {record["event"]["action"] for record in records}


def test_the_image_copies_what_there_is_and_is_not_root() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [path for line in re.findall(r"^COPY (?!--from)(.+) \S+$", recipe, re.MULTILINE) for path in line.split()]
    assert copied
    assert [path for path in copied if not (ROOT / path).exists() or path not in let_in] == []
    (user,) = re.findall(r"^USER (\d+):(\d+)$", recipe, re.MULTILINE)
    assert "0" not in user


def test_the_composed_command_runs(tmp_path: Path) -> None:
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["gpu-rescue"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *service["command"]],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rescue-records.ndjson").exists()
