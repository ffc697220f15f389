"""A cordon goes before all that is told of it; where it has to wait, it is told all the same, and at once."""

from collections.abc import Callable, Sequence

import pytest

from pipeline.cluster.memory import Call, Trouble
from pipeline.decide.guards import GuardSettings
from pipeline.execute.records import records
from pipeline.model.node import NodePatch
from pipeline.model.ownership import IGNORE
from sinks.base import Record
from tests.fakes.faults import NOON, rescue
from tests.fakes.sinks import WatchedSink
from tests.fakes.world import World


def _full(world: World) -> None:
    world.guards = GuardSettings(max_nodes=0)
    world.executor = world.new_executor()


def _not_known(world: World) -> None:
    world.cluster.troubles.cache_synced = False


def _away(world: World) -> None:
    world.cluster.troubles.next(Call.PATCH_NODE, Trouble.TIMEOUT)


def _refused(world: World) -> None:
    world.cluster.troubles.next(Call.PATCH_NODE, Trouble.REFUSED)


def _opted_out(world: World) -> None:
    world.cluster.edit_node("gpu-1", NodePatch(annotations={IGNORE: "true"}))


@pytest.mark.parametrize(
    ("stands", "told"),
    [
        pytest.param(_full, ["rescue-held"], id="the breaker holds it"),
        pytest.param(_not_known, [], id="the nodes are not known yet"),
        pytest.param(_away, ["step-started"], id="the cluster does not answer"),
        pytest.param(_refused, ["step-started", "step-failed", "rescue-failed"], id="the cluster refuses it"),
        pytest.param(_opted_out, ["rescue-cancelled"], id="the node is opted out"),
    ],
)
async def test_what_stands_in_the_way_of_a_cordon_is_told_in_the_same_round(
    stands: Callable[[World], None], told: list[str]
) -> None:
    world = World()
    stands(world)
    await world.store.create(rescue())
    await world.executor.tick()
    assert world.actions == ["fault-detected", "rescue-planned", *told]
    assert world.rescue().recorded == len(world.rescue().journal)


async def test_a_hold_that_was_never_told_and_is_given_up_is_told_whole() -> None:
    world = World(guards=GuardSettings(max_nodes=0))
    world.sink.away = True
    await world.store.create(rescue())
    await world.run(until=NOON)
    _opted_out(world)
    world.sink.away = False
    await world.run()
    assert world.actions == ["fault-detected", "rescue-planned", "rescue-held", "rescue-cancelled"]
    assert [record.id for record in world.sink.records] == [record.id for record in records(world.rescue())]


class LookingSink(WatchedSink):
    """Remembers how the node stood when it was told of it first."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self.cordoned: list[bool] = []

    async def write(self, records: Sequence[Record]) -> None:
        assert self.world is not None
        self.cordoned.append(self.world.cluster.nodes()["gpu-1"].unschedulable)
        await super().write(records)


async def test_a_cordon_that_nothing_holds_waits_for_no_record() -> None:
    sink = LookingSink()
    world = sink.world = World(sink=sink)
    await world.store.create(rescue())
    await world.executor.tick()
    assert sink.cordoned[0]
    assert world.actions[:4] == ["fault-detected", "rescue-planned", "step-started", "step-ended"]
