"""Which standbys may take a node's place: one row per node that may not, and whom the policies name."""

from typing import Any

import pytest

from pipeline.decide.standby import Standbys, is_free, standbys
from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_BY, OFFLINE, STANDBY_FOR, UNDER_RESCUE, WARM_STANDBY

ORIGIN = {"app": "train", "zone": "a"}


def standby(name: str = "spare-1", labels: dict[str, str] | None = None, **given: Any) -> Node:
    return Node(name, "1", **{"labels": {WARM_STANDBY: "true", **(labels or {})}, "unschedulable": True, **given})


def policy(name: str, *matches: tuple[dict[str, str], dict[str, str]]) -> WarmStandbyPolicy:
    pairs = [{"originNode": origin, "targetNode": target} for origin, target in matches]
    manifest = {"apiVersion": "rescue.ksyun.com/v1", "kind": "WarmStandbyPolicy", "metadata": {"name": name}}
    return WarmStandbyPolicy.model_validate({**manifest, "spec": {"matches": pairs}})


def found(nodes: list[Node], *policies: WarmStandbyPolicy, origin: str = "gpu-1") -> Standbys:
    return standbys(origin, ORIGIN, {node.name: node for node in nodes}, policies)


def choice(standbys: Standbys) -> dict[str, str | None]:
    """Every node to choose from, and the policy that is named when it is chosen."""
    return {node.name: standbys.policy_of(node.name) for node in standbys.nodes}


@pytest.mark.parametrize(
    ("node", "free"),
    [
        pytest.param(standby(), True, id="a cordoned node with the label is"),
        pytest.param(standby(labels={WARM_STANDBY: ""}), True, id="whatever the label says"),
        pytest.param(standby(labels={WARM_STANDBY: "false"}), False, id="but for false"),
        pytest.param(Node("spare-1", "1", unschedulable=True), False, id="a node without the label is not"),
        pytest.param(standby(unschedulable=False), False, id="nor one in service"),
        pytest.param(standby(ready=False), False, id="nor one that is not Ready"),
        pytest.param(standby(annotations={STANDBY_FOR: "r1"}), False, id="nor one that stands in for another"),
        pytest.param(standby(annotations={CORDONED_BY: "r1"}), False, id="nor one that a rescue has cordoned"),
        pytest.param(standby(annotations={UNDER_RESCUE: "r1"}), False, id="nor one that a rescue works on"),
        pytest.param(standby(labels={OFFLINE: "true"}), False, id="nor one that was taken out for good"),
        pytest.param(standby(annotations={"other": "mark"}), True, id="other people's marks do not matter"),
    ],
)
def test_whether_a_standby_is_free(node: Node, free: bool) -> None:
    assert is_free(node) is free
    assert found([node]).nodes == ((node,) if free else ())


def test_a_node_never_stands_in_for_itself() -> None:
    both = [standby("gpu-1", labels=ORIGIN), standby()]
    named = policy("named", (ORIGIN, ORIGIN))
    assert choice(found(both, named)) == {"spare-1": None}
    assert choice(found(both[:1], named)) == {}


ZONE_A, ZONE_B, OTHER = (standby(f"spare-{zone}", labels={"zone": zone}) for zone in ("a", "b", "c"))


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param([], {"spare-a": None, "spare-b": None, "spare-c": None}, id="without a policy all of them"),
        pytest.param(
            [policy("one", ({"app": "infer"}, {"zone": "a"}))],
            {"spare-a": None, "spare-b": None, "spare-c": None},
            id="all of them when no policy speaks of the node",
        ),
        pytest.param(
            [policy("one", ({"app": "train"}, {"zone": "z"}))],
            {"spare-a": None, "spare-b": None, "spare-c": None},
            id="all of them when no standby matches",
        ),
        pytest.param(
            [policy("one", ({"app": "train", "zone": "b"}, {"zone": "a"}))],
            {"spare-a": None, "spare-b": None, "spare-c": None},
            id="a policy wants every label of the node",
        ),
        pytest.param([policy("one", ({"app": "train"}, {"zone": "a"}))], {"spare-a": "one"}, id="the one that matches"),
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
    assert choice(found([OTHER, ZONE_B, ZONE_A], *policies)) == expected


def test_a_standby_that_is_not_free_is_not_chosen_by_name_either() -> None:
    taken = standby("spare-a", labels={"zone": "a"}, annotations={STANDBY_FOR: "r1"})
    assert choice(found([taken, ZONE_B], policy("one", ({"app": "train"}, {"zone": "a"})))) == {"spare-b": None}
