"""enableWarmStandby call by call: whom it chooses, what a claim writes, what is told of what is left."""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.cluster.memory import Call, Trouble
from pipeline.errors import ConflictError, TemporaryError
from pipeline.execute.actions.port import Abandon, Done, Intend, Wait
from pipeline.model.ownership import (
    CORDONED_BY,
    IGNORE,
    OFFLINE,
    STANDBY_FOR,
    STANDBY_LABEL,
    STANDBY_OF,
    UNDER_RESCUE,
    WARM_STANDBY,
)
from pipeline.model.plan import EnableWarmStandby
from pipeline.model.rescue import CancelReason
from tests.fakes.stage import NAME, SIGNED, Stage
from tests.fakes.standbys import CLAIMED, claiming, policy, spare
from tests.fakes.world import gpu_node

AGAIN = Wait(timedelta(seconds=5), {})
NONE: dict[str, str | int | bool] = {"standby": "none", "reserve_left": 0}


async def test_a_claim_puts_into_service_marks_and_takes_the_label_off_in_one_write() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), spare("spare-2"))
    assert await stage.call(claiming(stage)) == Intend(
        {"standby": "spare-1"},
        "spare-1 is to stand in for gpu-1, by no policy that names one for it, so any would do",
    )
    before = stage.cluster.generation
    with capture_logs() as logs:
        outcome = await stage.call(claiming(stage))
    assert outcome == Done("spare-1 stands in for gpu-1", {"standby": "spare-1", "reserve_left": 1})
    standby = stage.cluster.nodes()["spare-1"]
    assert (standby.unschedulable, dict(standby.labels)) == (False, {"app": "train"})
    expected = {STANDBY_FOR: NAME, STANDBY_OF: "gpu-1", STANDBY_LABEL: f"{WARM_STANDBY}=hot"}
    assert dict(standby.annotations) == expected == CLAIMED
    assert stage.cluster.generation == before + 1
    assert logs == []


_OF_AN_EARLIER_RESCUE = {**CLAIMED, STANDBY_FOR: "gpu-1-xid-48-earlier"}


async def test_a_standby_that_stands_in_for_the_node_already_goes_on_and_no_other_is_taken() -> None:
    serving = spare("spare-2", labels={}, unschedulable=False, annotations=_OF_AN_EARLIER_RESCUE)
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), serving)
    assert await stage.call(claiming(stage)) == Intend(
        {"standby": "spare-2"}, "spare-2 stands in for gpu-1 already, and is to go on"
    )
    outcome = await stage.call(claiming(stage))
    assert outcome == Done("spare-2 stands in for gpu-1", {"standby": "spare-2", "reserve_left": 1})
    assert stage.cluster.nodes()["spare-2"].annotations == CLAIMED
    assert stage.cluster.nodes()["spare-1"].unschedulable


@pytest.mark.parametrize(
    "given",
    [
        {"annotations": {**_OF_AN_EARLIER_RESCUE, STANDBY_OF: "gpu-2"}},
        {"ready": False},
        {"unschedulable": True},
        {"annotations": {**_OF_AN_EARLIER_RESCUE, CORDONED_BY: "another"}},
    ],
    ids=["of another node", "not ready", "cordoned by somebody", "itself under rescue"],
)
async def test_a_standby_does_not_go_on_that_is(given: dict[str, Any]) -> None:
    serving = {"labels": {}, "unschedulable": False, "annotations": _OF_AN_EARLIER_RESCUE, **given}
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), spare("spare-2", **serving))
    outcome = await stage.call(claiming(stage))
    assert isinstance(outcome, Intend)
    assert outcome.memo == {"standby": "spare-1"}


async def test_a_standby_with_a_fault_of_its_own_does_not_go_on() -> None:
    serving = spare("spare-2", labels={}, unschedulable=False, annotations=_OF_AN_EARLIER_RESCUE)
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), serving)
    outcome = await stage.call(claiming(stage, failing=lambda: {"spare-2"}))
    assert isinstance(outcome, Intend)
    assert outcome.memo == {"standby": "spare-1"}


async def test_a_standby_that_left_service_between_the_choice_and_the_claim_is_given_up() -> None:
    serving = spare("spare-2", labels={}, unschedulable=False, annotations=_OF_AN_EARLIER_RESCUE)
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), serving)
    await stage.call(claiming(stage))
    stage.edit("spare-2", unschedulable=True)
    assert await stage.call(claiming(stage)) == AGAIN


async def test_the_reserve_is_the_nodes_with_the_label_of_the_settings() -> None:
    pool = spare("pool-1", labels={"team/pool": ""})
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), pool)
    runner = claiming(stage, label="team/pool")
    await stage.call(runner)
    assert stage.step.memo == {"standby": "pool-1"}
    await stage.call(runner)
    assert stage.cluster.nodes()["pool-1"].labels == {}
    assert stage.cluster.nodes()["pool-1"].annotations[STANDBY_LABEL] == "team/pool="
    assert stage.cluster.nodes()["spare-1"].labels[WARM_STANDBY] == "hot"


async def test_a_policy_that_names_the_standby_is_told() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), spare("spare-2", labels={WARM_STANDBY: "hot", "zone": "b"}))
    intent = await stage.call(claiming(stage, policy("by-zone", {"app": "train"}, {"zone": "b"})))
    assert intent == Intend({"standby": "spare-2"}, "spare-2 is to stand in for gpu-1, by policy by-zone")


async def test_that_the_last_one_was_taken_is_told() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), spare("spare-2", ready=False))
    await stage.call(claiming(stage))
    with capture_logs() as logs:
        outcome = await stage.call(claiming(stage))
    told = "spare-1 stands in for gpu-1; it was the last free warm standby"
    assert outcome == Done(told, {"standby": "spare-1", "reserve_left": 0})
    assert [(log["event"], log["log_level"]) for log in logs] == [("standby.last-taken", "warning")]


async def test_what_is_left_is_counted_without_a_claimed_one_that_a_late_cache_shows_as_free() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), spare("spare-2"))
    stage.cluster.nodes()
    stage.cluster.troubles.cache_lags = True
    outcome = await stage.calls(claiming(stage))
    assert outcome == Done("spare-1 stands in for gpu-1", {"standby": "spare-1", "reserve_left": 1})


async def test_that_none_is_left_is_told_with_what_keeps_each_from_service() -> None:
    nodes = [spare("spare-1", unschedulable=False), spare("spare-2", annotations={UNDER_RESCUE: "r7"})]
    stage = Stage(EnableWarmStandby(), gpu_node(), *nodes)
    with capture_logs() as logs:
        outcome = await stage.call(claiming(stage))
    told = "no warm standby is left to stand in for gpu-1: spare-1 is in service, spare-2 is worked on by rescue r7"
    assert outcome == Done(told, NONE)
    assert [(log["event"], log["log_level"]) for log in logs] == [("standby.none-left", "warning")]


CHANGES: list[Any] = [
    pytest.param({"unschedulable": False, "annotations": {STANDBY_FOR: "other"}}, id="another rescue took it"),
    pytest.param({"unschedulable": False}, id="a person took it"),
    pytest.param({"annotations": {UNDER_RESCUE: "other"}}, id="a rescue works on it"),
    pytest.param({"annotations": {CORDONED_BY: "other"}}, id="a rescue has cordoned it"),
    pytest.param({"labels": {OFFLINE: "true"}}, id="it was taken offline"),
    pytest.param({"labels": {WARM_STANDBY: None}}, id="a person took its label off"),
    pytest.param({"labels": {WARM_STANDBY: "false"}}, id="a person labelled it as none"),
    pytest.param({"annotations": {IGNORE: "true"}}, id="a person has opted it out"),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_chosen_standby_that_is_not_free_any_more_is_given_up_and_another_one_chosen(
    change: dict[str, Any],
) -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare("spare-1"), spare("spare-2"))
    await stage.call(claiming(stage))
    assert stage.step.memo == {"standby": "spare-1"}
    stage.edit("spare-1", **change)
    left = stage.cluster.nodes()["spare-1"]
    assert await stage.call(claiming(stage)) == AGAIN
    assert isinstance(await stage.call(claiming(stage), timedelta(seconds=5)), Intend)
    assert isinstance(await stage.call(claiming(stage)), Done)
    assert stage.cluster.nodes()["spare-2"].annotations[STANDBY_FOR] == NAME
    assert stage.cluster.nodes()["spare-1"] == left


@pytest.mark.parametrize("change", CHANGES)
async def test_a_standby_that_only_a_late_cache_shows_as_free_is_not_chosen(change: dict[str, Any]) -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), *(spare(f"spare-{n}") for n in range(1, 4)))
    stage.cluster.nodes()
    stage.cluster.troubles.cache_lags = True
    stage.edit("spare-1", **change)
    stage.cluster.delete_node("spare-2")
    assert isinstance(await stage.call(claiming(stage)), Intend)
    assert stage.step.memo == {"standby": "spare-3"}


async def test_a_standby_that_a_rescue_is_open_for_is_neither_chosen_nor_claimed() -> None:
    failing = {"spare-1"}
    stage = Stage(EnableWarmStandby(), gpu_node(), spare("spare-1"), spare("spare-2"))
    runner = claiming(stage, failing=lambda: failing)
    await stage.call(runner)
    assert stage.step.memo == {"standby": "spare-2"}
    failing.add("spare-2")
    assert await stage.call(runner) == AGAIN
    assert await stage.call(runner) == Done("no warm standby is left to stand in for gpu-1", NONE)
    assert stage.cluster.nodes()["spare-2"].unschedulable


async def test_a_chosen_standby_that_is_gone_is_given_up() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare())
    await stage.call(claiming(stage))
    stage.cluster.delete_node("spare-1")
    assert await stage.call(claiming(stage)) == AGAIN
    assert await stage.call(claiming(stage)) == Done("no warm standby is left to stand in for gpu-1", NONE)


async def test_a_standby_that_goes_between_look_and_write_does_not_fail_the_rescue() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare())
    await stage.call(claiming(stage))
    stage.cluster.before_patch = lambda: stage.cluster.delete_node("spare-1")
    assert await stage.call(claiming(stage)) == AGAIN


async def test_a_standby_that_is_taken_between_look_and_write_is_not_taken_again() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare())
    await stage.call(claiming(stage))
    theirs = {STANDBY_FOR: "other"}
    stage.cluster.before_patch = lambda: stage.edit("spare-1", unschedulable=False, annotations=theirs)
    with pytest.raises(ConflictError):
        await stage.call(claiming(stage))
    assert await stage.call(claiming(stage)) == AGAIN
    assert dict(stage.cluster.nodes()["spare-1"].annotations) == theirs


async def test_without_a_standby_that_is_really_free_the_rescue_goes_on() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare())
    stage.cluster.nodes()
    stage.cluster.troubles.cache_lags = True
    stage.edit("spare-1", unschedulable=False, annotations={STANDBY_FOR: "other"})
    outcome = await stage.call(claiming(stage))
    assert isinstance(outcome, Done)
    assert outcome.details == NONE


async def test_a_labelled_node_that_was_in_service_is_not_its_own_standby() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(labels={WARM_STANDBY: "true"}))
    outcome = await stage.call(claiming(stage))
    assert isinstance(outcome, Done)
    assert outcome.details == NONE


async def test_a_standby_that_fails_while_it_stands_by_needs_none_in_its_place() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(labels={WARM_STANDBY: "true"}), spare())
    stage.hand_over()
    told = "gpu-1 is a standby itself: none has to stand in for it"
    assert await stage.call(claiming(stage)) == Done(told, {"standby": "none"})
    assert stage.cluster.nodes()["spare-1"].unschedulable


async def test_a_claim_whose_answer_was_lost_is_found_again() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare(), spare("spare-2"))
    await stage.call(claiming(stage))
    stage.cluster.troubles.next(Call.PATCH_NODE, Trouble.LOST_ANSWER)
    with pytest.raises(TemporaryError):
        await stage.call(claiming(stage))
    version = stage.cluster.nodes()["spare-1"].resource_version
    outcome = await stage.call(claiming(stage))
    assert outcome == Done("spare-1 stands in for gpu-1", {"standby": "spare-1", "reserve_left": 1})
    assert stage.cluster.nodes()["spare-1"].resource_version == version
    assert stage.cluster.nodes()["spare-2"].unschedulable


@pytest.mark.parametrize("claimed", [False, True], ids=["before the claim", "after a claim that nobody knows of"])
async def test_a_node_that_was_taken_back_needs_no_standby(claimed: bool) -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare())
    await stage.call(claiming(stage))
    if claimed:
        stage.cluster.troubles.next(Call.PATCH_NODE, Trouble.LOST_ANSWER)
        with pytest.raises(TemporaryError):
            await stage.call(claiming(stage))
    stage.cluster.uncordon_by_hand("gpu-1")
    outcome = await stage.call(claiming(stage))
    assert isinstance(outcome, Abandon)
    assert outcome.reason is CancelReason.UNCORDONED
    standby = stage.cluster.nodes()["spare-1"]
    assert (standby.unschedulable, standby.labels[WARM_STANDBY]) == (True, "hot")
    assert dict(standby.annotations) == dict(stage.node.annotations) == {}


async def test_a_node_that_was_opted_out_gets_no_standby_and_stays_as_it_is() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare())
    stage.edit(annotations={IGNORE: "true"})
    outcome = await stage.call(claiming(stage))
    assert isinstance(outcome, Abandon)
    assert outcome.reason is CancelReason.OPTED_OUT
    assert outcome.message.startswith("gpu-1: somebody has opted the node out")
    assert (stage.node.unschedulable, dict(stage.node.annotations)) == (True, {**SIGNED, IGNORE: "true"})
    assert stage.cluster.nodes()["spare-1"].unschedulable


async def test_each_standby_is_as_likely_as_the_other() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), *(spare(f"spare-{n}") for n in range(5)))
    runner = claiming(stage, choose=random.Random(20261120).choice)
    rounds = 2000
    counts: Counter[str] = Counter()
    for _ in range(rounds):
        outcome = await runner.run(EnableWarmStandby(), stage.rescue, stage.step, stage.now())
        assert isinstance(outcome, Intend)
        counts[outcome.memo["standby"]] += 1
    expected = rounds / 5
    # Chi-square with four degrees of freedom: 18.47 is exceeded once in a thousand times.
    assert len(counts) == 5
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 18.47
