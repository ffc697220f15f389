"""The reserve: one row per node that is not free, whom the policies name, and what is told when none is left."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.decide.standby import Standbys, StandbySettings, free, is_free, is_standby, obstacle, shortage, standbys
from pipeline.decide.warmstandby import WarmStandbyPolicy, lacking
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_BY, IGNORE, OFFLINE, STANDBY_FOR, UNDER_RESCUE, WARM_STANDBY

ORIGIN = {"app": "train", "zone": "a"}


def standby(name: str = "spare-1", labels: dict[str, str] | None = None, **given: Any) -> Node:
    return Node(name, "1", **{"labels": {WARM_STANDBY: "true", **(labels or {})}, "unschedulable": True, **given})


def policy(name: str, *matches: tuple[dict[str, str], dict[str, str]]) -> WarmStandbyPolicy:
    pairs = [{"originNode": origin, "targetNode": target} for origin, target in matches]
    manifest = {"apiVersion": "rescue.ksyun.com/v1", "kind": "WarmStandbyPolicy", "metadata": {"name": name}}
    return WarmStandbyPolicy.model_validate({**manifest, "spec": {"matches": pairs}})


def by_name(nodes: list[Node]) -> Mapping[str, Node]:
    return {node.name: node for node in nodes}


def found(nodes: list[Node], *policies: WarmStandbyPolicy, origin: str = "gpu-1") -> Standbys:
    return standbys(origin, ORIGIN, nodes, policies)


def choice(standbys: Standbys) -> dict[str, str | None]:
    """Every node to choose from, and the policy that is named when it is chosen."""
    return {node.name: standbys.policy_of(node.name) for node in standbys.nodes}


@pytest.mark.parametrize(
    ("node", "why_not"),
    [
        pytest.param(standby(), None, id="a cordoned node with the label is"),
        pytest.param(standby(gpus=8, gpus_allocatable=8), None, id="one with all its GPUs is"),
        pytest.param(standby(gpus=0, gpus_allocatable=8), None, id="one that shows more than it has is"),
        pytest.param(standby(annotations={"other": "mark"}), None, id="other people's marks do not matter"),
        pytest.param(standby(annotations={IGNORE: "false"}), None, id="one that is not opted out is"),
        pytest.param(standby(unschedulable=False), "is in service", id="one in service is not"),
        pytest.param(standby(ready=False), "is not Ready", id="nor one that is not Ready"),
        pytest.param(
            standby(gpus=8, gpus_allocatable=7), "has 7 of 8 GPUs allocatable", id="nor one that has lost a GPU"
        ),
        pytest.param(
            standby(annotations={STANDBY_FOR: "r1"}),
            "stands in for the node of rescue r1",
            id="nor one that stands in for another",
        ),
        pytest.param(
            standby(annotations={CORDONED_BY: "r1"}), "was cordoned by rescue r1", id="nor one that a rescue cordoned"
        ),
        pytest.param(
            standby(annotations={UNDER_RESCUE: "r1"}),
            "is worked on by rescue r1",
            id="nor one that a rescue works on",
        ),
        pytest.param(standby(annotations={IGNORE: "true"}), "is opted out", id="nor one that was opted out"),
        pytest.param(
            standby(labels={OFFLINE: "true"}), "was taken out for good", id="nor one that was taken out for good"
        ),
        pytest.param(
            standby(labels={OFFLINE: ""}, ready=False, unschedulable=False, annotations={CORDONED_BY: "r1"}),
            "was taken out for good",
            id="of several reasons the one that lasts is told",
        ),
    ],
)
def test_whether_a_standby_is_free(node: Node, why_not: str | None) -> None:
    assert obstacle(node) == why_not
    assert is_free(node, WARM_STANDBY) is (why_not is None)
    assert free(by_name([node]), WARM_STANDBY) == (() if why_not else (node,))


@pytest.mark.parametrize(
    ("labels", "standing_by"),
    [
        pytest.param({WARM_STANDBY: "true"}, True, id="a node with the label"),
        pytest.param({WARM_STANDBY: ""}, True, id="whatever its value"),
        pytest.param({WARM_STANDBY: "false"}, False, id="but false"),
        pytest.param({"app": "train"}, False, id="without it not"),
    ],
)
def test_which_nodes_are_the_reserve(labels: dict[str, str], standing_by: bool) -> None:
    node = Node("spare-1", "1", labels=labels, unschedulable=True)
    assert is_standby(node, WARM_STANDBY) is standing_by
    assert is_free(node, WARM_STANDBY) is standing_by
    assert free({"spare-1": node}, WARM_STANDBY) == ((node,) if standing_by else ())


def test_the_reserve_has_the_label_of_the_settings() -> None:
    pool = Node("pool-1", "1", labels={"pool": "hot"}, unschedulable=True)
    assert free(by_name([pool, standby()]), "pool") == (pool,)


def test_free_standbys_come_in_the_order_of_their_names() -> None:
    names = ["spare-2", "spare-10", "spare-1"]
    assert [node.name for node in free(by_name([standby(name) for name in names]), WARM_STANDBY)] == sorted(names)


def test_a_node_never_stands_in_for_itself() -> None:
    both = [standby("gpu-1", labels=ORIGIN), standby()]
    named = policy("named", (ORIGIN, ORIGIN))
    assert choice(found(both, named)) == {"spare-1": None}
    assert choice(found(both[:1], named)) == {}


ZONE_A = standby("spare-a", labels={"zone": "a"})
ZONE_B = standby("spare-b", labels={"zone": "b"})
OTHER = standby("spare-c", labels={"app": "train"})


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param([], {"spare-a": None, "spare-b": None, "spare-c": None}, id="without a policy all"),
        pytest.param(
            [policy("one", ({"app": "train"}, {"zone": "a"}))], {"spare-a": "one"}, id="those that a policy names"
        ),
        pytest.param(
            [policy("one", ({"app": "other"}, {"zone": "a"}))],
            {"spare-a": None, "spare-b": None, "spare-c": None},
            id="all, where no policy is about the node",
        ),
        pytest.param(
            [policy("one", ({"app": "train", "zone": "b"}, {"zone": "a"}))],
            {"spare-a": None, "spare-b": None, "spare-c": None},
            id="a policy is about nodes that have all its labels",
        ),
        pytest.param(
            [policy("one", ({"app": "train"}, {"zone": "a", "app": "train"}))],
            {"spare-a": None, "spare-b": None, "spare-c": None},
            id="and names standbys that have all its labels; all, where none has",
        ),
        pytest.param(
            [policy("one", ({"app": "train"}, {"zone": "a"}), ({"zone": "a"}, {"zone": "b"}))],
            {"spare-a": "one", "spare-b": "one"},
            id="all that any of its matches names",
        ),
        pytest.param(
            [policy("one", ({"app": "train"}, {"zone": "a"})), policy("two", ({"app": "train"}, {"zone": "b"}))],
            {"spare-a": "one", "spare-b": "two"},
            id="all that any policy names, each with its own",
        ),
        pytest.param(
            [
                policy("one", ({"app": "train"}, {"zone": "a"})),
                policy("two", ({"app": "train"}, {WARM_STANDBY: "true"})),
            ],
            {"spare-a": "one", "spare-b": "two", "spare-c": "two"},
            id="one that two policies name is there once, and the first one names it",
        ),
    ],
)
def test_which_standbys_there_are_to_choose_from(
    policies: list[WarmStandbyPolicy], expected: dict[str, str | None]
) -> None:
    assert choice(found([ZONE_A, ZONE_B, OTHER], *policies)) == expected


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        pytest.param([], None, id="no node at all"),
        pytest.param([Node("gpu-1", "1")], None, id="no standby at all"),
        pytest.param([standby()], None, id="a free one is no shortage"),
        pytest.param(
            [standby("spare-2", unschedulable=False), standby("spare-1", ready=False), standby("spare-3")],
            "spare-1 is not Ready, spare-2 is in service",
            id="each that is not free, with its reason",
        ),
        pytest.param(
            [standby(f"spare-{number:02}", ready=False) for number in range(10)],
            ", ".join(f"spare-{number:02} is not Ready" for number in range(10)),
            id="ten are all named",
        ),
        pytest.param(
            [standby(f"spare-{number:02}", ready=False) for number in range(12)],
            ", ".join(f"spare-{number:02} is not Ready" for number in range(10)) + " and 2 more",
            id="more than ten are counted",
        ),
    ],
)
def test_what_is_told_of_the_standbys_that_are_not_free(nodes: list[Node], told: str | None) -> None:
    assert shortage(by_name(nodes), WARM_STANDBY) == told


@pytest.mark.parametrize(
    ("policies", "missing"),
    [
        pytest.param([], {}, id="without a policy nothing"),
        pytest.param([policy("one", (ORIGIN, {"zone": "b"}))], {"zone": "b"}, id="what a policy names only the one by"),
        pytest.param([policy("one", (ORIGIN, {"gpu": "h100"}))], {}, id="nothing where both have it"),
        pytest.param([policy("one", (ORIGIN, {"zone": "c"}))], {}, id="nothing where it names neither"),
        pytest.param(
            [policy("one", (ORIGIN, {"zone": "b"})), policy("two", (ORIGIN, {"rack": "r1", "gpu": "h100"}))],
            {"rack": "r1", "zone": "b"},
            id="what any policy names it by",
        ),
    ],
)
def test_which_labels_the_node_in_a_standbys_place_lacks(
    policies: list[WarmStandbyPolicy], missing: dict[str, str]
) -> None:
    before, after = {"gpu": "h100", "zone": "b", "rack": "r1"}, {"gpu": "h100", "zone": "a"}
    assert lacking(policies, before, after) == missing
    assert list(lacking(policies, before, after)) == sorted(missing)


@pytest.mark.parametrize("label", ["standby", "example.com/standby", "a.b-c.io/Hot_1.x", "x" * 63])
def test_any_key_of_a_label_may_be_the_reserves(label: str) -> None:
    assert StandbySettings(label=label).label == label


@pytest.mark.parametrize("label", ["", "a b", "a/b/c", "/a", "a/", "-a", "a-", "A.com/a", "x" * 64, "a=b", "a\n"])
def test_what_is_no_key_of_a_label_is_refused(label: str) -> None:
    with pytest.raises(ValidationError, match=r"is not the key of a label; write it like rescue\.ksyun\.com/warm"):
        StandbySettings(label=label)
