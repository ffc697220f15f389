"""Whose node a host name of the logs is: each spelling, the order of strength, and when two candidates are none."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster
from pipeline.cluster.port import HOSTNAME
from pipeline.enrich.names import NodeNames
from pipeline.enrich.rewrite import RewriteRule
from pipeline.model.fault import Lookup
from pipeline.model.node import Node, NodePatch

RULES = (
    RewriteRule(match=r"bmc-(\d+)", node=r"gpu-\1"),
    RewriteRule(match=r"(?P<rack>r\d+)n(?P<slot>\d+)", node=r"\g<rack>-node\g<slot>.example.com"),
    RewriteRule(match=r"v(\d+)", node=r"10-0-2-\1"),
    RewriteRule(match=r"gone", node="nowhere"),
)


def _node(name: str, *addresses: str, host: str = "") -> Node:
    return Node(name, "", labels={HOSTNAME: host} if host else {}, addresses=addresses)


def _names(nodes: Iterable[Node], rules: tuple[RewriteRule, ...] = RULES) -> NodeNames:
    return NodeNames(SimulatedCluster(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), nodes), rules)


NODES = (
    _node("gpu-1", "192.168.0.1", host="worker-1"),
    _node("gpu-2.example.com", "192.168.0.2", "gpu-2.internal"),
    _node("10.0.2.193"),
    _node("10.0.2.194", "2001:db8::194"),
    _node("ip-10-0-3-7.ec2.internal"),
    _node("r1-node2"),
    _node("r2-node2", "r2-node2.example.com"),
    _node("plain"),
)


@pytest.mark.parametrize(
    ("host", "node"),
    [
        pytest.param("gpu-1", "gpu-1", id="its name"),
        pytest.param(" GPU-1. ", "gpu-1", id="its name in capitals, with blanks and a dot at the end"),
        pytest.param("worker-1", "gpu-1", id="its host name label"),
        pytest.param("192.168.0.1", "gpu-1", id="its address"),
        pytest.param("2001:0DB8:0::194", "10.0.2.194", id="its IPv6 address, written otherwise"),
        pytest.param("gpu-2", "gpu-2.example.com", id="its short name"),
        pytest.param("plain.example.com", "plain", id="its full name, where the cluster knows the short one"),
        pytest.param("gpu-1.dc1.example.com", "gpu-1", id="its full name with more than one domain"),
        pytest.param("worker-1.example.com", "gpu-1", id="the full form of its host name label"),
        pytest.param("10-0-2-193", "10.0.2.193", id="its address with dashes"),
        pytest.param("ip-10-0-2-193", "10.0.2.193", id="its address as AWS writes it"),
        pytest.param("ip-192-168-0-2.ec2.internal", "gpu-2.example.com", id="its address as AWS writes it in full"),
        pytest.param("10.0.3.7", "ip-10-0-3-7.ec2.internal", id="the address in its name"),
        pytest.param("10-0-3-7", "ip-10-0-3-7.ec2.internal", id="the address in its name, written otherwise"),
        pytest.param("bmc-1", "gpu-1", id="a rule's number"),
        pytest.param("BMC-1", "gpu-1", id="a rule's number in capitals"),
        pytest.param("r2n2", "r2-node2", id="a rule's named groups, found as an address"),
        pytest.param("r1n2", "r1-node2", id="what a rule gives is looked for in every way"),
        pytest.param("v193", "10.0.2.193", id="also as an address with dashes"),
    ],
)
def test_found_by(host: str, node: str) -> None:
    lookup, found = _names(NODES).resolve(host)
    assert (lookup, found.name if found else None) == (Lookup.FOUND, node)


@pytest.mark.parametrize(
    ("host", "lookup"),
    [
        pytest.param(None, Lookup.UNNAMED, id="no host"),
        pytest.param(" . ", Lookup.UNNAMED, id="a host of nothing but blanks and dots"),
        pytest.param("gpu-9", Lookup.UNKNOWN, id="a name that nobody has"),
        pytest.param("gpu", Lookup.UNKNOWN, id="the beginning of a name that does not end at a dot"),
        pytest.param("gpu-2.other.com", Lookup.UNKNOWN, id="a namesake in another domain"),
        pytest.param("10.0", Lookup.UNKNOWN, id="the beginning of an address"),
        pytest.param("10-0-2-999", Lookup.UNKNOWN, id="dashes around no address"),
        pytest.param("gone", Lookup.UNKNOWN, id="what a rule makes a name that nobody has"),
        pytest.param("xbmc-1", Lookup.UNKNOWN, id="a rule's expression in the middle of a name"),
        pytest.param("bmc-\ud800", Lookup.UNKNOWN, id="a stray surrogate"),
        pytest.param("a" * 100_000, Lookup.UNKNOWN, id="a very long name"),
    ],
)
def test_not_found(host: str | None, lookup: Lookup) -> None:
    assert _names(NODES).resolve(host) == (lookup, None)


@pytest.mark.parametrize(
    ("host", "nodes", "node"),
    [
        pytest.param("x", [_node("x"), _node("y", host="x")], "x", id="a name is stronger than a host name label"),
        pytest.param("x", [_node("y", host="x"), _node("z", "x")], "y", id="a host name label than an address"),
        pytest.param("bmc-1", [_node("y", "bmc-1"), _node("gpu-1")], "y", id="an address than a rule"),
        pytest.param("v1", [_node("y", "10.0.2.1"), _node("v1.a")], "y", id="a rule than a short name"),
        pytest.param(
            "10-0-2-1", [_node("y", "10.0.2.1"), _node("10-0-2-1.a")], None, id="dashes on either side are alike"
        ),
        pytest.param("x", [_node("x"), _node("x.a"), _node("x.b")], "x", id="a name than two short names"),
        pytest.param("x", [_node("y", host="x"), _node("z", host="x")], None, id="two host name labels are ambiguous"),
        pytest.param("x", [_node("y", "x"), _node("z", "x")], None, id="two addresses are ambiguous"),
        pytest.param("x", [_node("x.a"), _node("x.b")], None, id="two short names are ambiguous"),
        pytest.param("x.a.b", [_node("x"), _node("x.a")], None, id="two lengths of one name are ambiguous"),
        pytest.param("10-0-2-1", [_node("a", "10.0.2.1"), _node("b", "10.0.2.1")], None, id="so are dashes"),
        pytest.param("bmc-1", [_node("a", "gpu-1"), _node("b", "gpu-1")], None, id="so is what a rule gives"),
        pytest.param("x", [_node("y", "x", "X", host="z")], "y", id="one node in two ways is one"),
    ],
)
def test_strength(host: str, nodes: list[Node], node: str | None) -> None:
    lookup, found = _names(nodes).resolve(host)
    assert (lookup, found.name if found else None) == (Lookup.FOUND if node else Lookup.AMBIGUOUS, node)


def test_a_cache_that_is_not_ready_says_so_and_is_asked_again() -> None:
    cluster = SimulatedCluster(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), [Node("a", "")])
    names = NodeNames(cluster)
    cluster.troubles.cache_synced = False
    assert names.resolve("a") == (Lookup.NOT_READY, None)
    cluster.troubles.cache_synced = True
    assert names.resolve("a")[0] is Lookup.FOUND


def test_a_found_node_is_the_one_the_cache_shows_now() -> None:
    cluster = SimulatedCluster(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), [Node("a", "")])
    names = NodeNames(cluster)
    names.resolve("a")
    after = cluster.edit_node("a", NodePatch(labels={"app": "demo"}))
    assert names.resolve("a") == (Lookup.FOUND, after)


LABELS = st.sampled_from(["a", "b", "c", "10-0-0-1", "10-0-0-2"])
HOSTS = st.lists(LABELS, min_size=1, max_size=3).map(".".join) | st.sampled_from(["10.0.0.1", "10.0.0.2"])
NODE = st.builds(
    lambda name, host, addresses: _node(name, *addresses, host=host),
    HOSTS,
    st.just("") | HOSTS,
    st.lists(HOSTS, max_size=2),
)


@settings(deadline=None)
@given(nodes=st.lists(NODE, max_size=6, unique_by=lambda node: node.name), host=HOSTS)
def test_a_node_is_always_found_by_its_name_and_only_nodes_of_that_spelling_are_found(
    nodes: list[Node], host: str
) -> None:
    names = _names(nodes, ())
    for node in nodes:
        lookup, found = names.resolve(node.name.upper())
        assert (lookup, found and found.name) == (Lookup.FOUND, node.name)
    _, found = names.resolve(host)
    if found is not None:
        spelled = [found.name, found.labels.get(HOSTNAME, ""), *found.addresses]
        assert any(_alike(host, name) for name in spelled if name)


def _alike(one: str, other: str) -> bool:
    cut = one.startswith(f"{other}.") or other.startswith(f"{one}.")
    return one == other or cut or _undashed(one) == _undashed(other)


def _undashed(name: str) -> str:
    return name.partition(".")[0].replace("-", ".") if name.startswith("10-") else name


@settings(deadline=None)
@given(
    before=st.lists(NODE, max_size=6, unique_by=lambda node: node.name),
    after=st.lists(NODE, max_size=6, unique_by=lambda node: node.name),
    hosts=st.lists(HOSTS, max_size=10),
)
def test_an_index_that_followed_the_cluster_answers_as_a_fresh_one(
    before: list[Node], after: list[Node], hosts: list[str]
) -> None:
    cluster = SimulatedCluster(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), before)
    names = NodeNames(cluster)
    names.resolve("anything")
    for node in before:
        cluster.delete_node(node.name)
    names.resolve("anything")
    for node in after:
        cluster.add_node(node)
    assert [names.resolve(host) for host in hosts] == [NodeNames(cluster).resolve(host) for host in hosts]
