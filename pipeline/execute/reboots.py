"""Which rescue has rebooted a node last: asked for every line, looked up when a rescue of the node has changed."""

from collections.abc import Sequence

from pipeline.decide.incidents import Incidents
from pipeline.execute.store import RescueStore
from pipeline.model.rescue import Rescue


class LastReboots:
    """Looks through the rescues of a node, and tells the incidents how each of them stands while it does."""

    def __init__(self, store: RescueStore, incidents: Incidents) -> None:
        self._store = store
        self._incidents = incidents
        self._known: dict[tuple[str, bool], tuple[Sequence[Rescue], Rescue | None]] = {}

    def last(self, node: str, rehearsed: bool) -> Rescue | None:
        """Return the newest rescue that has rebooted the node; *rehearsed*: everything is.

        A reboot that was only rehearsed counts where everything is; that of a drill not even there.
        """
        rescues = self._store.on_node(node)
        known = self._known.get((node, rehearsed))
        if known is None or known[0] is not rescues:
            self._incidents.close(*rescues)
            reboots = (one for one in reversed(rescues) if _counts(one, rehearsed) and one.rebooted_at is not None)
            known = self._known[node, rehearsed] = rescues, next(reboots, None)
        return known[1]

    def forget(self, node: str) -> None:
        """Look again at the next line: a fault has opened an incident, which an earlier rescue may have closed."""
        for rehearsed in (False, True):
            self._known.pop((node, rehearsed), None)


def _counts(rescue: Rescue, rehearsed: bool) -> bool:
    return not rescue.dry_run or (rehearsed and rescue.cause.fault.drill is None)
