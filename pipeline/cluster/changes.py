"""Which nodes have changed since when, so that who follows a cache looks at those alone."""

from itertools import takewhile


class Changes:
    """The names of nodes by the generation of their last change. That of a node which is gone stays, about 0.1 KB."""

    def __init__(self) -> None:
        # The earliest change first.
        self._last: dict[str, int] = {}

    def note(self, name: str, generation: int) -> None:
        """Take note that the node was added, changed or removed; *generation* is what that has made of the cache's."""
        self._last.pop(name, None)
        self._last[name] = generation

    def since(self, generation: int) -> list[str]:
        """Return the names whose last change came after *generation*, the earliest first."""
        return list(takewhile(lambda name: self._last[name] > generation, reversed(self._last)))[::-1]
