"""A release of the chart on a control plane of its own, whose audit log tells what its service account asks for."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.kube.charting import Chart, Object, configuration
from tests.services.fixtures import running
from tests.services.kube.definitions import await_served
from tests.services.kube.parts import Part
from tests.services.kube.plane import ControlPlane

RELEASE, OURS, AGENTS = "gpu-rescue", "kce-rescue-system", "agents"
ACCOUNT = f"system:serviceaccount:{RELEASE}:gr-gpu-rescue"

AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}],
}


@dataclass(frozen=True, slots=True)
class Installed:
    """A control plane with the chart's release, and the file by which its service account comes in."""

    plane: ControlPlane
    kubeconfig: Path
    configuration: Path
    log: Path

    def command(self, name: str, folder: Path, *words: str) -> list[str]:
        """Return the command with the release's configuration, for this machine."""
        sets = {"sinks.0.path": folder / "records.ndjson", "api.listen": "127.0.0.1:0"}
        given = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        return [sys.executable, "-m", "pipeline.cli", name, "-c", str(self.configuration), *given, *words]

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which a process is the service account."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def asked(self) -> list[Object]:
        """Return what the service account has asked of the API server about objects."""
        told = map(json.loads, self.log.read_text().splitlines())
        return [each for each in told if "resource" in each.get("objectRef", {})]


@contextmanager
def installed(helm: Path, folder: Path, values: Object) -> Iterator[Installed]:
    """Install the chart as its users do; *folder* is for what is written beside it."""
    policy, log, written = folder / "audit.yaml", folder / "audit.log", folder / "pipeline.yaml"
    policy.write_text(json.dumps(AUDIT))
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={log}")
    with running("kube", lambda at: ControlPlane(at, parts=(Part.CONTROLLERS, Part.KWOK), flags=flags)) as plane:
        plane.kubectl("create", "namespace", AGENTS)
        place = ("-n", RELEASE, "--create-namespace", "--kubeconfig", str(plane.kubeconfig))
        done = Chart(helm, folder)("install", values, *place)
        assert done.returncode == 0, done.stderr
        await_served(plane)
        found = json.loads(plane.kubectl("get", "configmap", "-n", RELEASE, "-o", "json", "gr-gpu-rescue"))
        written.write_text(configuration([found]))
        token = plane.kubectl("create", "token", "gr-gpu-rescue", "-n", RELEASE).strip()
        yield Installed(plane, plane.kubeconfig_for(token), written, log)
