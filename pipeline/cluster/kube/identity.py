"""Where the API server is and who we are there: a kubeconfig, or the service account of our pod."""

import asyncio
from pathlib import Path

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.errors import BadInputError, Complaint

_RENEWED = 60.0


class Identity:
    """The connection's host, trust and credentials; those of a plugin (`exec`) are asked for again every minute.

    The plugin itself is run anew only when what it gave has expired.
    """

    def __init__(self, config: KubernetesClusterConfig) -> None:
        self._config = config
        self._loaded: Configuration | None = None
        self._loaded_at = 0.0

    async def configuration(self) -> Configuration:
        """Return it; raise BadInputError, which names the file, if it cannot be loaded."""
        now = asyncio.get_running_loop().time()
        if self._loaded is None or (self._from_file and now >= self._loaded_at + _RENEWED):
            self._loaded, self._loaded_at = await self._load(), now
        return self._loaded

    @property
    def _from_file(self) -> bool:
        return self._config.kubeconfig is not None or not _in_a_pod()

    async def _load(self) -> Configuration:
        configuration = Configuration()
        place = "cluster.kubeconfig"
        try:
            if not self._from_file:
                place = "cluster (service account of the pod)"
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                file = str(self._config.kubeconfig) if self._config.kubeconfig else None
                await load_kube_config(file, self._config.context, configuration, persist_config=False)
        except (ConfigException, OSError, ValueError) as error:
            told = f"cannot be used: {error}"
            raise BadInputError(Complaint(place, told, "name a kubeconfig that `kubectl` can use")) from error
        return configuration


def _in_a_pod() -> bool:
    return Path("/var/run/secrets/kubernetes.io/serviceaccount/token").is_file()
