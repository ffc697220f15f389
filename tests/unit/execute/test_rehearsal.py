"""What is rehearsed is executed beside what is done, and neither knows of the other."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster, twin
from pipeline.execute.executor import Executor
from pipeline.execute.recorder import Recorder
from pipeline.execute.rehearsal import Drills, Rehearsal
from pipeline.execute.store_memory import MemoryStore
from pipeline.execute.store_view import StoreView, is_drill
from pipeline.model.line import LogLine
from pipeline.model.node import Node, Pod
from pipeline.model.ownership import OFFLINE as OFFLINE_LABEL
from pipeline.model.plan import ActionName
from pipeline.model.rescue import HoldReason, Status
from pipeline.rebooters.simulated import SimulatedRebooter
from tests.fakes.faults import NOON, line, rescue
from tests.fakes.theatre import CORDON, OFFLINE, REBOOT, Theatre, policy
from tests.fakes.world import gpu_node, runners

XID_79 = "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."
XID_48 = "NVRM: Xid (PCI:0000:3b:00): 48, DBE"
DRILL = f"gpu-rescue-drill: {XID_79}"
REAL_DRILL = f"gpu-rescue-drill-for-real: {XID_79}"
WATCHED_79 = policy("watched", "79", REBOOT, dry_run=True)
REAL_79 = policy("real", "79", REBOOT)
REAL_48 = policy("real-48", "48", CORDON)
PODS = (Pod("team", "train-0", "gpu-1", owner="Job"),)
MINUTE = timedelta(minutes=1)


def _untouched(theatre: Theatre, before: Node) -> bool:
    return theatre.world.cluster.nodes()[before.name] == before and not theatre.world.cluster.reboots


def _kinds(theatre: Theatre) -> set[tuple[str, bool]]:
    """The node of every record about a rescue, and whether it says that it was a dry run."""
    bodies = [record.document for record in theatre.world.sink.records]
    return {
        (body["host"]["name"], body["gpu_rescue"]["rescue"]["dry_run"])
        for body in bodies
        if "rescue" in body["gpu_rescue"]
    }


@pytest.mark.parametrize(
    ("text", "policies", "dry_run"),
    [
        pytest.param(XID_79, (WATCHED_79,), False, id="by the policy's own word"),
        pytest.param(XID_79, (REAL_79,), True, id="by the global setting"),
        pytest.param(DRILL, (REAL_79,), False, id="because it is a drill"),
        pytest.param(REAL_DRILL, (REAL_79,), True, id="a drill that was to be real, under the global setting"),
    ],
)
async def test_a_rehearsal_goes_its_whole_course_and_touches_nothing(
    text: str, policies: tuple[str, ...], dry_run: bool
) -> None:
    theatre = Theatre(*policies, pods=PODS, dry_run=dry_run)
    before, pods = theatre.world.cluster.nodes()["gpu-1"], await theatre.world.cluster.pods_on("gpu-1")
    rescue = await theatre.take(text)
    await theatre.run()
    ended = theatre.rescue(rescue.name)
    assert (ended.status, ended.dry_run, ended.rebooted_at is not None) == (Status.SUCCEEDED, True, True)
    assert _untouched(theatre, before)
    assert await theatre.world.cluster.pods_on("gpu-1") == pods
    assert _kinds(theatre) == {("gpu-1", True)}


@pytest.mark.parametrize("text", [XID_79, REAL_DRILL])
async def test_what_is_no_rehearsal_is_done(text: str) -> None:
    theatre = Theatre(REAL_79, pods=PODS)
    rescue = await theatre.take(text)
    await theatre.run()
    assert theatre.rescue(rescue.name).status is Status.SUCCEEDED
    assert [reboot.node for reboot in theatre.world.cluster.reboots] == ["gpu-1"]
    assert _kinds(theatre) == {("gpu-1", False)}


async def test_under_the_global_dry_run_nobody_goes_on_with_what_was_begun_before_it() -> None:
    theatre = Theatre(REAL_79)
    rescue = await theatre.take(XID_79)
    await theatre.execution.tick()
    begun = theatre.rescue(rescue.name)
    assert begun.begun
    afterwards = Theatre(REAL_79, dry_run=True, store=theatre.world.store)
    await afterwards.run()
    assert afterwards.rescue(rescue.name).steps == begun.steps
    assert not afterwards.world.cluster.nodes()["gpu-1"].unschedulable


async def test_a_watched_policy_beside_a_real_one_acts_on_nothing() -> None:
    theatre = Theatre(WATCHED_79, REAL_48)
    before = theatre.world.cluster.nodes()["gpu-1"]
    watched = await theatre.take(XID_79, "gpu-1")
    real = await theatre.take(XID_48, "gpu-2")
    await theatre.run()
    assert {theatre.rescue(one.name).status for one in (watched, real)} == {Status.SUCCEEDED}
    assert _untouched(theatre, before)
    assert theatre.world.cluster.nodes()["gpu-2"].unschedulable
    assert _kinds(theatre) == {("gpu-1", True), ("gpu-2", False)}


async def test_rehearsed_cordons_never_count_for_the_breaker() -> None:
    nodes = [gpu_node(f"gpu-{number}") for number in range(1, 5)]
    theatre = Theatre(policy("watched", "79", CORDON, dry_run=True), REAL_48, nodes=nodes, max_nodes=1)
    rehearsed = [await theatre.take(XID_79, f"gpu-{number}") for number in (1, 2)]
    await theatre.run(theatre.now() + MINUTE)
    real = await theatre.take(XID_48, "gpu-3")
    await theatre.run(theatre.now() + MINUTE)
    assert theatre.rescue(real.name).status is Status.SUCCEEDED
    # Among themselves they do: the second one shows that the breaker would have held it.
    assert [theatre.rescue(one.name).reason for one in rehearsed] == [None, HoldReason.MAX_NODES]


async def test_a_rehearsal_and_a_real_rescue_of_one_node_go_on_side_by_side() -> None:
    theatre = Theatre(WATCHED_79, REAL_48)
    watched = await theatre.take(XID_79)
    real = await theatre.take(XID_48, after=timedelta(seconds=1))
    await theatre.run()
    assert watched.name != real.name
    assert [theatre.rescue(one.name).status for one in (watched, real)] == [Status.SUCCEEDED] * 2
    assert [theatre.rescue(one.name).folded for one in (watched, real)] == [(), ()]
    assert theatre.world.cluster.nodes()["gpu-1"].unschedulable
    assert not theatre.world.cluster.reboots


def _late(text: str, time: datetime) -> LogLine:
    return line(text, time=time, node="gpu-1", position=f"late:{time}")


async def test_a_rehearsed_reboot_makes_no_real_fault_older_than_a_rescue() -> None:
    theatre = Theatre(WATCHED_79, REAL_48)
    await theatre.take(XID_79)
    await theatre.run()
    ended = theatre.now()
    await theatre.intake.handle(_late(XID_48, ended - 2 * MINUTE))
    rescue = max(theatre.world.store.on_node("gpu-1"), key=lambda one: one.created)
    assert (rescue.cause.fault.code, rescue.dry_run) == (48, False)


async def test_where_all_is_rehearsed_a_rehearsed_reboot_counts_as_one() -> None:
    theatre = Theatre(WATCHED_79, REAL_48, dry_run=True)
    await theatre.take(XID_79)
    await theatre.run()
    await theatre.intake.handle(_late(XID_48, theatre.now() - 2 * MINUTE))
    last = theatre.world.sink.records[-1].document
    assert last["event"]["reason"] == "older-than-rescue"


async def test_where_all_is_rehearsed_the_reboot_of_a_drill_counts_for_nothing() -> None:
    theatre = Theatre(WATCHED_79, REAL_48, dry_run=True)
    await theatre.take(DRILL)
    await theatre.run()
    await theatre.intake.handle(_late(XID_48, theatre.now() - 2 * MINUTE))
    assert theatre.world.sink.records[-1].document["event"]["action"] == "rescue-planned"


async def test_a_node_can_be_rehearsed_again_though_its_real_machine_has_not_rebooted() -> None:
    theatre = Theatre(WATCHED_79)
    rescues = []
    for _ in range(2):
        rescues.append(await theatre.take(XID_79, after=timedelta(hours=2)))
        await theatre.run()
    assert rescues[0].name != rescues[1].name
    assert [theatre.rescue(one.name).status for one in rescues] == [Status.SUCCEEDED] * 2


async def test_rehearsed_reboots_that_would_not_have_cured_lead_to_a_rehearsed_offline() -> None:
    theatre = Theatre(WATCHED_79, max_reboots=2)
    for _ in range(3):
        rescue = await theatre.take(XID_79, after=timedelta(hours=1))
        await theatre.run()
    assert [action.name for action in rescue.plan.actions][-1] is ActionName.OFFLINE
    assert OFFLINE_LABEL not in theatre.world.cluster.nodes()["gpu-1"].labels
    assert OFFLINE_LABEL in theatre.stage.nodes()["gpu-1"].labels


async def test_reboots_of_drills_never_count_for_a_fault() -> None:
    theatre = Theatre(REAL_79, max_reboots=1)
    for text in (DRILL, REAL_DRILL, DRILL, XID_79):
        rescue = await theatre.take(text, after=timedelta(hours=1))
        await theatre.run()
        assert [action.name for action in rescue.plan.actions][-1] is ActionName.UNCORDON, text
    assert len(theatre.world.cluster.reboots) == 2


async def test_a_drill_can_be_held_again_after_it_took_the_node_offline() -> None:
    theatre = Theatre(policy("out", "79", OFFLINE))
    rescues = []
    for _ in range(2):
        rescues.append(await theatre.take(DRILL, after=timedelta(hours=1)))
        await theatre.run()
    assert len({one.name for one in rescues}) == 2
    assert [theatre.rescue(one.name).status for one in rescues] == [Status.SUCCEEDED] * 2


async def test_drills_that_are_open_together_share_a_copy_of_the_cluster() -> None:
    theatre = Theatre(policy("drain", "79", REBOOT), max_nodes=1)
    first, second = await theatre.take(DRILL, "gpu-1"), await theatre.take(DRILL, "gpu-2")
    await theatre.run(theatre.now() + MINUTE)
    assert (theatre.rescue(first.name).begun, theatre.rescue(second.name).reason) == (True, HoldReason.MAX_NODES)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param((DRILL, XID_79), id="a fault after its drill"),
        pytest.param((XID_79, DRILL), id="a drill after the fault"),
        pytest.param((DRILL, REAL_DRILL), id="a drill in earnest after a dry one"),
        pytest.param(
            (DRILL, "NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus."), id="the other form of a fall after a drill"
        ),
        pytest.param(
            (XID_79, "gpu-rescue-drill: NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus."),
            id="the other form as a drill after a fall",
        ),
    ],
)
async def test_a_drill_never_stands_for_a_fault_nor_the_other_way_round(texts: tuple[str, str]) -> None:
    theatre = Theatre(REAL_79)
    for number, text in enumerate(texts):
        await theatre.take(text, position=f"log:{number}")
    assert [one.count for one in theatre.world.store.all()] == [1, 1]
    assert len({one.cause.fault.drill for one in theatre.world.store.all()}) == 2


async def test_a_fault_that_was_rehearsed_is_rescued_when_the_policy_is_no_longer_watched() -> None:
    theatre = Theatre(WATCHED_79)
    rehearsed = await theatre.take(XID_79, position="log:1")
    theatre.decree(REAL_79)
    await theatre.take(XID_79, position="log:2")
    (done,) = [one for one in theatre.world.store.all() if one.name != rehearsed.name]
    await theatre.run()
    assert (done.dry_run, theatre.rescue(done.name).status) == (False, Status.SUCCEEDED)
    assert len(theatre.world.cluster.reboots) == 1


async def test_after_a_restart_a_fault_that_was_only_rehearsed_is_decided_anew() -> None:
    before = Theatre(WATCHED_79)
    rehearsed = await before.take(XID_79, position="log:1")
    after = Theatre(REAL_79, store=before.world.store)
    after.intake.restore()
    await after.take(XID_79, position="log:1")
    assert sorted(one.dry_run for one in after.world.store.all()) == [False, True]
    assert after.rescue(rehearsed.name).dry_run


async def test_every_record_is_written_when_the_run_ends_whoever_executes() -> None:
    theatre = Theatre(WATCHED_79, REAL_48)
    names = [(await theatre.take(XID_79, "gpu-1")).name, (await theatre.take(XID_48, "gpu-2")).name]
    names.append((await theatre.take(DRILL, "gpu-2")).name)
    theatre.world.sink.away = True
    await theatre.run(theatre.now() + MINUTE)
    assert all(theatre.rescue(name).recorded < len(theatre.rescue(name).journal) for name in names)
    theatre.world.sink.away = False
    await theatre.execution.record_rest()
    assert all(theatre.rescue(name).recorded == len(theatre.rescue(name).journal) for name in names)


class Copies:
    """Counts the copies of the cluster that drills are held on."""

    def __init__(self, theatre: Theatre) -> None:
        self.made, self._theatre = 0, theatre
        self.drills = StoreView(theatre.world.store, is_drill)

    def prepare(self) -> Executor:
        self.made += 1
        world = self._theatre.world
        copy, recorder = twin(world.cluster, world.clock), Recorder(world.sink, world.store)
        actions = runners(copy, SimulatedRebooter(copy))
        return Executor(self.drills, copy, actions, recorder, world.guards, world.clock)


async def test_the_cluster_is_copied_for_a_drill_and_not_without_one() -> None:
    theatre = Theatre(REAL_79)
    copies = Copies(theatre)
    drills = Drills(copies.drills, copies.prepare)
    for _ in range(3):
        assert await drills.tick() is None
    await drills.settle()
    await drills.record_rest()
    assert copies.made == 0
    for number in (1, 2):
        drill = await theatre.take(DRILL, after=MINUTE)
        while (due := await drills.tick()) is not None:
            theatre.world.clock.move_to(due)
        assert theatre.rescue(drill.name).status is Status.SUCCEEDED
        assert copies.made == number
        assert await drills.tick() is None


class Restless:
    """An executor in which rescues go on beside the ticks."""

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        return None

    async def settle(self) -> None:
        """Nothing is waited for."""

    async def stop(self) -> None:
        """Nothing is broken off."""

    async def record_rest(self) -> None:
        """Nothing is recorded."""


class Machines(SimulatedCluster):
    """A stage that remembers whose machine was put back."""

    def __init__(self) -> None:
        super().__init__(ManualClock(NOON))
        self.put: list[str] = []

    def put_back(self, node: str) -> None:
        self.put.append(node)


async def test_a_machine_is_put_back_also_when_its_rescue_ends_between_two_ticks() -> None:
    store, machines = MemoryStore(), Machines()
    rehearsal = Rehearsal(store, Restless(), machines)
    known = await store.create(rescue())
    await rehearsal.tick()
    await store.save(replace(known, status=Status.SUCCEEDED))
    await rehearsal.tick()
    await rehearsal.tick()
    assert machines.put == ["gpu-1"]
