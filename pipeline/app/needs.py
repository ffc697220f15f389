"""Which rights in a Kubernetes cluster the settings ask for."""

from pipeline.cluster.kube.rights import ACTING, SEEING, Need, announcing, keeping, rebooting
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.rebooters.settings import PodRebooterConfig
from pipeline.settings import Settings


def needs(settings: Settings, config: KubernetesClusterConfig) -> tuple[Need, ...]:
    """Return what a pipeline with these settings needs to run; sources ask for theirs themselves.

    The global dry run needs no right to touch a node, a pod or a policy.
    """
    seen = *SEEING, *keeping(config.namespace), announcing(settings.events.namespace or config.namespace)
    if settings.dry_run:
        return seen
    if isinstance(settings.rebooter, PodRebooterConfig):
        return *seen, *ACTING, rebooting(settings.rebooter.namespace)
    return *seen, *ACTING
