"""The policies in force, replaced as a whole when their files or resources change."""

from collections.abc import Callable

from pipeline.decide.policy import PolicySet


class PolicyBook:
    """Holds the policy set that decisions are made by, and tells those who listen when it is another one."""

    def __init__(self, policies: PolicySet) -> None:
        self._current = policies
        self._listeners: list[Callable[[], None]] = []

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
