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


COMPOSED = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = {name: service for name, service in COMPOSED.items() if "build" in service}


def test_the_composed_set_mounts_what_there_is_and_waits_for_what_it_has() -> None:
    mounted = [volume.split(":")[0] for service in COMPOSED.values() for volume in service.get("volumes", [])]
    assert [path for path in mounted if path.startswith("./") and not (ROOT / path).exists()] == []
    awaited = {name for service in COMPOSED.values() for name in service.get("depends_on", {})}
    assert awaited <= COMPOSED.keys()
    asked = {
        name
        for service in COMPOSED.values()
        for name, wanted in service.get("depends_on", {}).items()
        if wanted["condition"] == "service_healthy"
    }
    assert [name for name in asked if "healthcheck" not in COMPOSED[name]] == []


@pytest.mark.parametrize("name", OURS)
def test_the_composed_configuration_holds(name: str, tmp_path: Path) -> None:
    service = OURS[name]
    config = service["command"][service["command"].index("-c") + 1].replace("/etc/gpu-rescue", str(ROOT / "config"))
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "check", "-c", config],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", **service["environment"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_composed_services_talk_to_each_other() -> None:
    """What the environment sets is what the services are called, not this machine."""
    for service in OURS.values():
        said = " ".join(service["environment"].values())
        assert {name for name in COMPOSED if f"{name}:" in said} == {"kafka", "elasticsearch"}
