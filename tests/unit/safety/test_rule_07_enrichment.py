"""Rule 7: an enrichment that fails loses no fault: it is recorded as not enriched, and decided without labels.

Broken by an enricher that drops what it can't place, and by rules that match without the labels they ask for.
"""

from dataclasses import dataclass

import pytest

from pipeline.decide.rules import BUILT_IN
from pipeline.enrich.labels import Enricher
from pipeline.enrich.names import NodeNames
from pipeline.model.fault import Fault, Lookup, NodeFault
from pipeline.model.node import Node
from pipeline.model.rescue import HoldReason, Status
from tests.fakes.intake import OFF_THE_BUS, REBOOT_79, Inside
from tests.fakes.world import World, gpu_node

WITH_LABELS = REBOOT_79.replace('errorCode: ["79"]', 'errorCode: ["79"]\n    nodeSelector: {labels: {app: train}}')
ROWS = [
    pytest.param(None, "unnamed", id="a line that names no node"),
    pytest.param("nobody", "unknown", id="a node that the cluster does not have"),
    pytest.param("10.0.0.7", "ambiguous", id="an address that two nodes have"),
]
"""What the line calls its node, and how the look-up ends."""


def _inside(policies: str = REBOOT_79) -> Inside:
    twice = ("10.0.0.7",)
    return Inside(policies, World([gpu_node("gpu-1", addresses=twice), gpu_node("gpu-2", addresses=twice)]))


@dataclass(frozen=True, slots=True)
class Told:
    """What the records say of a fault."""

    enriched: bool
    lookup: str


def _told(inside: Inside) -> list[Told]:
    bodies = [record.document for record in inside.world.sink.records]
    nodes = [body["gpu_rescue"]["node"] for body in bodies if body["event"]["action"] == "fault-detected"]
    return [Told(node["enriched"], node["lookup"]) for node in nodes]


@pytest.mark.parametrize(("host", "lookup"), ROWS)
async def test_a_fault_whose_node_is_not_found_is_recorded_and_says_so(host: str | None, lookup: str) -> None:
    inside = _inside()
    await inside.take(OFF_THE_BUS, node=host)
    assert _told(inside) == [Told(False, lookup)]


@pytest.mark.parametrize(("host", "lookup"), ROWS)
async def test_an_enricher_that_drops_it_leaves_no_trace(
    host: str | None, lookup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrich = Enricher.enrich

    def drop(self: Enricher, fault: Fault, received: object) -> NodeFault | None:
        found = enrich(self, fault, received)  # type: ignore[arg-type]
        return found if found.enriched else None

    monkeypatch.setattr(Enricher, "enrich", drop)
    inside = _inside()
    await inside.take(OFF_THE_BUS, node=host)
    assert inside.world.sink.records == []


async def test_it_is_decided_by_a_policy_that_needs_no_labels_and_waits_for_its_node() -> None:
    inside = _inside()
    await inside.take(OFF_THE_BUS, node="late")
    await inside.world.executor.tick()
    assert (inside.rescue().status, inside.rescue().reason) == (Status.HELD, HoldReason.NODE_UNKNOWN)


async def test_a_policy_that_needs_labels_leaves_it_to_the_one_that_needs_none() -> None:
    inside = _inside(WITH_LABELS)
    await inside.take(OFF_THE_BUS, node="late")
    assert [rescue.plan.policy for rescue in inside.world.store.all()] == [BUILT_IN.policy]
    assert _told(inside) == [Told(False, "unknown")]


async def test_a_rule_that_takes_unknown_labels_for_right_ones_acts_on_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.decide.rules._judge_node", lambda *_: (True, "and the node will do"))
    inside = _inside(WITH_LABELS)
    await inside.take(OFF_THE_BUS, node="late")
    assert [rescue.plan.policy for rescue in inside.world.store.all()] == ["reboot"]


async def test_a_look_up_that_guesses_reboots_a_node_of_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def guess(self: NodeNames, host: str) -> tuple[Lookup, Node]:
        return Lookup.FOUND, gpu_node("gpu-2")

    monkeypatch.setattr(NodeNames, "resolve", guess)
    inside = _inside()
    await inside.take(OFF_THE_BUS, node="10.0.0.7")
    await inside.world.run()
    assert [reboot.node for reboot in inside.world.cluster.reboots] == ["gpu-2"]
