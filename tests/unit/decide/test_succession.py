"""Who goes on with a node that a rescue is about to give back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.decide.guards import GuardSettings
from pipeline.decide.succession import Heir, heir
from pipeline.model.guard import Guard
from pipeline.model.node import Node
from pipeline.model.ownership import IGNORE
from pipeline.model.rescue import FailReason, Rescue, Status
from tests.fakes.asking import begun, cluster, cordoned, done, node, over
from tests.fakes.faults import NOON, node_fault, plan, rescue

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LEAVING = begun(rescue("leaving", now=NOON - 10 * MINUTE), 4)
HELD = cluster(cordoned("gpu-1"))


def waits(name: str = "waits", at: timedelta = timedelta(0), on: str = "gpu-1") -> Rescue:
    """A rescue that waits for its node; its fault is one of after the reboot."""
    return replace(rescue(name, on, NOON + at), status=Status.HELD, reason="node-busy")


def goes_on(
    *others: Rescue, leaving: Rescue = LEAVING, nodes: Mapping[str, Node] = HELD, **settings: Any
) -> Heir | None:
    rescues = [leaving, *others]
    return heir(leaving, rescues, nodes, NOON + MINUTE, GuardSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([waits()], "waits", id="one that waits"),
        pytest.param([waits("b", SECOND), waits("a", 2 * SECOND)], "b", id="the oldest that waits"),
        pytest.param([waits("b"), waits("a")], "a", id="of two of one moment the first by name"),
        pytest.param([waits(), begun(waits("z", SECOND))], "z", id="one that has begun before one that waits"),
        pytest.param([done(2, waits())], "waits", id="one that has done more than its cordon"),
        pytest.param([done(3, waits())], None, id="not one that gives the node back itself"),
        pytest.param([begun(waits(), 4)], None, id="not one that is giving it back"),
        pytest.param([done(4, waits())], None, id="not one that has done all"),
        pytest.param([over(waits())], None, id="not one that has ended"),
        pytest.param([waits(on="gpu-2")], None, id="not one of another node"),
        pytest.param([replace(waits(), dry_run=True)], None, id="not one that is rehearsed"),
        pytest.param([], None, id="nobody else"),
    ],
)
def test_the_node_goes_to(others: list[Rescue], expected: str | None) -> None:
    found = goes_on(*others)
    assert (None if found is None else found.name) == expected


OLD = replace(waits(), cause=node_fault(time=NOON - MINUTE), last_seen=NOON - MINUTE)


@pytest.mark.parametrize(
    ("other", "nodes", "settings"),
    [
        pytest.param(OLD, HELD, {}, id="is about a fault of before the reboot"),
        pytest.param(waits(), HELD, {"max_hold": "59s"}, id="would be given up as too old"),
        pytest.param(waits(), HELD, {"max_nodes": 0}, id="would be held by the breaker"),
        pytest.param(waits(), cluster(cordoned("gpu-1"), cordoned("gpu-2")), {"max_nodes": 1}, id="behind others"),
        pytest.param(waits(), cluster(node(annotations={IGNORE: "true"})), {}, id="would leave an opted-out node"),
        pytest.param(waits(), {}, {}, id="does not see its node"),
    ],
)
def test_the_node_stays_out_of_service_for_no_rescue_that(
    other: Rescue, nodes: Mapping[str, Node], settings: dict[str, Any]
) -> None:
    assert goes_on(other, nodes=nodes, **settings) is None


def test_the_first_that_may_begin_is_the_one() -> None:
    found = goes_on(replace(OLD, name="old", created=NOON - MINUTE), waits())
    assert found is not None
    assert found.name == "waits"
    assert [state.guard for state in found.guards][-1] is Guard.GROUP_BREAKER


def test_that_it_gives_the_node_back_shows_that_a_person_has_looked_at_a_failure_before() -> None:
    failed = over(
        begun(rescue("failed", now=NOON - 8 * MINUTE), 3), Status.FAILED, 5 * MINUTE, FailReason.REBOOT_UNCERTAIN
    )
    found = goes_on(waits(), failed)
    assert found is not None
    assert found.name == "waits"


def test_one_that_has_begun_is_asked_nothing() -> None:
    assert goes_on(begun(waits()), nodes={}) == Heir("waits")


def test_its_own_node_counts_only_once() -> None:
    """The node of both is out already: that the one follows the other takes no further node out."""
    assert goes_on(waits(), max_nodes=1) is not None


def test_rehearsed_rescues_follow_each_other() -> None:
    one, other = (replace(each, dry_run=True) for each in (LEAVING, waits()))
    assert goes_on(other, waits("real", -SECOND), leaving=one) == goes_on(waits())


def test_a_plan_that_only_cordons_goes_on_with_it_as_well() -> None:
    assert goes_on(replace(waits(), plan=plan(*plan().actions[:1]), steps=waits().steps[:1])) is not None
