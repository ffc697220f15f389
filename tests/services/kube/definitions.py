"""The kinds of our own, as the Helm chart brings them."""

from pathlib import Path

from tests.services.kube.plane import ControlPlane

CRDS = Path(__file__).parents[3] / "config" / "chart" / "crds"


def install(plane: ControlPlane) -> None:
    """Define every kind, if it is not yet; return when the API server serves them."""
    plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    await_served(plane)


def await_served(plane: ControlPlane) -> None:
    """Return when the API server serves every kind, which somebody has defined."""
    plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    # One more round of the API server's discovery, which is a moment behind.
    for path in CRDS.glob("*.yaml"):
        plane.kubectl("get", path.stem, "--all-namespaces")
