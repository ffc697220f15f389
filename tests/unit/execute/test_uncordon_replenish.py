"""unCordon with `standby.replenish`: the healed node takes its standby's place, or is uncordoned as without."""

from typing import Any

import pytest

from pipeline.cluster.memory import Call, Trouble
from pipeline.decide.standby import StandbySettings, is_free
from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.errors import NotFoundError, TemporaryError
from pipeline.execute.actions.port import Done, Intend
from pipeline.execute.actions.replenish import ReplenishRunner
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.model.node import Node, Taint
from pipeline.model.ownership import (
    CORDONED_BY,
    IGNORE,
    OFFLINE,
    STANDBY_FOR,
    STANDBY_LABEL,
    UNDER_RESCUE,
    WARM_STANDBY,
)
from pipeline.model.plan import Cordon, Drain, EnableWarmStandby, Reboot, Uncordon
from pipeline.model.rescue import Status
from tests.fakes.faults import plan, rescue
from tests.fakes.stage import HOUR, SIGNED, Stage
from tests.fakes.standbys import CLAIMED, IN_SERVICE, LABEL, policy, replaced, spare
from tests.fakes.world import World, gpu_node

SWAPPED = Done(
    "gpu-1 stays cordoned as a warm standby in the place of spare-1, which stays in service for good",
    {"in_reserve": True, "in_service": "spare-1"},
)
UNCORDONED = Done("gpu-1 is schedulable again")


def _runner(stage: Stage, *policies: WarmStandbyPolicy, label: str = WARM_STANDBY) -> ReplenishRunner:
    return ReplenishRunner(stage.cluster, UncordonRunner(stage.cluster), lambda: policies, label)


def _standby(stage: Stage) -> Node:
    return stage.cluster.nodes()["spare-1"]


def _assert_swapped(stage: Stage) -> None:
    assert (stage.node.unschedulable, dict(stage.node.labels)) == (True, {"app": "train", **LABEL})
    assert dict(stage.node.annotations) == {}
    assert is_free(stage.node, WARM_STANDBY)
    standby = _standby(stage)
    assert (standby.unschedulable, dict(standby.labels), dict(standby.annotations)) == (False, {"app": "train"}, {})


async def test_the_node_takes_the_place_of_its_standby_which_becomes_a_normal_node() -> None:
    stage = replaced(Uncordon())
    intent = await stage.call(_runner(stage))
    memo = {"label": f"{WARM_STANDBY}=hot", "lacks": ""}
    assert intent == Intend(memo, "gpu-1 is to take the place of spare-1 in the reserve")
    writes = stage.cluster.generation
    assert await stage.call(_runner(stage)) == SWAPPED
    _assert_swapped(stage)
    assert stage.cluster.generation == writes + 2


async def test_a_label_without_a_value_goes_over_too() -> None:
    stage = replaced(Uncordon())
    stage.edit("spare-1", annotations={STANDBY_LABEL: f"{WARM_STANDBY}="})
    assert await stage.calls(_runner(stage)) == SWAPPED
    assert stage.node.labels[WARM_STANDBY] == ""


@pytest.mark.parametrize("trouble", [Trouble.LOST_ANSWER, Trouble.CONFLICT, Trouble.TIMEOUT])
@pytest.mark.parametrize("before", [0, 1], ids=["at the standby", "at the node"])
async def test_whatever_befalls_a_write_they_have_changed_places_in_the_end(trouble: Trouble, before: int) -> None:
    stage = replaced(Uncordon())
    await stage.call(_runner(stage))
    if before:
        stage.edit("spare-1", annotations=dict.fromkeys(CLAIMED))
    stage.cluster.troubles.next(Call.PATCH_NODE, trouble)
    with pytest.raises(TemporaryError):
        await stage.call(_runner(stage))
    for _ in range(2):
        assert await stage.call(_runner(stage)) == SWAPPED
        _assert_swapped(stage)


async def test_a_standby_whose_marks_are_off_already_is_not_written_again() -> None:
    stage = replaced(Uncordon())
    await stage.call(_runner(stage))
    stage.edit("spare-1", annotations=dict.fromkeys(CLAIMED))
    before = _standby(stage)
    assert await stage.call(_runner(stage)) == SWAPPED
    assert _standby(stage) == before


async def test_a_node_that_a_person_takes_out_of_the_reserve_at_once_is_not_said_to_stay_cordoned() -> None:
    stage = replaced(Uncordon())
    assert await stage.calls(_runner(stage)) == SWAPPED
    stage.cluster.uncordon_by_hand("gpu-1")
    assert await stage.call(_runner(stage)) == Done("gpu-1 is schedulable already")


async def test_that_it_is_done_is_seen_also_when_the_standby_is_gone_since() -> None:
    stage = replaced(Uncordon())
    assert await stage.calls(_runner(stage)) == SWAPPED
    stage.cluster.delete_node("spare-1")
    assert await stage.call(_runner(stage)) == SWAPPED


STANDBY_CHANGES: list[Any] = [
    pytest.param({"unschedulable": True}, id="somebody has cordoned it"),
    pytest.param({"unschedulable": True, "labels": LABEL}, id="somebody has put it back into the reserve"),
    pytest.param({"labels": LABEL}, id="somebody has labelled it"),
    pytest.param({"annotations": {STANDBY_FOR: "other"}}, id="it stands in for another node"),
    pytest.param({"annotations": {CORDONED_BY: "other"}}, id="another rescue has cordoned it"),
    pytest.param({"annotations": {UNDER_RESCUE: "other"}}, id="another rescue works on it"),
    pytest.param({"annotations": {IGNORE: "true"}}, id="it was opted out"),
]


@pytest.mark.parametrize("intended", [False, True], ids=["before the intent", "after it"])
@pytest.mark.parametrize("change", STANDBY_CHANGES)
async def test_the_node_is_simply_uncordoned_when_its_standby_does_not_serve(
    change: dict[str, Any], intended: bool
) -> None:
    stage = replaced(Uncordon())
    if intended:
        await stage.call(_runner(stage))
    stage.edit("spare-1", **change)
    before = _standby(stage)
    assert await stage.call(_runner(stage)) == UNCORDONED
    assert (dict(stage.node.labels), dict(stage.node.annotations)) == ({"app": "train"}, {})
    assert _standby(stage) == before


CLAIMS: list[Any] = [
    pytest.param(dict.fromkeys(CLAIMED), id="neither mark nor label"),
    pytest.param({STANDBY_FOR: None}, id="no mark"),
    pytest.param({STANDBY_LABEL: None}, id="no label"),
    pytest.param({STANDBY_LABEL: "hot"}, id="no label that can be read"),
]


@pytest.mark.parametrize("change", CLAIMS)
async def test_the_node_is_simply_uncordoned_when_the_claim_is_not_there_any_more(change: dict[str, Any]) -> None:
    stage = replaced(Uncordon())
    stage.edit("spare-1", annotations=change)
    assert await stage.call(_runner(stage)) == UNCORDONED


async def test_the_node_is_simply_uncordoned_when_its_standby_is_not_ready() -> None:
    stage = replaced(Uncordon(), gpu_node(), gpu_node("spare-1", **IN_SERVICE, ready=False))
    assert await stage.call(_runner(stage)) == UNCORDONED


@pytest.mark.parametrize("intended", [False, True], ids=["before the intent", "after it"])
async def test_the_node_is_simply_uncordoned_when_its_standby_is_gone(intended: bool) -> None:
    stage = replaced(Uncordon())
    if intended:
        await stage.call(_runner(stage))
    stage.cluster.delete_node("spare-1")
    assert await stage.call(_runner(stage)) == UNCORDONED


async def test_a_standby_that_goes_between_look_and_write_costs_the_node_no_uncordon() -> None:
    stage = replaced(Uncordon())
    await stage.call(_runner(stage))
    stage.cluster.before_patch = lambda: stage.cluster.delete_node("spare-1")
    assert await stage.call(_runner(stage)) == UNCORDONED


async def test_the_node_is_simply_uncordoned_when_no_standby_was_claimed() -> None:
    stage = Stage(Uncordon(), gpu_node(), spare())
    assert await stage.call(_runner(stage)) == UNCORDONED
    assert is_free(_standby(stage), WARM_STANDBY)


@pytest.mark.parametrize(
    ("name", "change", "left"),
    [
        ("it was opted out", {"annotations": {IGNORE: "true"}}, {"annotations": {IGNORE: "true"}}),
        ("it was labelled as none", {"labels": {WARM_STANDBY: "false"}}, {"labels": {WARM_STANDBY: "false"}}),
        ("it stands in itself", {"annotations": {STANDBY_FOR: "r1"}}, {"annotations": {STANDBY_FOR: "r1"}}),
        ("another rescue marks it", {"annotations": {UNDER_RESCUE: "r1"}}, {"annotations": {UNDER_RESCUE: "r1"}}),
        ("it was taken out", {"labels": {OFFLINE: "true"}}, {"labels": {OFFLINE: "true"}}),
    ],
)
async def test_a_node_that_would_be_no_free_standby_is_simply_uncordoned(
    name: str, change: dict[str, Any], left: dict[str, Any]
) -> None:
    stage = replaced(Uncordon())
    stage.edit(**change)
    assert await stage.call(_runner(stage)) == UNCORDONED
    assert dict(stage.node.labels) == {"app": "train", **left.get("labels", {})}
    assert dict(stage.node.annotations) == left.get("annotations", {})
    assert dict(_standby(stage).annotations) == CLAIMED


async def test_a_label_that_is_not_the_reserves_any_more_makes_no_standby() -> None:
    stage = replaced(Uncordon())
    assert await stage.call(_runner(stage, label="team/pool")) == UNCORDONED


async def test_a_cordon_of_another_hand_is_neither_lifted_nor_taken_for_the_reserve() -> None:
    stage = replaced(Uncordon())
    stage.hand_over()
    told = "gpu-1 stays cordoned: somebody else cordoned it"
    assert await stage.call(_runner(stage)) == Done(told, {"left_cordoned": True})
    assert (stage.node.unschedulable, dict(stage.node.annotations)) == (True, {})
    assert WARM_STANDBY not in stage.node.labels
    assert dict(_standby(stage).annotations) == CLAIMED


@pytest.mark.parametrize("at", ["before the intent", "after it", "between the writes"])
async def test_a_node_that_a_person_uncordons_stays_in_service(at: str) -> None:
    stage = replaced(Uncordon())
    if at != "before the intent":
        await stage.call(_runner(stage))
    if at == "between the writes":
        stage.edit("spare-1", annotations=dict.fromkeys(CLAIMED))
    stage.cluster.uncordon_by_hand("gpu-1")
    assert await stage.call(_runner(stage)) == Done(
        "gpu-1 is schedulable already: somebody has uncordoned it meanwhile", {"uncordoned": True}
    )
    assert (stage.node.unschedulable, dict(stage.node.annotations)) == (False, {})
    assert WARM_STANDBY not in stage.node.labels


async def test_a_standby_that_the_server_lets_nobody_touch_costs_the_node_no_uncordon() -> None:
    stage = replaced(Uncordon())
    await stage.call(_runner(stage))
    stage.cluster.refuses = frozenset({"spare-1"})
    assert await stage.call(_runner(stage)) == UNCORDONED
    assert dict(_standby(stage).annotations) == CLAIMED


async def test_a_node_that_is_gone_is_told_as_without_a_standby() -> None:
    stage = replaced(Uncordon())
    stage.cluster.delete_node("gpu-1")
    with pytest.raises(NotFoundError):
        await stage.call(_runner(stage))


async def test_that_policies_will_not_find_the_node_is_told() -> None:
    stage = replaced(Uncordon(), gpu_node(), gpu_node("spare-1", **{**IN_SERVICE, "labels": {"gpu": "h100"}}))
    policies = [policy("both", {"a": "b"}, LABEL), policy("one", {"app": "train"}, {"gpu": "h100"})]
    outcome = await stage.calls(_runner(stage, *policies))
    assert isinstance(outcome, Done)
    assert outcome.message == f"{SWAPPED.message}; policies that found spare-1 by gpu=h100 will not find it"
    assert outcome.details == {**SWAPPED.details, "lacks": "gpu=h100"}
    assert is_free(stage.node, WARM_STANDBY)


async def test_labels_and_taints_of_others_stay_on_both() -> None:
    stage = replaced(Uncordon())
    taints, labels = (Taint("team", "a", "NoSchedule"),), {"team": "a"}
    for name in ("gpu-1", "spare-1"):
        stage.edit(name, taints=taints, labels=labels, annotations={"note": "x"})
    assert await stage.calls(_runner(stage)) == SWAPPED
    for node in (stage.node, _standby(stage)):
        assert (node.taints, node.labels["team"], dict(node.annotations)) == (taints, "a", {"note": "x"})


async def test_the_whole_rescue_leaves_as_many_in_the_reserve_as_there_were() -> None:
    world = World([gpu_node(), spare()], standby=StandbySettings(replenish=True))
    actions = (Cordon(), EnableWarmStandby(), Drain(), Reboot(), Uncordon())
    for number, node in enumerate(("gpu-1", "spare-1", "gpu-1")):
        now = world.clock.now()
        await world.store.create(rescue(f"r{number}", node, now, plan=plan(*actions)))
        await world.run()
        free = {name for name, found in world.cluster.nodes().items() if is_free(found, WARM_STANDBY)}
        assert world.rescue(f"r{number}").status is Status.SUCCEEDED
        # Each time the one that served has failed, and is now the one that stands by.
        assert free == {node}
        world.clock.move_to(now + HOUR)
    assert all(set(node.annotations).isdisjoint({*CLAIMED, *SIGNED}) for node in world.cluster.nodes().values())


async def test_without_replenish_the_standby_stays_in_service_with_its_marks() -> None:
    world = World([gpu_node(), spare()])
    await world.store.create(rescue(plan=plan(Cordon(), EnableWarmStandby(), Drain(), Reboot(), Uncordon())))
    await world.run()
    nodes = world.cluster.nodes()
    assert (nodes["gpu-1"].unschedulable, dict(nodes["gpu-1"].annotations)) == (False, {})
    assert (nodes["spare-1"].unschedulable, dict(nodes["spare-1"].annotations)) == (False, CLAIMED)
