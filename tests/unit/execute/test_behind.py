"""Whoever begins to lead does nothing of what its cache, which is behind, shows to be under way."""

from dataclasses import replace

from pipeline.errors import ConflictError
from pipeline.execute import progress
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.rescue import CancelReason, Rescue, Status
from tests.fakes.faults import NOON, rescue
from tests.fakes.world import World


class BehindStore(MemoryStore):
    """Its cache shows of a rescue what was there before *newest*, until it is fetched."""

    newest: Rescue

    async def fetch(self, name: str) -> Rescue | None:
        self.show(self.newest)
        return self.get(name)

    async def save(self, rescue: Rescue) -> Rescue:
        if rescue.revision < self.newest.revision:
            raise ConflictError("somebody else has written it")
        return await super().save(rescue)


def _ended(one: Rescue) -> Rescue:
    over = progress.cancelled(one, NOON, CancelReason.RECOVERED, "undone by whoever led before")
    return replace(over, revision=99, recorded=len(over.journal))


async def test_a_node_is_not_cordoned_for_a_rescue_that_has_ended() -> None:
    store = BehindStore()
    begun = progress.started(rescue(), 0, NOON)
    store.newest = _ended(begun)
    store.show(replace(begun, revision=7))
    world = World(store=store)
    await world.run()
    assert world.rescue().status is Status.CANCELLED
    assert not world.cluster.nodes()["gpu-1"].unschedulable
