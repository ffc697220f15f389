"""The rebooter that needs nothing but Kubernetes: a privileged pod on the node."""

from datetime import datetime

import structlog

from pipeline.clock import Clock
from pipeline.cluster.kube.answers import AlreadyExistsError
from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.paths import named
from pipeline.errors import NotFoundError, PermanentError, TemporaryError
from pipeline.model.node import Node
from pipeline.rebooters.pod_manifest import LABELS, is_of, pod
from pipeline.rebooters.port import Asked
from pipeline.rebooters.settings import LONGEST, PodRebooterConfig

_log = structlog.get_logger()

_SELECTOR = ",".join(f"{key}={value}" for key, value in LABELS.items())
_AT_ONCE: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}


class PodRebooter:
    """Reboots a node by a pod that is called like the request.

    One request is one pod, and the pod reboots its node out of the boot that the node object showed, or not at all: see
    docs/adr/0012-a-reboot-by-a-pod-is-of-one-boot.md. It is left for people to look at; those of more than two hours
    ago are removed with the next reboot.
    """

    def __init__(self, api: KubeApi, config: PodRebooterConfig, clock: Clock) -> None:
        self._api = api
        self._config = config
        self._clock = clock
        self._pods = f"{named('/api/v1/namespaces', config.namespace)}/pods"

    async def reboot(self, node: Node, request: str) -> None:
        """Create the pod; one that is there already is the same reboot.

        Raises TemporaryError, before anything is created, for a node without a kubelet that could run it;
        PermanentError when the server refuses it (pod security, a right or a namespace that lacks); TimeoutError when
        nobody knows whether it was created.
        """
        if not (node.ready and node.boot_id):
            raise TemporaryError(f"{node.name} is not Ready: its kubelet would not run the pod that reboots it")
        now = self._clock.now()
        try:
            await self._api.create(self._pods, pod(request, node, request, self._config, now))
        except AlreadyExistsError:
            await self._demand_own(node, request)
        except NotFoundError as error:
            # Of the node, which is what a NotFoundError is taken for, this says nothing.
            raise PermanentError(f"{node.name} cannot be rebooted by a pod: {error}") from error
        except TemporaryError as error:
            raise TimeoutError(f"nobody knows whether {node.name} was told to reboot: {error}") from error
        await self._sweep(request, now)

    async def asked(self, node: Node, request: str) -> Asked:
        """Tell by the pod; none is NO, for whatever became of it, another one reboots out of the same boot only."""
        try:
            found = await self._api.get(named(self._pods, request))
        except NotFoundError:
            return Asked.NO
        return Asked.YES if is_of(found, node, request) else Asked.NO

    async def _demand_own(self, node: Node, request: str) -> None:
        try:
            asked = await self.asked(node, request)
        except TemporaryError as error:
            raise TimeoutError(f"nobody knows whether {node.name} was told to reboot: {error}") from error
        if asked is not Asked.YES:
            raise PermanentError(f"pod {request} is not, or no longer, the one that reboots {node.name}")

    async def _sweep(self, request: str, now: datetime) -> None:
        """Remove the old pods of other requests; without grace, since on a dead node nobody ends them.

        To fail at it does no harm.
        """
        try:
            async for page in self._api.pages(self._pods, {"labelSelector": _SELECTOR}):
                for name in [each["metadata"]["name"] for each in page["items"] if _created(each) < now - 2 * LONGEST]:
                    if name != request:
                        await self._api.delete(named(self._pods, name), _AT_ONCE)
        except (TemporaryError, PermanentError) as error:
            _log.warning("rebooter.pods_left", namespace=self._config.namespace, error=str(error))


def _created(found: Object) -> datetime:
    return datetime.fromisoformat(found["metadata"]["creationTimestamp"])
