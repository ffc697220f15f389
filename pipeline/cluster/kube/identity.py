"""Where the API server is and who we are there: a kubeconfig, or the service account of our pod."""

import asyncio
import os
from pathlib import Path

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config
from yaml import YAMLError

from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.documents import read_documents
from pipeline.errors import BadInputError, Complaint

_RENEWED = 60.0
_REMEDY = "name a kubeconfig that `kubectl` can use"


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

    def unusable(self, error: Exception) -> BadInputError:
        """Return what tells a person that what was loaded cannot be used, and why."""
        place = os.pathsep.join(map(str, self._files())) if self._from_file else "service account of the pod"
        # An empty file is an AttributeError deep in the library, whose text would tell nobody anything.
        known = isinstance(error, ConfigException | YAMLError | OSError | ValueError)
        told = f"cannot be used: {error if known else 'it is no kubeconfig'}"
        return BadInputError(Complaint(place, told, _REMEDY))

    @property
    def _from_file(self) -> bool:
        return self._config.kubeconfig is not None or not _in_a_pod()

    def _files(self) -> list[Path]:
        """Where we may be described: as kubectl looks for it, if the settings name no file."""
        if self._config.kubeconfig is not None:
            return [self._config.kubeconfig]
        named = os.environ.get("KUBECONFIG", "").split(os.pathsep)
        return [Path(name).expanduser() for name in named if name] or [Path("~/.kube/config").expanduser()]

    def _check_files(self) -> None:
        """Raise BadInputError where there is no file, or one is no YAML: the library tells neither file nor line."""
        files = self._files()
        there = [file for file in files if file.exists()]
        if not there:
            raise BadInputError(Complaint(os.pathsep.join(map(str, files)), "there is no such file", _REMEDY))
        for file in there:
            read_documents(file)

    async def _load(self) -> Configuration:
        configuration = Configuration()
        try:
            if not self._from_file:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                self._check_files()
                file = os.pathsep.join(map(str, self._files()))
                await load_kube_config(file, self._config.context, configuration, persist_config=False)
        except (ConfigException, YAMLError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise self.unusable(error) from error
        return configuration


def _in_a_pod() -> bool:
    return Path("/var/run/secrets/kubernetes.io/serviceaccount/token").is_file()
