"""What the API server takes for a policy and what it refuses, each with its sentence."""

import random
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.kube.api import KubeApi
from pipeline.decide.resources import read_resources
from pipeline.documents import read_documents
from pipeline.errors import PermanentError
from tests.fakes.policies import JudgedPolicy, params
from tests.services.kube.plane import ControlPlane, KubectlError

CONFIG = Path(__file__).parents[3] / "config"
PLURALS = {"RescuePolicy": "rescuepolicies", "WarmStandbyPolicy": "warmstandbypolicies"}
EXAMPLES = [
    pytest.param(document.data, id=f"{path.stem}: {document.data['kind']}")
    for path in sorted((CONFIG / "examples" / "policies").glob("*.yaml"))
    for document in read_documents(path)
]

CONTRACT = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: test-1}
spec:
  rules:
  - priority: 10
    errorCode: ["62"]
    nodeSelector: {operator: "any", labels: {app: demo, env: test}}     # any | all
    actions:
    - name: cordon
    - name: drain
      attribute: {waittime: "20min"}
    - name: reboot
      attribute: {waittime: "20min", unCordon: "true"}
---
apiVersion: rescue.ksyun.com/v1
kind: WarmStandbyPolicy
metadata: {name: cluster-warm-standby}
spec:
  matches:
  - originNode: {env: dev, app: demo}
    targetNode: {env: dev, app: demo}
"""


@pytest.fixture(scope="module", autouse=True)
def _kinds(kube: ControlPlane) -> None:
    for plural in PLURALS.values():
        kube.kubectl("apply", "-f", str(CONFIG / "chart" / "crds" / f"{plural}.yaml"))
        kube.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{plural}.rescue.ksyun.com")


async def _refusal(api: KubeApi, manifest: dict[str, Any]) -> str | None:
    """What the API server says against it; strict, as kubectl asks it to be. Nothing is created."""
    path = f"/apis/rescue.ksyun.com/v1/{PLURALS[manifest['kind']]}"
    try:
        await api.create(path, manifest, {"dryRun": "All", "fieldValidation": "Strict"})
    except PermanentError as error:
        return str(error)
    return None


@pytest.mark.parametrize("row", params())
async def test_the_api_server_judges_as_the_table_says(row: JudgedPolicy, kube_api: KubeApi) -> None:
    refusal = await _refusal(kube_api, row.manifest("judged"))
    assert (refusal is None) == (row.server is None), refusal
    assert row.server is None or row.server in str(refusal)


@pytest.mark.parametrize("manifest", EXAMPLES)
async def test_a_policy_of_the_examples_is_taken(manifest: dict[str, Any], kube_api: KubeApi) -> None:
    assert await _refusal(kube_api, manifest) is None


def test_kubectl_applies_the_policies_of_the_design_and_shows_them(kube: ControlPlane) -> None:
    kube.kubectl("apply", "-f", "-", input=CONTRACT)
    try:
        assert "test-1" in kube.kubectl("get", "rp")
        assert "cluster-warm-standby" in kube.kubectl("get", "wsp")
        assert "waittime" in kube.kubectl("explain", "rescuepolicy.spec.rules.actions.attribute")
    finally:
        kube.kubectl("delete", "-f", "-", input=CONTRACT)


def test_kubectl_refuses_an_unknown_key_unless_it_is_told_not_to(kube: ControlPlane) -> None:
    misspelt = CONTRACT.replace("nodeSelector", "nodeSelectors")
    with pytest.raises(KubectlError, match=r'unknown field "spec\.rules\[0\]\.nodeSelectors"'):
        kube.kubectl("apply", "--dry-run=server", "-f", "-", input=misspelt)
    assert "created" in kube.kubectl("apply", "--dry-run=server", "--validate=ignore", "-f", "-", input=misspelt)


async def test_a_misspelt_attribute_is_refused_even_without_strict_validation(kube_api: KubeApi) -> None:
    rules = [{"actions": [{"name": "drain", "attribute": {"waittme": "5min"}}]}]
    manifest = {**JudgedPolicy("", "RescuePolicy", {"rules": rules}, None, None, None).manifest("judged")}
    path = "/apis/rescue.ksyun.com/v1/rescuepolicies"
    with pytest.raises(PermanentError, match="unknown attribute; those of drain are waittime"):
        await kube_api.create(path, manifest, {"dryRun": "All", "fieldValidation": "Ignore"})


def _durations() -> list[str]:
    """Durations as people may write them, and as they may not."""
    by_chance = random.Random(7)
    units = ["w", "wks", "weeks", "d", "day", "days", "h", "hr", "hours", "m", "min", "minutes", "s", "sec", "H", "Min"]
    units += ["", "ms", "months", "x"]
    joints = ["", " ", ", ", ",", "/", "-", ":"]
    numbers = [
        "1",
        "20",
        "0",
        "1.5",
        ".5",
        "1.",
        "1.2.3",
        "-5",
        "744",
        "30",
        "31",
        "2592000",
        "2592001",
        "720",
        "43201",
    ]
    return [
        "".join(
            by_chance.choice(numbers)
            + by_chance.choice(["", "", " "])
            + by_chance.choice(units)
            + by_chance.choice(joints)
            for _ in range(by_chance.choice([1, 1, 2, 3]))
        )
        for _ in range(400)
    ]


async def test_the_api_server_and_the_models_read_durations_alike(kube_api: KubeApi) -> None:
    differing, seen = [], set()
    for duration in _durations():
        rules = [{"actions": [{"name": "drain", "attribute": {"waittime": duration}}]}]
        manifest = JudgedPolicy("", "RescuePolicy", {"rules": rules}, None, None, None).manifest("judged")
        ours = not read_resources([manifest])[1].refused
        seen.add(ours)
        if ours != (await _refusal(kube_api, manifest) is None):
            differing.append(duration)
    assert not differing
    assert seen == {True, False}
