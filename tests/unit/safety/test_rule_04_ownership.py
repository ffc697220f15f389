"""Rule 4: we undo only what we did, and what people took back or opted out is left to them.

Broken by runners that do not ask whose the cordon is, and by taking out the guard of the opt-out.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from pipeline.execute.actions.port import Done, Outcome
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.model.guard import Guard
from pipeline.model.node import Node, NodePatch, Taint
from pipeline.model.ownership import CORDONED_BY, IGNORE, UNDER_RESCUE
from pipeline.model.plan import Cordon, Reboot, Uncordon
from pipeline.model.rescue import CancelReason, Rescue, Status, StepState
from tests.fakes.breaking import take_out
from tests.fakes.faults import NOON, plan, rescue
from tests.fakes.world import World, gpu_node

MINUTE = timedelta(minutes=1)
Person = Callable[[World], None]
Break = Callable[[pytest.MonkeyPatch], None]
THEIRS = Taint("node.kubernetes.io/maintenance", "team", "NoSchedule")


FOREIGN = [
    pytest.param(gpu_node(unschedulable=True), id="a person's cordon"),
    pytest.param(gpu_node(unschedulable=True, annotations={CORDONED_BY: "gpu-1-xid-95"}), id="another rescue's cordon"),
    pytest.param(
        gpu_node(unschedulable=True, taints=(THEIRS,), labels={"team": "red"}, annotations={"note": "mine"}),
        id="a person's cordon with a taint, a label and a note",
    ),
]


def _marks(node: Node) -> tuple[object, ...]:
    """All that a hand can leave on a node."""
    return node.unschedulable, node.taints, dict(node.labels), dict(node.annotations)


async def _runs_over(node: Node) -> World:
    world = World([node])
    await world.store.create(rescue())
    await world.run()
    return world


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_what_others_put_on_the_node_is_there_after_a_whole_rescue_and_nothing_of_ours(foreign: Node) -> None:
    world = await _runs_over(foreign)
    assert (world.rescue().status, len(world.cluster.reboots)) == (Status.SUCCEEDED, 1)
    assert _marks(world.cluster.nodes()["gpu-1"]) == _marks(foreign)


async def _lift_any(self: UncordonRunner, action: Uncordon, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
    node = await self._cluster.get_node(rescue.node)
    patch = NodePatch(unschedulable=False, annotations={CORDONED_BY: None, UNDER_RESCUE: None})
    await self._cluster.patch_node(node.name, patch, node.resource_version)
    return Done(f"{node.name} is schedulable again")


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_an_uncordon_that_asks_nobody_lifts_it(foreign: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UncordonRunner, "run", _lift_any)
    world = await _runs_over(foreign)
    assert not world.cluster.nodes()["gpu-1"].unschedulable


def _uncordon(world: World) -> None:
    world.cluster.edit_node("gpu-1", NodePatch(unschedulable=False))


def _opt_out(world: World) -> None:
    world.cluster.edit_node("gpu-1", NodePatch(annotations={IGNORE: "true"}))


def _runners_do_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    for runner in ("cordon", "reboot"):
        monkeypatch.setattr(f"pipeline.execute.actions.{runner}.taken_back", lambda *_: False)


def _nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    _runners_do_not_ask(monkeypatch)
    take_out(monkeypatch, Guard.OPT_OUT)


TAKEN_BACK = [
    pytest.param(_uncordon, _runners_do_not_ask, CancelReason.UNCORDONED, id="a person's uncordon"),
    pytest.param(_opt_out, _nobody_asks, CancelReason.OPTED_OUT, id="a person's opt-out"),
]


async def _taken_back_by(person: Person) -> World:
    """The node is taken back between the cordon and the reboot."""
    world = World()
    await world.store.create(rescue(plan=plan(Cordon(), Reboot(2 * MINUTE), Uncordon())))
    await world.run(until=NOON + MINUTE)
    person(world)
    await world.run()
    return world


@pytest.mark.parametrize(("person", "breaks", "reason"), TAKEN_BACK)
async def test_a_node_that_is_taken_back_is_not_rebooted(person: Person, breaks: Break, reason: CancelReason) -> None:
    world = await _taken_back_by(person)
    assert (world.rescue().status, world.rescue().reason) == (Status.CANCELLED, reason)
    assert world.cluster.reboots == ()


@pytest.mark.parametrize(("person", "breaks", "reason"), TAKEN_BACK)
async def test_where_nobody_asks_it_is_rebooted(
    person: Person, breaks: Break, reason: CancelReason, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    assert [reboot.node for reboot in (await _taken_back_by(person)).cluster.reboots] == ["gpu-1"]
