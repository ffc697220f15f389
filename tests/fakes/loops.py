"""A live loop over a world of tests."""

from pipeline.execute.leadership import Alone
from pipeline.execute.loops import LiveLoop
from pipeline.sources.port import Source
from tests.fakes.intake import Inside


def live_loop(inside: Inside, source: Source) -> LiveLoop:
    """The loop of the only process, which reads the source."""
    world = inside.world
    stores = world.store, lambda: world.cluster.synced, inside.policies, world.clock
    return LiveLoop([source], inside.intake, lambda: world.executor, *stores, Alone())
