"""The simulated cluster's file: what it gives, and what it is refused for, with the line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster, load_cluster
from pipeline.cluster.memory.file import SimulatedClusterFile
from pipeline.documents import json_schema, parse_documents, validate
from pipeline.errors import BadInputError, TemporaryError
from pipeline.model.node import Taint

WHOLE = """\
timings: {boot: 2min}
nodes:
- name: gpu-a
  labels: {app: demo}
  annotations: {example.com/rack: r 1}
  addresses: [10.0.2.193]
  gpus: 4
  taints: [{key: gpu, effect: NoSchedule}]
  unschedulable: true
  after_reboot: {gpus: 3}
- name: gpu-b
  after_reboot: {returns: false}
pods:
- {name: web-1, node: gpu-a, labels: {app: web}, grace_period: 5s, uses_gpu: true, hangs: true}
budgets:
- {name: web, selector: {app: web}, min_available: 100%}
"""


def _load(tmp_path: Path, text: str) -> tuple[ManualClock, SimulatedCluster]:
    path = tmp_path / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    return clock, load_cluster(path, clock, SimulatedCluster)


async def test_a_file_gives_nodes_pods_budgets_and_what_is_wrong_with_machines(tmp_path: Path) -> None:
    clock, cluster = _load(tmp_path, WHOLE)
    node, other = cluster.nodes().values()
    assert (node.labels, node.addresses) == ({"kubernetes.io/hostname": "gpu-a", "app": "demo"}, ("10.0.2.193",))
    assert (node.gpus, node.gpus_allocatable, node.unschedulable) == (4, 4, True)
    assert node.taints == (Taint("gpu", "", "NoSchedule"),)
    assert (other.gpus, other.ready) == (8, True)
    (pod,) = await cluster.pods_on("gpu-a")
    assert (pod.full_name, pod.owner, pod.grace_period) == ("default/web-1", "ReplicaSet", timedelta(seconds=5))
    assert (pod.uses_gpu, cluster.troubles.never_end) == (True, {"default/web-1"})
    with pytest.raises(TemporaryError):
        await cluster.evict(pod)
    for name in ("gpu-a", "gpu-b"):
        cluster.reboot(name, "one")
    clock.move_to(clock.now() + timedelta(minutes=5))
    assert [(node.ready, node.gpus_allocatable) for node in cluster.nodes().values()] == [(True, 3), (False, 8)]


@pytest.mark.parametrize(
    ("count", "names"),
    [(1, ["idle-01"]), (2, ["idle-01", "idle-02"]), (100, ["idle-001", "idle-100"])],
)
def test_nodes_by_count_are_all_alike(tmp_path: Path, count: int, names: list[str]) -> None:
    text = (
        f"nodes:\n- {{name: idle, count: {count}, labels: {{rack: r9}}, after_reboot: {{gpus: 7, returns: false}}}}\n"
    )
    _, cluster = _load(tmp_path, text)
    nodes = cluster.nodes()
    assert (len(nodes), [next(iter(nodes)), list(nodes)[-1]]) == (count, [names[0], names[-1]])
    for name in names:
        assert nodes[name].labels == {"kubernetes.io/hostname": name, "rack": "r9"}
        assert (name in cluster.troubles.never_returns, cluster.troubles.gpus_after_reboot[name]) == (True, 7)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        pytest.param("nodes:\n- name: a\n  gpu: 8\n", 3, "did you mean 'gpus'", id="a key with a slip"),
        pytest.param("nodes:\n- name: GPU_A\n", 2, "no name of a node", id="a name that no node can have"),
        pytest.param("nodes:\n- name: a\n- name: a\n", 3, "nodes has 'a' twice", id="two nodes of one name"),
        pytest.param("nodes:\n- {name: a, count: 2}\n- name: a-02\n", 3, "nodes has 'a-02' twice", id="one by count"),
        pytest.param("nodes:\n- name: a\n  count: 0\n", 3, "greater than or equal to 1", id="no node by count"),
        pytest.param("nodes:\n- {name: a, count: 2, addresses: [b]}\n", 2, "leave them out", id="one address for two"),
        pytest.param("nodes:\n- {name: a, count: 2, boot_id: b}\n", 2, "leave them out", id="one boot id for two"),
        pytest.param(
            "nodes:\n- {name: a, count: 2, labels: {kubernetes.io/hostname: b}}\n", 2, "leave", id="one host for two"
        ),
        pytest.param("nodes:\n- {name: " + "a" * 61 + ", count: 2}\n", 2, "not a label value", id="a name too long"),
        pytest.param("nodes:\n- name: a\n  labels: {x: a b}\n", 2, "not a label value", id="an invalid label"),
        pytest.param("nodes:\n- name: a\n  gpus: -1\n", 3, "greater than or equal to 0", id="fewer GPUs than none"),
        pytest.param("pods:\n- name: p\n  node: b\n", 3, "there is no node 'b'", id="a pod on no node"),
        pytest.param("budgets:\n- {name: b}\n", 2, "exactly one of", id="a budget without a number"),
        pytest.param("budgets:\n- name: b\n  min_available: half\n", 3, "write it like 2 or 50%", id="half"),
        pytest.param("timings:\n  boot: 5\n", 2, "with its unit", id="a duration without its unit"),
        pytest.param("", 1, "holds 0 YAML documents", id="nothing at all"),
        pytest.param("nodes: []\n---\nnodes: []\n", 1, "holds 2 YAML documents", id="more than one cluster"),
    ],
)
def test_refused(tmp_path: Path, text: str, place: int, says: str) -> None:
    with pytest.raises(BadInputError) as refused:
        _load(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'cluster.yaml'}:{place}: ")
    assert says in str(refused.value)


@settings(deadline=None, max_examples=300)
@given(
    cuts=st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 5), st.text(max_size=3)), min_size=1, max_size=4)
)
def test_a_broken_file_gives_a_cluster_or_complaints_that_name_it(cuts: list[tuple[int, int, str]]) -> None:
    text = WHOLE
    for start, length, instead in cuts:
        text = text[:start] + instead + text[start + length :]
    try:
        spec = [validate(SimulatedClusterFile, document) for document in parse_documents(text, "cluster.yaml")]
    except BadInputError as refused:
        assert all(complaint.place.startswith("cluster.yaml:") for complaint in refused.complaints)
    else:
        assert all(made.name for cluster in spec for node in cluster.nodes for made in node.nodes())


def test_every_setting_says_what_it_is() -> None:
    schema = json_schema(SimulatedClusterFile)
    described = [value for section in (schema, *schema["$defs"].values()) for value in section["properties"].values()]
    assert all("description" in value for value in described)
