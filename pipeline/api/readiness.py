"""Whether the pipeline can do its work: every part says for itself what it lacks."""

from collections.abc import Callable, Mapping

Lack = Callable[[], str | None]
"""Tell in a few words what a part waits for; None when it waits for nothing. It must answer at once."""


class Readiness:
    """Asks every part, by name."""

    def __init__(self, parts: Mapping[str, Lack]) -> None:
        self._parts = parts

    def lacking(self) -> Mapping[str, str]:
        """Return by part what it waits for; empty when all is ready."""
        told = ((name, lack()) for name, lack in self._parts.items())
        return {name: what for name, what in told if what is not None}
