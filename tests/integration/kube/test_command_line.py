"""What a person who types a command for a Kubernetes cluster is told, above all when something lacks."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cluster.kube.api import KubeApi
from tests.integration.kube.command import command, configuration, on_a_terminal, running
from tests.services.kube.definitions import install
from tests.services.kube.nodes import create_node
from tests.services.kube.plane import ControlPlane

LINE = "NVRM: Xid (PCI:0000:03:00): 62, Channel 00000001"
NOT_INSTALLED = "not installed: rescuepolicies.rescue.ksyun.com"


@pytest.fixture
def policy(rescue_kinds: ControlPlane, name: str) -> Iterator[str]:
    """A policy of the node of that name."""
    called = f"policy-{uuid.uuid4().hex[:8]}"
    manifest = {
        "apiVersion": "rescue.ksyun.com/v1",
        "kind": "RescuePolicy",
        "metadata": {"name": called},
        "spec": {
            "rules": [
                {
                    "priority": 90,
                    "errorCode": ["62"],
                    "nodeSelector": {"operator": "all", "labels": {"test": name}},
                    "actions": [{"name": "cordon"}, {"name": "drain", "attribute": {"waittime": "20min"}}],
                }
            ]
        },
    }
    rescue_kinds.kubectl("apply", "-f", "-", input=json.dumps(manifest))
    yield called
    rescue_kinds.kubectl("delete", "rescuepolicy", called)


def _broken(folder: Path) -> Path:
    path = folder / "broken.kubeconfig"
    path.write_text("clusters: []\nusers: [\n")
    return path


async def test_check_online_tells_of_every_part(rescue_kinds: ControlPlane, namespace: str, tmp_path: Path) -> None:
    config = configuration(tmp_path, rescue_kinds.kubeconfig, namespace)
    ended = await command(tmp_path, "check", "--online", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    told = dict(line.split(": ", 1) for line in ended.out.splitlines())
    assert told["policies"] == "resources of the cluster; see `kubectl get rescuepolicies`"
    assert told["sources.0 (stdin)"] == "ok, standard input"
    assert told["cluster (kubernetes)"].startswith("ok, Kubernetes v1.37.2, ")
    assert told["store (kubernetes)"] == f"ok, rescues in namespace {namespace}"
    assert told["sinks.0 (file)"] == "ok, records.ndjson"


@pytest.mark.parametrize(
    ("user", "place", "told"),
    [
        pytest.param(
            "restricted", "ours", "cluster (kubernetes): Kubernetes v1.37.2: we may not: list nodes, ", id="right"
        ),
        pytest.param("restricted", "ours", "store (kubernetes): GET ", id="right to see rescues"),
        pytest.param("admin", "nowhere", "Kubernetes v1.37.2: there is no namespace nowhere", id="namespace"),
    ],
)
async def test_check_online_names_the_missing(
    rescue_kinds: ControlPlane, tmp_path: Path, user: str, place: str, told: str
) -> None:
    kubeconfig = rescue_kinds.kubeconfig_for(rescue_kinds.users[user].token)
    ended = await command(tmp_path, "check", "--online", "-c", str(configuration(tmp_path, kubeconfig, place)))
    assert ended.code == 1
    assert told in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("words", [("check", "--online"), ("run",), ("explain", "--node", "a", LINE)], ids=" ".join)
@pytest.mark.parametrize("broken", [True, False], ids=["broken", "not there"])
async def test_a_kubeconfig_that_cannot_be_used_is_bad_input(
    tmp_path: Path, words: tuple[str, ...], broken: bool
) -> None:
    kubeconfig = _broken(tmp_path) if broken else tmp_path / "none"
    ended = await command(tmp_path, *words, "-c", str(configuration(tmp_path, kubeconfig, "ours")))
    assert ended.code == (1 if words[0] == "check" else 2)
    assert (f"{kubeconfig}:3: " if broken else f"{kubeconfig}: there is no such file; name a kubeconfig") in ended.err
    assert "Traceback" not in ended.err


async def test_a_policy_resource_decides_what_is_explained(
    rescue_kinds: ControlPlane, kube_api: KubeApi, namespace: str, name: str, policy: str, tmp_path: Path
) -> None:
    await create_node(kube_api, name, labels={"test": name})
    config = configuration(tmp_path, rescue_kinds.kubeconfig, namespace)
    ended = await command(tmp_path, "explain", "-c", str(config), "--node", name, LINE)
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert (told["node"]["name"], told["decision"]["policy"]) == (name, policy)
    assert [action.split()[0] for action in told["decision"]["actions"]] == ["cordon", "drain"]
    shown = await on_a_terminal(tmp_path, "explain", "-c", str(config), "--node", name, LINE)
    assert f"decision   rule 0 of policy {policy}" in shown
    assert "if no other rescue is open: nodes and policies are those of this moment, rescues are not looked at" in shown


async def test_a_backtest_is_of_the_nodes_and_policies_of_the_moment(
    rescue_kinds: ControlPlane, kube_api: KubeApi, namespace: str, name: str, policy: str, tmp_path: Path
) -> None:
    await create_node(kube_api, name, labels={"test": name})
    log = tmp_path / "kern.log"
    log.write_text(f"2026-11-20T08:00:00+00:00 {name} kernel: {LINE}\n")
    config = configuration(tmp_path, rescue_kinds.kubeconfig, namespace)
    ended = await command(tmp_path, "backtest", "-c", str(config), "--source", str(log))
    assert (ended.code, ended.err) == (0, "")
    report = json.loads(ended.out)
    (rescue,) = report["proposed"]["rescues"]
    assert (rescue["node"], rescue["policy"]) == (name, f"{policy}[0]")


async def test_without_the_kinds_it_waits_and_says_so_and_goes_on_once_they_are_installed(
    own_kube: ControlPlane, own_api: KubeApi, tmp_path: Path
) -> None:
    await own_api.create("/api/v1/namespaces", {"metadata": {"name": "ours"}})
    config = configuration(tmp_path, own_kube.kubeconfig, "ours")
    ended = await command(tmp_path, "check", "--online", "-c", str(config))
    assert ended.code == 1
    assert NOT_INSTALLED in ended.err
    assert "store (kubernetes): GET /apis/rescue.ksyun.com/v1/namespaces/ours/rescues: 404 page not found" in ended.err
    async with running(tmp_path, config) as run:
        await run.comes_to(
            "cluster: GET /apis/rescue.ksyun.com/v1/rescuepolicies: 404 page not found",
            "store: GET /apis/rescue.ksyun.com/v1/namespaces/ours/rescues: 404 page not found",
        )
        assert any(NOT_INSTALLED in each.get("error", "") for each in run.logged)
        await asyncio.to_thread(install, own_kube)
        await run.comes_to("ok\n")
        await _leads(await run.told("/metrics"))
        await asyncio.to_thread(own_kube.kill_api_server)
        await run.comes_to("cluster: GET /api/v1/nodes: ClientConnectorError", "lease: ")
        await asyncio.to_thread(own_kube.start)
        await run.comes_to("ok\n")


async def _leads(metrics: str) -> None:
    told = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert told["gpu_rescue_leading"] == "1.0"
    assert told['gpu_rescue_open_rescues{status="Running"}'] == "0.0"
    assert float(told['gpu_rescue_watch_seen_timestamp_seconds{resource="nodes"}']) > 1e9
    assert float(told['gpu_rescue_watch_failures_total{outcome="refused",resource="rescues"}']) >= 1
    assert float(told['gpu_rescue_kube_calls_total{code="404",verb="GET"}']) >= 1


async def test_an_api_server_that_is_away_at_the_start_is_waited_for(
    own_kube: ControlPlane, own_api: KubeApi, tmp_path: Path
) -> None:
    await asyncio.to_thread(install, own_kube)
    await own_api.create("/api/v1/namespaces", {"metadata": {"name": "ours"}})
    await asyncio.to_thread(own_kube.kill_api_server)
    config = configuration(tmp_path, own_kube.kubeconfig, "ours")
    for words in (("check", "--online"), ("explain", "--node", "a", LINE)):
        ended = await command(tmp_path, *words, "-c", str(config))
        assert ended.code == 1
        assert "ClientConnectorError: Cannot connect to host 127.0.0.1" in ended.err
        assert "Traceback" not in ended.err
    async with running(tmp_path, config) as run:
        await run.comes_to("cluster: GET /api/v1/nodes: ClientConnectorError", "store: GET ")
        assert any(each["event"] == "cluster.away" for each in run.logged)
        await asyncio.to_thread(own_kube.start)
        await run.comes_to("ok\n")


async def test_without_a_right_or_the_namespace_it_waits_and_says_which(
    rescue_kinds: ControlPlane, tmp_path: Path
) -> None:
    restricted = rescue_kinds.kubeconfig_for(rescue_kinds.users["restricted"].token)
    async with running(tmp_path, configuration(tmp_path, restricted, "nowhere")) as run:
        await run.comes_to("cluster: GET /api/v1/nodes: 403 nodes is forbidden: ", "store: GET ", "/rescues: 403 ")
        assert any("we may not: list nodes" in each.get("error", "") for each in run.logged)
    async with running(tmp_path, configuration(tmp_path, rescue_kinds.kubeconfig, "nowhere")) as run:
        await run.comes_to("lease: POST ", ': 404 namespaces "nowhere" not found')
        assert any("there is no namespace nowhere" in each.get("error", "") for each in run.logged)
