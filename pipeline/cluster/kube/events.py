"""Events about nodes: `kubectl get event`, `kubectl events --for node/NAME`."""

from datetime import UTC, datetime
from hashlib import blake2s

from pipeline.cluster.announcer import COMPONENT, Announcement
from pipeline.cluster.kube.answers import AlreadyExistsError
from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.errors import NotFoundError, TemporaryError

_FOR_NODES = "default"
"""The one namespace in which an event may name an object that has none."""

_LONGEST_NODE = 200
_LONGEST_MESSAGE = 1024
"""Characters; what the API allows in the note of an event of events.k8s.io."""


class KubeAnnouncer:
    """Writes events of core/v1, whose count can grow. It needs the rights to create, get and patch events.

    The API server takes an event only into the namespace of the object that it is about. A node has none: in `default`
    an event can say so, and there `kubectl describe node` shows it; elsewhere the node is named as of the event's
    namespace, and the event is found by `kubectl get event` alone. The node's uid is its name, as the kubelet has it
    and kubectl looks for it.
    """

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/events"

    async def announce(self, told: Announcement) -> None:
        """Create the event; if it is there, bring it up to date, unless it tells as much already."""
        name, facts = event_name(told), _facts(told)
        about = {"apiVersion": "v1", "kind": "Node", "name": told.node, "uid": told.node}
        if self._namespace != _FOR_NODES:
            about["namespace"] = self._namespace
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": self._namespace},
            "involvedObject": about,
            "reason": told.reason,
            "type": told.level,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            **facts,
        }
        try:
            await self._api.create(self._path, body)
        except AlreadyExistsError:
            await self._update(f"{self._path}/{name}", told)

    async def _update(self, path: str, told: Announcement) -> None:
        try:
            held = await self._api.get(path)
            facts = _facts(_told_before(held, told))
            if any(held.get(key) != value for key, value in facts.items()):
                version = {"resourceVersion": held["metadata"]["resourceVersion"]}
                await self._api.patch(path, {"metadata": version, **facts})
        except NotFoundError as error:
            # The server forgets events after an hour; this one a moment ago.
            raise TemporaryError(str(error)) from error


def event_name(told: Announcement) -> str:
    """Return the name that all who tell of the same series give to the event."""
    node = told.node[:_LONGEST_NODE].rstrip("-.")
    return f"{node}.{blake2s(told.series.encode(), digest_size=8).hexdigest()}"


def _facts(told: Announcement) -> Object:
    """What changes when it is told again."""
    return {
        "message": told.message[:_LONGEST_MESSAGE],
        "count": told.count,
        "firstTimestamp": _stamp(told.first),
        "lastTimestamp": _stamp(told.last),
    }


def _told_before(held: Object, told: Announcement) -> Announcement:
    """Return *told* over what the event says."""
    first, last = (datetime.fromisoformat(held[key]) for key in ("firstTimestamp", "lastTimestamp"))
    known = Announcement(told.node, told.series, told.level, told.reason, told.message, held["count"], first, last)
    return told.over(known)


def _stamp(moment: datetime) -> str:
    """The API keeps whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
