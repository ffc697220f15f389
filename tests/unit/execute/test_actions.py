"""Cordon, unCordon, enableWarmStandby and offline call by call, and what all do when a person takes the node back.

Drain and reboot have files of their own.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.cluster.memory import Call, Trouble
from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.errors import TemporaryError
from pipeline.execute.actions.cordon import CordonRunner
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.offline import OfflineRunner
from pipeline.execute.actions.port import Abandon, ActionRunner, Done, Intend, Wait
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.execute.actions.standby import StandbyRunner
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.model.node import Node, Taint
from pipeline.model.ownership import (
    CORDONED_AT,
    CORDONED_BY,
    OFFLINE,
    OFFLINE_REASON,
    STANDBY_FOR,
    UNDER_RESCUE,
    WARM_STANDBY,
)
from pipeline.model.plan import Cordon, Drain, EnableWarmStandby, Offline, Reboot, Uncordon
from pipeline.model.rescue import CancelReason
from tests.fakes.faults import NOON
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
    assert isinstance(await stage.call(UncordonRunner(stage.cluster)), Done)
    assert (stage.node.unschedulable, dict(stage.node.annotations)) == (False, {})


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


async def test_an_uncordon_after_the_reboot_was_asked_for_is_no_reason_to_forget_its_proof() -> None:
    stage = Stage(Reboot())
    runner = RebootRunner(stage.cluster, Road(stage.cluster))
    await stage.call(runner)
    await stage.call(runner)
    stage.cluster.uncordon_by_hand("gpu-1")
    assert isinstance(await stage.calls(runner), Done)


def _spare(name: str, **given: Any) -> Node:
    return gpu_node(name, labels={WARM_STANDBY: "true", "app": "train"}, unschedulable=True, **given)


def _standby(stage: Stage, *policies: WarmStandbyPolicy) -> StandbyRunner:
    return StandbyRunner(stage.cluster, lambda: policies, lambda nodes: nodes[0])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("another rescue took it", {"unschedulable": False, "annotations": {STANDBY_FOR: "other"}}),
        ("a person took it", {"unschedulable": False}),
        ("a rescue works on it", {"annotations": {UNDER_RESCUE: "other"}}),
        ("it was taken offline", {"labels": {OFFLINE: "true"}}),
    ],
)
async def test_a_chosen_standby_that_is_not_free_any_more_is_given_up_and_another_one_chosen(
    name: str, change: dict[str, Any]
) -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), _spare("spare-1"), _spare("spare-2"))
    assert isinstance(await stage.call(_standby(stage)), Intend)
    assert stage.step.memo == {"standby": "spare-1"}
    stage.edit("spare-1", **change)
    given_up = await stage.call(_standby(stage))
    assert given_up == Wait(timedelta(seconds=5), {})
    assert isinstance(await stage.call(_standby(stage), timedelta(seconds=5)), Intend)
    assert isinstance(await stage.call(_standby(stage)), Done)
    assert stage.cluster.nodes()["spare-2"].annotations[STANDBY_FOR] == NAME
    assert stage.cluster.nodes()["spare-1"].annotations.get(STANDBY_FOR) != NAME


async def test_a_chosen_standby_that_is_gone_is_given_up() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), _spare("spare-1"))
    await stage.call(_standby(stage))
    stage.cluster.delete_node("spare-1")
    assert await stage.call(_standby(stage)) == Wait(timedelta(seconds=5), {})
    assert await stage.call(_standby(stage)) == Done(
        "no warm standby is left to stand in for gpu-1", {"standby": "none"}
    )


async def test_a_standby_that_only_a_late_cache_shows_as_free_is_not_chosen() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), *(_spare(f"spare-{n}") for n in range(1, 4)))
    stage.cluster.nodes()
    stage.cluster.troubles.cache_lags = True
    stage.edit("spare-1", unschedulable=False, annotations={STANDBY_FOR: "other"})
    stage.cluster.delete_node("spare-2")
    assert isinstance(await stage.call(_standby(stage)), Intend)
    assert stage.step.memo == {"standby": "spare-3"}


async def test_without_a_standby_that_is_really_free_the_rescue_goes_on() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), _spare("spare-1"))
    stage.cluster.nodes()
    stage.cluster.troubles.cache_lags = True
    stage.edit("spare-1", unschedulable=False, annotations={STANDBY_FOR: "other"})
    outcome = await stage.call(_standby(stage))
    assert isinstance(outcome, Done)
    assert outcome.details == {"standby": "none"}


async def test_a_cordoned_standby_is_not_its_own_standby() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(labels={WARM_STANDBY: "true"}))
    outcome = await stage.call(_standby(stage))
    assert isinstance(outcome, Done)
    assert outcome.details == {"standby": "none"}


async def test_a_claim_whose_answer_was_lost_is_found_again() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), _spare("spare-1"))
    await stage.call(_standby(stage))
    stage.cluster.troubles.next(Call.PATCH_NODE, Trouble.LOST_ANSWER)
    with pytest.raises(TemporaryError):
        await stage.call(_standby(stage))
    outcome = await stage.call(_standby(stage))
    assert isinstance(outcome, Done)
    assert outcome.details == {"standby": "spare-1"}


FOREIGN = (Taint("team", "a", "NoExecute"), Taint(OFFLINE, "by-hand", "NoExecute"))
OURS = Taint(OFFLINE, "true", "NoSchedule")


async def test_offline_signs_the_cordon_that_it_makes_and_keeps_foreign_taints() -> None:
    stage = Stage(Offline())
    stage.edit(unschedulable=False, annotations=dict.fromkeys(SIGNED), taints=FOREIGN)
    assert isinstance(await stage.call(OfflineRunner(stage.cluster), MINUTE), Done)
    node = stage.node
    assert (node.unschedulable, node.labels[OFFLINE], node.taints) == (True, "true", (*FOREIGN, OURS))
    assert (node.annotations[CORDONED_BY], node.annotations[CORDONED_AT]) == (NAME, (NOON + MINUTE).isoformat())
    assert node.annotations[OFFLINE_REASON].startswith(f"{NAME}: xid 79 at ")


async def test_offline_does_not_sign_a_cordon_of_another_hand() -> None:
    stage = Stage(Offline())
    stage.hand_over()
    assert isinstance(await stage.call(OfflineRunner(stage.cluster)), Done)
    assert set(stage.node.annotations) == {OFFLINE_REASON}


async def test_offline_a_second_time_writes_nothing() -> None:
    stage = Stage(Offline())
    await stage.call(OfflineRunner(stage.cluster))
    version = stage.node.resource_version
    assert isinstance(await stage.call(OfflineRunner(stage.cluster), HOUR), Done)
    assert stage.node.resource_version == version


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("the label", {"labels": {OFFLINE: None}}),
        ("the taint", {"taints": ()}),
        ("the cordon", {"unschedulable": False}),
    ],
)
async def test_offline_writes_what_is_missing(name: str, change: dict[str, Any]) -> None:
    stage = Stage(Offline())
    await stage.call(OfflineRunner(stage.cluster))
    stage.edit(**change)
    await stage.call(OfflineRunner(stage.cluster))
    node = stage.node
    assert (node.unschedulable, node.labels[OFFLINE], node.taints) == (True, "true", (OURS,))
