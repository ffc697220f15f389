"""The policies in force, replaced as a whole when their files or resources change."""

from collections.abc import Callable

from pipeline.cluster.port import Cluster
from pipeline.decide.policy import PolicySet
from pipeline.errors import NotFoundError


class PolicyBook:
    """Holds the policy set that decisions are made by, and tells those who listen when it is another one."""

    def __init__(self, policies: PolicySet, cluster: Cluster) -> None:
        """*cluster* is where people read the policies' status."""
        self._current = policies
        self._cluster = cluster
        self._listeners: list[Callable[[], None]] = []
        self._reported: PolicySet | None = None

    @property
    def current(self) -> PolicySet:
        """The policy set in force."""
        return self._current

    def replace(self, policies: PolicySet) -> None:
        """Put another policy set in force."""
        self._current = policies
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have *listener* called after each replacement."""
        self._listeners.append(listener)

    async def report(self) -> None:
        """Write the ties of the policy set in force into the policies' status, once."""
        if self._reported is self._current:
            return
        self._reported = self._current
        ties = self._current.ties()
        for name in sorted({rule.policy for rule in self._current.rules}):
            try:
                await self._cluster.set_policy_status("RescuePolicy", name, {"ties": list(ties.get(name, ()))})
            except NotFoundError:
                # The built-in policy, or one that was deleted a moment ago: there is no status to write to.
                continue
