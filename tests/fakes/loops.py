"""What the pipeline is composed of, over a world of tests."""

from pipeline.app.sites import Site
from pipeline.cluster.memory import SimulatedCluster
from pipeline.execute.leadership import Alone
from pipeline.execute.loops import LiveLoop
from pipeline.execute.store import RescueStore
from pipeline.rebooters.simulated import SimulatedRebooter
from pipeline.sources.port import Source
from tests.fakes.intake import Inside


def live_loop(inside: Inside, source: Source) -> LiveLoop:
    """The loop of the only process, which reads the source."""
    world = inside.world
    stores = world.store, lambda: world.cluster.synced, inside.policies, world.clock
    return LiveLoop([source], inside.intake, lambda: world.executor, *stores, Alone())


def simulated_site(cluster: SimulatedCluster, store: RescueStore) -> Site:
    """The site of a simulated cluster whose only process this is."""
    return Site(cluster, store, SimulatedRebooter(cluster), Alone())
