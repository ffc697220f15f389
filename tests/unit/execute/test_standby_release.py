"""What becomes of a claimed standby when its rescue ends without needing it, and when it does not."""

from datetime import timedelta
from typing import Any

import pytest

from pipeline.cluster.memory import Call, Trouble
from pipeline.decide.standby import is_free
from pipeline.errors import ConflictError, TemporaryError
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.offline import OfflineRunner
from pipeline.execute.actions.port import Abandon, ActionRunner, Wait
from pipeline.execute.actions.reboot import RebootRunner
from pipeline.model.node import Node, Pod
from pipeline.model.ownership import CORDONED_BY, IGNORE, STANDBY_FOR, STANDBY_LABEL, UNDER_RESCUE, WARM_STANDBY
from pipeline.model.plan import Action, Cordon, Drain, EnableWarmStandby, Offline, Reboot, Uncordon
from pipeline.model.rescue import CancelReason, FailReason, Status
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.stage import MINUTE, NEVER, POD, POLL, Road, Stage
from tests.fakes.standbys import CLAIMED, LABEL, replaced, spare
from tests.fakes.world import World, gpu_node

LEFT = "somebody has uncordoned gpu-1 meanwhile: it is left to them"


def _standby(stage: Stage) -> Node:
    return stage.cluster.nodes()["spare-1"]


async def _taken_back(stage: Stage) -> str:
    stage.cluster.uncordon_by_hand("gpu-1")
    outcome = await stage.call(DrainRunner(stage.cluster))
    assert isinstance(outcome, Abandon)
    assert outcome.reason is CancelReason.UNCORDONED
    assert outcome.message.startswith(LEFT)
    return outcome.message.removeprefix(LEFT)


async def test_the_standby_of_a_node_that_a_person_took_back_is_a_free_standby_again() -> None:
    stage = replaced(Drain(), pods=[POD, Pod("team", "new-0", "spare-1", owner="Job")])
    writes = stage.cluster.generation
    assert await _taken_back(stage) == "; spare-1 is back in the reserve"
    standby = _standby(stage)
    assert (standby.unschedulable, dict(standby.labels)) == (True, {**LABEL, "app": "train"})
    assert (dict(standby.annotations), dict(stage.node.annotations)) == ({}, {})
    assert is_free(standby, WARM_STANDBY)
    assert stage.cluster.generation == writes + 3
    assert [pod.name for pod in await stage.cluster.pods_on("spare-1") if not pod.terminating] == ["new-0"]


async def test_it_goes_back_also_from_the_middle_of_a_drain() -> None:
    stage = replaced(Drain(), pods=[POD])
    stage.cluster.add_budget(NEVER)
    assert isinstance(await stage.call(DrainRunner(stage.cluster)), Wait)
    stage.clock.move_to(stage.now() + POLL)
    assert await _taken_back(stage) == "; spare-1 is back in the reserve"
    assert is_free(_standby(stage), WARM_STANDBY)


@pytest.mark.parametrize("action", [Reboot(), Offline()], ids=["before the reboot", "before it goes offline"])
async def test_it_stays_in_service_once_the_node_was_drained(action: Action) -> None:
    stage = replaced(action)
    before = _standby(stage)
    stage.cluster.uncordon_by_hand("gpu-1")
    runner: ActionRunner[Any] = OfflineRunner(stage.cluster)
    if isinstance(action, Reboot):
        runner = RebootRunner(stage.cluster, Road(stage.cluster))
    told = f"{LEFT}; spare-1 has taken over its work and stays in service"
    assert await stage.call(runner) == Abandon(CancelReason.UNCORDONED, told)
    assert _standby(stage) == before


@pytest.mark.parametrize(
    ("name", "change", "unschedulable", "labels"),
    [
        ("cordoned it", {"unschedulable": True}, True, {}),
        ("labelled it", {"labels": {WARM_STANDBY: "warm"}}, False, {WARM_STANDBY: "warm"}),
        (
            "put it back by hand",
            {"unschedulable": True, "labels": {WARM_STANDBY: "warm"}},
            True,
            {WARM_STANDBY: "warm"},
        ),
        ("labelled it as none", {"labels": {WARM_STANDBY: "false"}}, False, {WARM_STANDBY: "false"}),
        ("forgot its label", {"annotations": {STANDBY_LABEL: None}}, False, {}),
        ("garbled its label", {"annotations": {STANDBY_LABEL: "hot"}}, False, {}),
        ("garbled its label's key", {"annotations": {STANDBY_LABEL: "=hot"}}, False, {}),
    ],
)
async def test_whoever_has_changed_it_meanwhile_wins_and_only_our_marks_come_off(
    name: str, change: dict[str, Any], unschedulable: bool, labels: dict[str, str]
) -> None:
    stage = replaced(Drain())
    stage.edit("spare-1", **change)
    assert await _taken_back(stage) == "; spare-1 was changed by others meanwhile and is left to them"
    standby = _standby(stage)
    assert (standby.unschedulable, dict(standby.labels)) == (unschedulable, {"app": "train", **labels})
    assert dict(standby.annotations) == {}


@pytest.mark.parametrize("mark", [CORDONED_BY, UNDER_RESCUE])
async def test_a_standby_that_another_rescue_works_on_is_left_to_it(mark: str) -> None:
    stage = replaced(Drain())
    stage.edit("spare-1", annotations={mark: "other"})
    assert await _taken_back(stage) == "; spare-1 was changed by others meanwhile and is left to them"
    assert dict(_standby(stage).annotations) == {mark: "other"}
    assert WARM_STANDBY not in _standby(stage).labels


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("of another rescue", {"annotations": {STANDBY_FOR: "other"}}),
        ("of nobody", {"annotations": dict.fromkeys(CLAIMED)}),
        ("of nobody, and in the reserve", {"annotations": dict.fromkeys(CLAIMED), "labels": LABEL}),
    ],
)
async def test_a_standby_that_is_not_ours_any_more_is_not_touched(name: str, change: dict[str, Any]) -> None:
    stage = replaced(Drain())
    stage.edit("spare-1", **change)
    before = _standby(stage)
    assert await _taken_back(stage) == ""
    assert _standby(stage) == before


async def test_a_standby_that_was_opted_out_is_not_touched() -> None:
    stage = replaced(Drain())
    stage.edit("spare-1", annotations={IGNORE: "true"})
    before = _standby(stage)
    assert await _taken_back(stage) == "; spare-1 is opted out and stays as it is"
    assert _standby(stage) == before


async def test_a_standby_that_is_gone_is_no_reason_to_keep_the_node() -> None:
    stage = replaced(Drain(), gpu_node())
    assert await _taken_back(stage) == ""
    assert dict(stage.node.annotations) == {}


async def test_a_standby_that_goes_between_look_and_write_is_none_either() -> None:
    stage = replaced(Drain())
    stage.cluster.before_patch = lambda: stage.cluster.delete_node("spare-1")
    assert (await _taken_back(stage)).startswith("; spare-1 could not be put back into the reserve: ")
    assert dict(stage.node.annotations) == {}


async def test_nor_is_one_that_the_server_lets_nobody_touch() -> None:
    stage = replaced(Drain())
    stage.cluster.refuses = frozenset({"spare-1"})
    told = "; spare-1 could not be put back into the reserve: node spare-1 may not be patched"
    assert await _taken_back(stage) == told
    assert dict(stage.node.annotations) == {}


async def test_whoever_changes_it_between_look_and_write_wins() -> None:
    stage = replaced(Drain())
    stage.cluster.uncordon_by_hand("gpu-1")
    stage.cluster.before_patch = lambda: stage.cluster.cordon_by_hand("spare-1")
    with pytest.raises(ConflictError):
        await stage.call(DrainRunner(stage.cluster))
    assert await _taken_back(stage) == "; spare-1 was changed by others meanwhile and is left to them"
    assert WARM_STANDBY not in _standby(stage).labels


@pytest.mark.parametrize("first", [Trouble.LOST_ANSWER, Trouble.CONFLICT])
@pytest.mark.parametrize("second", [Trouble.LOST_ANSWER, Trouble.CONFLICT])
async def test_it_goes_back_once_however_often_it_is_tried(first: Trouble, second: Trouble) -> None:
    stage = replaced(Drain(), pods=[POD])
    stage.cluster.uncordon_by_hand("gpu-1")
    for trouble in (first, second):
        stage.cluster.troubles.next(Call.PATCH_NODE, trouble)
        with pytest.raises(TemporaryError):
            await stage.call(DrainRunner(stage.cluster))
    for _ in range(2):
        outcome = await stage.call(DrainRunner(stage.cluster))
        assert isinstance(outcome, Abandon)
        assert is_free(_standby(stage), WARM_STANDBY)
        assert (dict(stage.node.annotations), await stage.pods()) == ({}, {"train-0": False})


async def test_a_node_that_was_opted_out_stays_cordoned_and_keeps_its_standby() -> None:
    stage = replaced(Drain(), pods=[POD])
    stage.edit(annotations={IGNORE: "true"})
    before = stage.cluster.nodes()
    outcome = await stage.call(DrainRunner(stage.cluster))
    assert isinstance(outcome, Abandon)
    assert outcome.reason is CancelReason.OPTED_OUT
    assert "left as it is after cordon, enableWarmStandby" in outcome.message
    assert stage.cluster.nodes() == before
    assert await stage.pods() == {"train-0": False}


async def test_a_node_that_was_opted_out_and_uncordoned_gives_its_standby_back() -> None:
    stage = replaced(Drain())
    stage.edit(annotations={IGNORE: "true"})
    assert await _taken_back(stage) == "; spare-1 is back in the reserve"
    assert dict(stage.node.annotations) == {IGNORE: "true"}


PLAN = (Cordon(), EnableWarmStandby(), Drain(), Reboot(), Uncordon())


async def test_a_rescue_that_is_cancelled_by_a_persons_uncordon_leaves_the_reserve_as_it_was() -> None:
    world = World([gpu_node(), spare()], [POD])
    world.cluster.add_budget(NEVER)
    await world.store.create(rescue(plan=plan(*PLAN)))
    await world.run(until=NOON + MINUTE)
    assert not world.cluster.nodes()["spare-1"].unschedulable
    world.cluster.uncordon_by_hand("gpu-1")
    await world.run()
    ended = world.rescue()
    assert (ended.status, ended.reason) == (Status.CANCELLED, CancelReason.UNCORDONED)
    assert ended.journal[-1].message.endswith("; spare-1 is back in the reserve")
    assert is_free(world.cluster.nodes()["spare-1"], WARM_STANDBY)


async def test_a_rescue_that_fails_keeps_its_standby_because_the_node_stays_out() -> None:
    world = World([gpu_node(), spare()], [POD])
    world.cluster.add_budget(NEVER)
    await world.store.create(rescue(plan=plan(Cordon(), EnableWarmStandby(), Drain(waittime=timedelta(minutes=2)))))
    await world.run()
    assert world.rescue().reason == FailReason.DRAIN_TIMEOUT
    assert world.cluster.nodes()["gpu-1"].unschedulable
    standby = world.cluster.nodes()["spare-1"]
    assert (standby.unschedulable, dict(standby.annotations)) == (False, CLAIMED)


async def test_a_node_that_was_deleted_keeps_its_standby_because_its_pods_need_a_place() -> None:
    world = World([gpu_node(), spare()], [POD])
    world.cluster.add_budget(NEVER)
    await world.store.create(rescue(plan=plan(*PLAN)))
    await world.run(until=NOON + MINUTE)
    world.cluster.delete_node("gpu-1")
    await world.run()
    assert world.rescue().reason == FailReason.NODE_GONE
    assert dict(world.cluster.nodes()["spare-1"].annotations) == CLAIMED
