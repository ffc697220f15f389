"""Two rescues of one node become one, and nothing of either is lost by it."""

from datetime import timedelta

from pipeline.decide.escalation import join
from pipeline.decide.guards import GuardSettings
from pipeline.model.fault import NodeFault
from pipeline.model.plan import Cordon, Drain, Reboot, Uncordon
from pipeline.model.rescue import HoldReason, Status
from tests.fakes.faults import NOON, fault, line, node_fault, plan, rescue
from tests.fakes.world import World, gpu_node

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CLIQUE = {"nvidia.com/gpu.clique": "a.1"}
LATE_REBOOT = plan(Cordon(), Drain(), Reboot(waittime=20 * MINUTE), Uncordon())


def seen(code: int, node: str = "gpu-1", at: timedelta = timedelta(0), pci: str = "0000:3b:00") -> NodeFault:
    found = fault(code, pci=pci, line=line(time=NOON + at, node=node))
    return node_fault(code, node, NOON + at, fault=found, labels=CLIQUE)


async def test_a_fault_of_the_fabric_is_held_also_where_its_rescue_was_folded_into_another_one() -> None:
    """A fault of another GPU came five seconds before, and only cordons: it must not reboot the node for the fabric."""
    nodes = [gpu_node(f"gpu-{number}", labels=CLIQUE) for number in range(1, 41)]
    world = World(nodes, guards=GuardSettings(max_percent=100, max_nodes=50))
    await world.store.create(rescue("other", cause=seen(63, pci="0000:01:00"), plan=plan(Cordon())))
    for number in range(1, 7):
        name = f"gpu-{number}"
        await world.store.create(rescue(f"r-{number}", name, NOON + 5 * SECOND, cause=seen(74, name, 5 * SECOND)))
    world.clock.move_to(NOON + 5 * SECOND)
    await world.run(NOON + 60 * MINUTE)
    assert world.cluster.reboots == ()
    assert world.rescue("other").folded == ("r-1",)
    assert {one.reason for one in world.store.open()} == {HoldReason.FABRIC_INCIDENT}


async def test_a_rescue_that_has_begun_is_not_folded_for_a_line_that_another_one_has_taken_in() -> None:
    """Two replicas have one line, and one of them had not seen the rescue that the other had made of it."""
    world = World()
    late = rescue("late", now=NOON + SECOND, cause=seen(63, at=SECOND), plan=LATE_REBOOT)
    early = rescue("early", cause=seen(79), plan=LATE_REBOOT)
    await world.store.create(early)
    await world.executor.tick()
    assert world.rescue("early").begun
    await world.store.create(join(late, early.members[0], NOON + SECOND))
    await world.run()
    assert world.rescue("early").status is Status.SUCCEEDED
    assert world.rescue("early").folded == ("late",)
    assert not world.cluster.nodes()["gpu-1"].unschedulable
    assert len(world.cluster.reboots) == 1
