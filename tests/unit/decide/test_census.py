"""What admission counts over all nodes and rescues is counted once for all who ask, and comes out the same."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.admission import admission_states, admit
from pipeline.decide.asking import Hold
from pipeline.decide.census import Census, Fleet, Sharing, labels_of
from pipeline.decide.guards import GroupLimit, GuardSettings
from pipeline.decide.incident import Incident
from pipeline.model.guard import Verdict
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_BY, NEWCOMER
from pipeline.model.rescue import HoldReason
from tests.fakes.asking import begun, cordoned
from tests.fakes.faults import NOON, node_fault, rescue
from tests.fakes.world import gpu_node

MINUTE = timedelta(minutes=1)
CLIQUE = "nvidia.com/gpu.clique"


def test_groups_and_newcomers_are_counted_once() -> None:
    nodes = {f"gpu-{n}": gpu_node(f"gpu-{n}", labels={"rack": f"r{n % 2}"}, gpus=8 * (n < 4)) for n in range(6)}
    fleet = Fleet(nodes)
    assert (fleet.gpu_nodes, fleet.group("rack", "r0").names) == (4, {"gpu-0", "gpu-2", "gpu-4"})
    assert (fleet.group("rack", "r0").gpu_nodes, fleet.group("rack", "r9").names) == (2, set())
    assert fleet.group("rack", "r1") is fleet.group("rack", "r1")


def test_a_rescue_of_the_past_that_is_present_too_is_there_once_and_as_it_is() -> None:
    nodes = {"gpu-1": gpu_node(labels={CLIQUE: "c1"})}
    then, now = rescue("one"), replace(rescue("one"), count=2)
    known = Census([now], Fleet(nodes), NOON, MINUTE, Sharing([then, rescue("two")], nodes))
    assert [(one.name, one.count) for one in known.sharing(CLIQUE, "c1")] == [("one", 2), ("two", 1)]
    assert list(known.sharing(CLIQUE, "c2")) == []


@pytest.mark.parametrize(
    ("node", "has_gpus"),
    [
        pytest.param(gpu_node(gpus=1), 1, id="one that has GPUs"),
        pytest.param(gpu_node(gpus=0), 0, id="one that has none"),
        pytest.param(gpu_node(gpus=0, labels={"nvidia.com/gpu.count": "8"}), 1, id="one whose label tells of them"),
        pytest.param(gpu_node(gpus=0, labels={"nvidia.com/gpu.count": "0"}), 0, id="one whose label tells of none"),
        pytest.param(gpu_node(gpus=0, labels={"nvidia.com/gpu.count": "many"}), 0, id="one whose label is no number"),
        pytest.param(gpu_node(annotations={NEWCOMER: "true"}), 0, id="one that only the log has named"),
    ],
)
def test_which_nodes_have_gpus(node: Node, has_gpus: int) -> None:
    fleet = Fleet({node.name: node})
    assert fleet.gpu_nodes == has_gpus
    assert (node.name in fleet.newcomers) == (NEWCOMER in node.annotations)


def test_labels_are_those_that_the_node_has_now_and_those_it_had_when_it_is_gone() -> None:
    one = rescue(cause=node_fault(labels={"app": "then"}))
    assert labels_of(one, {"gpu-1": gpu_node(labels={"app": "now"})}) == {"app": "now"}
    assert labels_of(one, {}) == {"app": "then"}


def test_a_shared_census_is_asked_instead_of_the_rescues_that_are_given() -> None:
    nodes = {node.name: node for node in (gpu_node("gpu-1"), gpu_node("gpu-2"), cordoned("gpu-3"))}
    settings = GuardSettings(max_nodes=2, max_percent=100, groups=(GroupLimit(label="app", max_nodes=9),))
    mine, other = rescue("mine"), begun(rescue("other", "gpu-2"))
    shared = Census([mine, other], Fleet(nodes), NOON, settings.breaker_window)
    held = admit(mine, [mine], nodes, NOON, settings, shared)
    assert isinstance(held, Hold)
    assert held.reason is HoldReason.MAX_NODES
    assert held == admit(mine, [mine, other], nodes, NOON, settings)
    states = admission_states(mine, [mine], nodes, NOON, settings, shared)
    assert [state.told for state in states if state.verdict is Verdict.HOLDS] == [held.message.removeprefix("gpu-1: ")]
    assert shared.out is shared.out


def test_a_rescue_is_told_again_of_a_fault_that_has_gone_on_for_half_a_window() -> None:
    incident = Incident.opened_by(node_fault(), None, NOON)
    incident.see(node_fault(time=NOON + 5 * MINUTE))
    assert not incident.outgrown(10 * MINUTE)
    incident.decided(None, "rescue")
    assert not incident.outgrown(11 * MINUTE)
    assert incident.outgrown(10 * MINUTE)
    incident.reported_at(2)
    assert not incident.outgrown(10 * MINUTE)


def test_a_fleet_of_which_some_nodes_have_changed_is_counted_as_one_that_is_counted_anew() -> None:
    before = {name: gpu_node(name) for name in ("kept", "cordoned", "gone")}
    by_us = replace(before["cordoned"], unschedulable=True, annotations={CORDONED_BY: "rescue"})
    after = {"kept": before["kept"], "cordoned": by_us, "new": gpu_node("new")}
    changed, anew = Fleet(before).changed(("cordoned", "gone", "new"), after), Fleet(after)
    assert (changed.gpu_nodes, changed.newcomers) == (anew.gpu_nodes, anew.newcomers)
    assert changed.cordoned == anew.cordoned == {"cordoned": by_us}
