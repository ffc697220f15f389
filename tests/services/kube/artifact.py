"""The programs of Kubernetes and helm, built by Go (Apache License 2.0)."""

from functools import cache
from pathlib import Path

from tests.services.artifacts import Artifact, placed
from tests.services.golang import build, find_go

HERE = Path(__file__).parent
STAGES = HERE / "stages.yaml"
SOURCES = ("main.go", "go.mod", "go.sum", "build.sh")
VERSION = "1.37.2"
HELM = "helm.sh/helm/v3/cmd/helm"
HELM_VERSION = "3.22.0"


@cache
def kube_program() -> Path:
    """Return the program that is each server of a control plane, and kubectl, by its first argument.

    Raises MissingError.
    """

    def fetch(folder: Path, scratch: Path) -> None:
        build(f"Kubernetes {VERSION}", ("sh", str(HERE / "build.sh"), VERSION, str(folder / "kube")), scratch, {})

    recipe = b"\n".join((find_go().encode(), *((HERE / name).read_bytes() for name in SOURCES)))
    size = "192 MB of modules, one program of 153 MB; 6 to 9 minutes on 2 cores"
    return placed(Artifact("kubernetes", VERSION, recipe, size, fetch)) / "kube"


@cache
def helm_program() -> Path:
    """Return helm's program. Raises MissingError."""

    def fetch(folder: Path, scratch: Path) -> None:
        arguments = ("go", "install", "-v", "-trimpath", f"{HELM}@v{HELM_VERSION}")
        build(f"helm {HELM_VERSION}", arguments, scratch, {"GOBIN": str(folder)})

    recipe = b"\n".join((find_go().encode(), HELM.encode()))
    return placed(Artifact("helm", HELM_VERSION, recipe, "one program of 87 MB; up to 5 minutes", fetch)) / "helm"
