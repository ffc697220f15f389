"""The settings' cluster as it is at one moment, in memory: for whoever asks what would be, and does nothing."""

import asyncio
from typing import assert_never

from pipeline.app.ports import open_api, open_simulated
from pipeline.app.rules import open_policies
from pipeline.clock import Clock
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.cluster.memory import SimulatedCluster
from pipeline.decide.policy import PolicySet
from pipeline.decide.resources import read_resources
from pipeline.enrich.labels import Enricher, no_newcomers
from pipeline.match.matcher import Matcher
from pipeline.settings import Settings, SimulatedClusterConfig


def open_snapshot(settings: Settings, clock: Clock) -> SimulatedCluster:
    """Return the nodes and policies of a Kubernetes cluster as they are now, a simulated one as its file describes it.

    Raises BadInputError for a file that cannot be used, and as `KubeApi` does.
    """
    match settings.cluster:
        case SimulatedClusterConfig() as config:
            return open_simulated(config, clock)
        case KubernetesClusterConfig() as config:
            return asyncio.run(_taken(config, clock))
        case _:
            assert_never(settings.cluster)


def snapshot_policies(settings: Settings, cluster: SimulatedCluster) -> PolicySet:
    """Return the policies of the settings' files, or those of the cluster's resources that are no mistake."""
    if settings.policies or isinstance(settings.cluster, SimulatedClusterConfig):
        return open_policies(settings, cluster)
    return read_resources(cluster.policies())[0]


def open_enricher(settings: Settings, cluster: SimulatedCluster, matcher: Matcher) -> Enricher:
    """Open what finds nodes and meanings; a host that no node answers to becomes one, if the settings say so."""
    config = settings.cluster
    new = cluster.newcomer if isinstance(config, SimulatedClusterConfig) and config.newcomers else no_newcomers
    return Enricher(cluster, matcher.catalogue, settings.enrich, new)


async def _taken(config: KubernetesClusterConfig, clock: Clock) -> SimulatedCluster:
    api = open_api(config)
    try:
        cluster = KubernetesCluster(api, clock)
        await cluster.look()
        taken = SimulatedCluster(clock, cluster.nodes().values())
        taken.set_policies(cluster.policies())
        return taken
    finally:
        await api.close()
