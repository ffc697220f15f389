"""Cordon and unCordon call by call, and what all do when a person takes the node back.

The others have files of their own.
"""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.cluster.memory import Call, Trouble
from pipeline.errors import TemporaryError
from pipeline.execute.actions.cordon import CordonRunner
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.port import Abandon, ActionRunner, Done, Fail, Wait
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.model.ownership import (
    CORDONED_BY,
    UNDER_RESCUE,
)
from pipeline.model.plan import Cordon, Drain, Reboot, Uncordon
from pipeline.model.rescue import CancelReason
from tests.fakes.stage import HOUR, MINUTE, NAME, NEVER, POD, POLL, SIGNED, Road, Stage
from tests.fakes.world import gpu_node


async def test_a_cordon_is_made_and_signed_in_one_write() -> None:
    stage = Stage(Cordon())
    stage.cluster.troubles.next(Call.PATCH_NODE, Trouble.LOST_ANSWER)
    with pytest.raises(TemporaryError):
        await stage.call(CordonRunner(stage.cluster))
    assert (stage.node.unschedulable, dict(stage.node.annotations)) == (True, SIGNED)
    assert await stage.call(CordonRunner(stage.cluster), MINUTE) == Done("gpu-1 is cordoned")
    assert dict(stage.node.annotations) == SIGNED


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("by a person", {}, {UNDER_RESCUE: NAME}),
        ("by a rescue", {CORDONED_BY: "early"}, {CORDONED_BY: "early", UNDER_RESCUE: NAME}),
        ("and under another rescue", {UNDER_RESCUE: "early"}, {UNDER_RESCUE: "early"}),
        ("by this rescue", SIGNED, SIGNED),
    ],
)
async def test_a_node_that_is_cordoned_already_is_marked_once_and_not_signed(
    name: str, before: dict[str, str], after: dict[str, str]
) -> None:
    stage = Stage(Cordon(), gpu_node(unschedulable=True, annotations=before))
    assert isinstance(await stage.call(CordonRunner(stage.cluster)), Done)
    assert (stage.node.unschedulable, dict(stage.node.annotations)) == (True, after)
    version = stage.node.resource_version
    assert isinstance(await stage.call(CordonRunner(stage.cluster)), Done)
    assert stage.node.resource_version == version


async def test_a_cordon_that_a_person_lifted_before_anybody_knew_that_it_was_made_is_not_made_again() -> None:
    stage = Stage(Cordon())
    await stage.call(CordonRunner(stage.cluster))
    stage.cluster.uncordon_by_hand("gpu-1")
    outcome = await stage.call(CordonRunner(stage.cluster))
    assert isinstance(outcome, Abandon)
    assert outcome.reason is CancelReason.UNCORDONED
    assert (stage.node.unschedulable, dict(stage.node.annotations)) == (False, {})


@pytest.mark.parametrize(
    ("name", "before", "cordoned", "after"),
    [
        ("our cordon is lifted", SIGNED, False, {}),
        ("our mark is taken from a person's cordon", {UNDER_RESCUE: NAME}, True, {}),
        (
            "our mark is taken from a cordon of another rescue",
            {CORDONED_BY: "early", UNDER_RESCUE: NAME},
            True,
            {CORDONED_BY: "early"},
        ),
        ("the mark of another rescue stays", {UNDER_RESCUE: "early"}, True, {UNDER_RESCUE: "early"}),
        (
            "the mark of another rescue stays where we lift our cordon",
            {**SIGNED, UNDER_RESCUE: "early"},
            False,
            {UNDER_RESCUE: "early"},
        ),
    ],
)
async def test_uncordon_takes_away_what_is_ours_and_nothing_else(
    name: str, before: dict[str, str], cordoned: bool, after: dict[str, str]
) -> None:
    stage = Stage(Uncordon(), gpu_node())
    stage.edit(annotations={**dict.fromkeys(SIGNED), **before})
    assert isinstance(await stage.call(UncordonRunner(stage.cluster)), Done)
    assert (stage.node.unschedulable, dict(stage.node.annotations)) == (cordoned, after)
    version = stage.node.resource_version
    assert isinstance(await stage.call(UncordonRunner(stage.cluster)), Done)
    assert stage.node.resource_version == version


async def test_uncordon_takes_our_marks_from_a_node_that_a_person_has_uncordoned() -> None:
    stage = Stage(Uncordon())
    stage.cluster.uncordon_by_hand("gpu-1")
    told = "gpu-1 is schedulable already: somebody has uncordoned it meanwhile"
    assert await stage.call(UncordonRunner(stage.cluster)) == Done(told, {"uncordoned": True})
    assert (stage.node.unschedulable, dict(stage.node.annotations)) == (False, {})


async def test_a_node_whose_uncordon_was_made_and_whose_answer_was_lost_was_uncordoned_by_nobody_else() -> None:
    stage = Stage(Uncordon())
    stage.cluster.troubles.next(Call.PATCH_NODE, Trouble.LOST_ANSWER)
    with pytest.raises(TemporaryError):
        await stage.call(UncordonRunner(stage.cluster))
    assert await stage.call(UncordonRunner(stage.cluster)) == Done("gpu-1 is schedulable already")


@pytest.mark.parametrize("action", [Drain(), Reboot()], ids=["drain", "reboot"])
@pytest.mark.parametrize(
    ("name", "marks", "left"),
    [
        ("our cordon was lifted", SIGNED, {}),
        ("the cordon of somebody else was lifted", {UNDER_RESCUE: NAME}, {}),
        ("the cordon of another rescue was lifted", {CORDONED_BY: "a", UNDER_RESCUE: NAME}, {CORDONED_BY: "a"}),
        ("our marks are off already", {}, {}),
    ],
)
async def test_a_node_that_a_person_has_uncordoned_is_left_to_them(
    action: Drain | Reboot, name: str, marks: dict[str, str], left: dict[str, str]
) -> None:
    stage = Stage(action, pods=[POD])
    road = Road(stage.cluster)
    runner: ActionRunner[Any] = (
        DrainRunner(stage.cluster) if isinstance(action, Drain) else RebootRunner(stage.cluster, road)
    )
    stage.edit(unschedulable=False, annotations={**dict.fromkeys(SIGNED), **marks})
    for _ in range(2):
        outcome = await stage.call(runner)
        assert isinstance(outcome, Abandon)
        assert outcome.reason is CancelReason.UNCORDONED
        assert "gpu-1" in outcome.message
        assert (stage.node.unschedulable, dict(stage.node.annotations)) == (False, left)
    assert (await stage.pods(), road.requests) == ({"train-0": False}, [])


@pytest.mark.parametrize("trouble", [Trouble.CONFLICT, Trouble.LOST_ANSWER])
async def test_a_node_is_left_to_a_person_also_when_the_marks_come_off_late(trouble: Trouble) -> None:
    stage = Stage(Drain(), pods=[POD])
    stage.cluster.uncordon_by_hand("gpu-1")
    stage.cluster.troubles.next(Call.PATCH_NODE, trouble)
    with pytest.raises(TemporaryError):
        await stage.call(DrainRunner(stage.cluster))
    assert isinstance(await stage.call(DrainRunner(stage.cluster)), Abandon)
    assert (dict(stage.node.annotations), await stage.pods()) == ({}, {"train-0": False})


async def test_an_uncordon_in_the_middle_of_a_drain_stops_it() -> None:
    stage = Stage(Drain(), pods=[POD])
    stage.cluster.add_budget(NEVER)
    assert isinstance(await stage.call(DrainRunner(stage.cluster)), Wait)
    stage.cluster.uncordon_by_hand("gpu-1")
    stage.cluster.add_budget(replace(NEVER, min_available=0))
    assert isinstance(await stage.call(DrainRunner(stage.cluster), POLL), Abandon)
    assert await stage.pods() == {"train-0": False}


async def test_an_uncordon_after_the_intent_stops_a_reboot_that_was_certainly_not_asked_for() -> None:
    stage = Stage(Reboot())
    road = Road(stage.cluster)
    runner = RebootRunner(stage.cluster, road)
    road.errors = [TemporaryError("the rebooter is away")]
    await stage.call(runner)
    with pytest.raises(TemporaryError):
        await stage.call(runner)
    stage.cluster.uncordon_by_hand("gpu-1")
    assert isinstance(await stage.call(runner, HOUR), Abandon)
    assert (road.requests, dict(stage.node.annotations)) == ([], {})


async def test_an_uncordon_after_the_reboot_was_asked_for_is_no_reason_to_forget_its_proof_and_is_told() -> None:
    stage = Stage(Reboot())
    runner = RebootRunner(stage.cluster, Road(stage.cluster))
    await stage.call(runner)
    await stage.call(runner)
    stage.cluster.uncordon_by_hand("gpu-1")
    outcome = await stage.calls(runner)
    assert isinstance(outcome, Done)
    assert outcome.message == "gpu-1 has rebooted and is Ready with 8 GPUs; somebody has uncordoned it meanwhile"
    assert outcome.details["uncordoned"] is True


@pytest.mark.parametrize(
    ("uncordoned", "told"),
    [(False, "it stays cordoned until a person looks"), (True, "somebody has uncordoned it meanwhile")],
)
@pytest.mark.parametrize("returns", [True, False], ids=["not whole", "not at all"])
async def test_a_reboot_that_fails_says_how_the_node_is_left(returns: bool, uncordoned: bool, told: str) -> None:
    stage = Stage(Reboot())
    stage.cluster.troubles.gpus_after_reboot["gpu-1"] = 7
    if not returns:
        stage.cluster.troubles.never_returns.add("gpu-1")
    runner = RebootRunner(stage.cluster, Road(stage.cluster))
    await stage.call(runner)
    await stage.call(runner)
    if uncordoned:
        stage.cluster.uncordon_by_hand("gpu-1")
    outcome = await stage.calls(runner)
    assert isinstance(outcome, Fail)
    assert outcome.message.endswith(f"; {told}")
