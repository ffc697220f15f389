"""The table of policies that the API server and our own models judge: tests/data/policies.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parents[1] / "data" / "policies.yaml"


@dataclass(frozen=True, slots=True)
class JudgedPolicy:
    """One row; `server` and `models` are parts of what each refuses it with, None if it accepts it."""

    name: str
    kind: str
    spec: Mapping[str, Any]
    server: str | None
    models: str | None
    differs: str | None

    def manifest(self, name: str) -> dict[str, Any]:
        return {
            "apiVersion": "rescue.ksyun.com/v1",
            "kind": self.kind,
            "metadata": {"name": name},
            "spec": dict(self.spec),
        }


def judged_policies() -> list[JudgedPolicy]:
    return [_row(row) for row in yaml.safe_load(HERE.read_text())]


def params() -> list[Any]:
    return [pytest.param(row, id=row.name) for row in judged_policies()]


def _row(row: dict[str, Any]) -> JudgedPolicy:
    kind = "WarmStandbyPolicy" if "matches" in row else "RescuePolicy"
    spec = row.get("spec", {key: row[key] for key in ("rules", "matches") if key in row})
    return JudgedPolicy(row["name"], kind, spec, row.get("server"), row.get("models"), row.get("differs"))
