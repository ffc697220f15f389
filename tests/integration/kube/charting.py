"""The Helm chart, by helm: rendered, checked and installed."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.services.kube.artifact import VERSION

CHART = Path(__file__).parents[3] / "config" / "chart"
LIMIT = 60

Object = dict[str, Any]
Right = tuple[str, str, str, str]
"""Group, resource, verb and namespace; no namespace: in all of them."""


@dataclass(frozen=True, slots=True)
class Chart:
    """helm, called for the chart; values and whatever helm keeps are in *folder*."""

    helm: Path
    folder: Path

    def __call__(self, command: str, values: Object, *words: str) -> "subprocess.CompletedProcess[str]":
        """Call helm with the chart and values, and return how that went."""
        file = self.folder / "values.json"
        file.write_text(json.dumps(values))
        release = () if command == "lint" else ("gr",)
        # Without a cluster, the version of one.
        version = ("--kube-version", VERSION) if command in {"lint", "template"} else ()
        return subprocess.run(
            [self.helm, command, *release, CHART, "-f", file, *version, *words],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
            env={"HOME": str(self.folder)},
        )

    def objects(self, values: Object, *words: str) -> list[Object]:
        """Return what the chart renders."""
        done = self("template", values, *words)
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.safe_load_all(done.stdout) if each]


def one(objects: list[Object], kind: str) -> Object:
    """Return the only object of a kind."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def configuration(objects: list[Object]) -> str:
    """Return the pipeline's configuration."""
    (found,) = (each["data"]["pipeline.yaml"] for each in objects if "pipeline.yaml" in each.get("data", {}))
    text: str = found
    return text


def rights(objects: list[Object]) -> Iterator[Right]:
    """Yield every right of the roles; a ClusterRole's hold in all namespaces."""
    for role in (each for each in objects if each["kind"] in {"Role", "ClusterRole"}):
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        yield group, resource, verb, role["metadata"].get("namespace", "")
