"""offline call by call: what it writes, what of others' it leaves, and that only a person brings the node back."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.execute.actions.offline import OfflineRunner
from pipeline.execute.actions.port import Abandon, Done
from pipeline.model.node import NodePatch, Taint
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY, IGNORE, OFFLINE, OFFLINE_REASON
from pipeline.model.plan import Cordon, Drain, Offline
from pipeline.model.rescue import CancelReason, Status
from tests.fakes.faults import NOON, node_fault, plan, rescue
from tests.fakes.stage import HOUR, MINUTE, NAME, SIGNED, Stage
from tests.fakes.world import World

FOREIGN = (Taint("team", "a", "NoExecute"), Taint(OFFLINE, "by-hand", "NoExecute"))
OURS = Taint(OFFLINE, "true", "NoSchedule")


def _without_cordon() -> Stage:
    """A plan of offline alone: the cordon is its own."""
    stage = Stage(Offline())
    stage.edit(unschedulable=False, annotations=dict.fromkeys(SIGNED))
    stage.rescue = replace(stage.rescue, plan=plan(Offline()), steps=(stage.step,))
    return stage


async def test_offline_signs_the_cordon_that_it_makes_and_keeps_foreign_taints() -> None:
    stage = _without_cordon()
    stage.edit(taints=FOREIGN)
    assert isinstance(await stage.call(OfflineRunner(stage.cluster), MINUTE), Done)
    node = stage.node
    assert (node.unschedulable, node.labels[OFFLINE], node.taints) == (True, "true", (*FOREIGN, OURS))
    assert (node.annotations[CORDONED_BY], node.annotations[CORDONED_AT]) == (NAME, (NOON + MINUTE).isoformat())
    assert node.annotations[OFFLINE_REASON] == f"{NAME}: xid 79 at {(NOON + MINUTE).isoformat()}"


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
    ("name", "change"), [("the label", {"labels": {OFFLINE: None}}), ("the taint", {"taints": ()})]
)
async def test_offline_writes_what_is_missing(name: str, change: dict[str, Any]) -> None:
    stage = Stage(Offline())
    await stage.call(OfflineRunner(stage.cluster))
    stage.edit(**change)
    await stage.call(OfflineRunner(stage.cluster))
    node = stage.node
    assert (node.unschedulable, node.labels[OFFLINE], node.taints) == (True, "true", (OURS,))


@pytest.mark.parametrize(
    ("name", "before", "label", "taints"),
    [
        ("the value of their label", {"labels": {OFFLINE: "since-may"}}, "since-may", (OURS,)),
        (
            "the value of their taint of the same effect",
            {"taints": (Taint(OFFLINE, "rma-4711", "NoSchedule"),)},
            "true",
            (Taint(OFFLINE, "rma-4711", "NoSchedule"),),
        ),
        (
            "their taint of the same key and another effect",
            {"taints": (Taint(OFFLINE, "true", "PreferNoSchedule"),)},
            "true",
            (Taint(OFFLINE, "true", "PreferNoSchedule"), OURS),
        ),
        (
            "their taint of another key and the same effect",
            {"taints": (Taint("team", "true", "NoSchedule"),)},
            "true",
            (Taint("team", "true", "NoSchedule"), OURS),
        ),
    ],
)
async def test_what_somebody_else_has_set_stays(
    name: str, before: dict[str, Any], label: str, taints: tuple[Taint, ...]
) -> None:
    stage = Stage(Offline())
    stage.edit(**before)
    assert isinstance(await stage.call(OfflineRunner(stage.cluster)), Done)
    assert (stage.node.labels[OFFLINE], stage.node.taints) == (label, taints)


async def test_a_node_that_a_person_has_uncordoned_before_is_not_taken_out() -> None:
    stage = Stage(Offline())
    stage.cluster.uncordon_by_hand("gpu-1")
    told = "somebody has uncordoned gpu-1 meanwhile: it is left to them"
    assert await stage.call(OfflineRunner(stage.cluster)) == Abandon(CancelReason.UNCORDONED, told)
    node = stage.node
    assert (node.unschedulable, dict(node.annotations), node.taints, OFFLINE in node.labels) == (False, {}, (), False)


async def test_a_node_that_was_opted_out_is_not_taken_out() -> None:
    stage = Stage(Offline())
    stage.edit(annotations={IGNORE: "true"})
    outcome = await stage.call(OfflineRunner(stage.cluster))
    assert isinstance(outcome, Abandon)
    assert outcome.reason is CancelReason.OPTED_OUT
    assert (OFFLINE in stage.node.labels, dict(stage.node.annotations)) == (False, {**SIGNED, IGNORE: "true"})


async def test_a_node_that_a_person_has_brought_back_is_rescued_again() -> None:
    world = World()
    await world.store.create(rescue("first", plan=plan(Cordon(), Drain(), Offline())))
    await world.run()
    assert OFFLINE in world.cluster.nodes()["gpu-1"].labels
    await world.store.create(rescue("meanwhile"))
    await world.run()
    assert world.rescue("meanwhile").reason == CancelReason.NODE_OFFLINE
    world.clock.move_to(NOON + HOUR)
    world.cluster.edit_node("gpu-1", NodePatch(unschedulable=False, labels={OFFLINE: None}, taints=()))
    now = world.clock.now()
    await world.store.create(rescue("second", now=now, cause=node_fault(time=now)))
    await world.run()
    node = world.cluster.nodes()["gpu-1"]
    assert world.rescue("second").status is Status.SUCCEEDED
    assert len(world.cluster.reboots) == 1
    assert (node.unschedulable, CORDONED_BY in node.annotations, node.taints) == (False, False, ())
