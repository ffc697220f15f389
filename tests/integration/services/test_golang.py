"""Builds: they tell how far they are, end with whoever asked for them, and count only when they are whole."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services import golang
from tests.services.artifacts import Artifact, placed
from tests.services.errors import MissingError
from tests.services.golang import build
from tests.services.identities import Identity

LIMIT = 30
DOWNLOAD = "echo 'go: downloading k8s.io/api v0.37.2'"
INTERRUPTED = """
import sys
from pathlib import Path
from tests.services.artifacts import Artifact, placed
from tests.services.golang import build

def fetch(folder, scratch):
    words = f"echo half > {folder}/kube; echo $$ > {sys.argv[1]}/pid.new; mv {sys.argv[1]}/pid.new {sys.argv[1]}/pid"
    build("kube", ("sh", "-c", f"{words}; exec sleep 600"), scratch, {})

placed(Artifact("kube", "1", b"", "1 MB", fetch), Path(sys.argv[1]) / "cache")
"""


def test_a_build_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"helm could not be built(.|\n)*no such host"):
        build("helm", ("sh", "-c", f"{DOWNLOAD}; echo no such host >&2; exit 1"), tmp_path, {})


def test_a_build_tells_how_far_it_is_and_is_ended_at_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(golang, "LIMIT", 1.0)
    monkeypatch.setattr(golang, "TOLD_EVERY", 0.1)
    with pytest.raises(MissingError, match="was not built within 1 s"):
        build("helm", ("sh", "-c", f"{DOWNLOAD}; echo k8s.io/api; echo $$ > pid; exec sleep 600"), tmp_path, {})
    assert "building helm: 1 modules fetched, 1 packages compiled" in capsys.readouterr().err
    with pytest.raises(ProcessLookupError):
        Identity.of(int((tmp_path / "pid").read_text()))


def test_an_interrupted_build_ends_and_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path)]) as starter:
        building = builder(tmp_path / "pid")
        starter.kill()
    until = time.monotonic() + LIMIT
    while building.alive() and time.monotonic() < until:
        time.sleep(0.02)
    assert not building.alive()

    def whole(folder: Path, scratch: Path) -> None:
        build("kube", ("sh", "-c", f"echo whole > {folder}/kube"), scratch, {})

    left = [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert [name.startswith(".kube-1-") for name in left] == [True]
    place = placed(Artifact("kube", "1", b"", "1 MB", whole), tmp_path / "cache")
    assert (place / "kube").read_text() == "whole\n"
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == [place]


def builder(path: Path) -> Identity:
    until = time.monotonic() + LIMIT
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return Identity.of(int(path.read_text()))
