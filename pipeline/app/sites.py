"""The cluster whose nodes are rescued, and what comes with it: where rescues are kept, who executes, who reboots."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import assert_never

from pipeline.api.readiness import Lack
from pipeline.app.needs import needs
from pipeline.app.ports import open_api, open_local_store, open_rebooter, resume_cluster
from pipeline.clock import Clock
from pipeline.cluster.announcer import Announcer
from pipeline.cluster.kube.cluster import KubernetesCluster
from pipeline.cluster.kube.events import KubeAnnouncer
from pipeline.cluster.kube.lease import Lease
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.cluster.port import Cluster
from pipeline.enrich.labels import no_newcomers
from pipeline.execute.leadership import Alone, Leadership
from pipeline.execute.loops import Companion
from pipeline.execute.store import RescueStore
from pipeline.execute.store_kube import KubernetesStore
from pipeline.execute.store_kube_settings import KubernetesStoreConfig
from pipeline.model.node import Node
from pipeline.rebooters.port import Rebooter
from pipeline.rebooters.simulated import SimulatedRebooter
from pipeline.settings import Settings, SimulatedClusterConfig


@dataclass(frozen=True, slots=True)
class Site:
    """Where rescues happen.

    `newcomer` makes a node of a host that no node answers to, where that may be. `companions` run as long as the
    pipeline does. `lacks` say what the parts wait for.
    """

    cluster: Cluster
    store: RescueStore
    rebooter: Rebooter
    leadership: Leadership
    newcomer: Callable[[str], Node | None] = no_newcomers
    announcer: Announcer | None = None
    companions: Sequence[Companion] = ()
    lacks: Mapping[str, Lack] = field(default_factory=dict)


def open_site(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Site:
    """Open what the settings' cluster brings; *stack* closes it. Raises BadInputError."""
    match settings.cluster:
        case SimulatedClusterConfig() as config:
            return _simulated(settings, config, clock, stack)
        case KubernetesClusterConfig() as config:
            return _kubernetes(settings, config, clock, stack)
        case _:
            assert_never(settings.cluster)


def _simulated(settings: Settings, config: SimulatedClusterConfig, clock: Clock, stack: AsyncExitStack) -> Site:
    # First of all that has a file: a process that works with it already, with the same settings, is left in peace.
    store = open_local_store(settings.store)
    stack.push_async_callback(store.close)
    cluster = resume_cluster(config, clock)
    newcomer = cluster.newcomer if config.newcomers else no_newcomers
    return Site(cluster, store, SimulatedRebooter(cluster), Alone(), newcomer)


def _kubernetes(settings: Settings, config: KubernetesClusterConfig, clock: Clock, stack: AsyncExitStack) -> Site:
    assert isinstance(settings.store, KubernetesStoreConfig)
    api = open_api(config)
    stack.push_async_callback(api.close)
    cluster = KubernetesCluster(api, clock, needs(settings, config))
    store = KubernetesStore(settings.store, api, config.namespace)
    rebooter = open_rebooter(settings.rebooter, api, clock)
    # With connections of its own: a renewal that queues behind a burst of other calls comes too late.
    apart = open_api(config)
    stack.push_async_callback(apart.close)
    lease = Lease(apart, config.namespace, settings.lease)
    announcer = KubeAnnouncer(api, settings.events.namespace or config.namespace)
    beside = [cluster.run, store.run]
    lacks: dict[str, Lack] = {
        "cluster": lambda: cluster.trouble,
        "store": lambda: store.trouble,
        "lease": lambda: lease.trouble,
    }
    return Site(cluster, store, rebooter, lease, announcer=announcer, companions=beside, lacks=lacks)
