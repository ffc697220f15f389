"""One string for equal ones: the labels of thousands of nodes say much the same."""

from collections.abc import Mapping

_MOST_KEYS, _MOST_VALUES = 4_000, 1_000
NONE: Mapping[str, str] = {}


class Words:
    """Keys, and of each key the values seen first; what is different on every node (a host name) soon is not kept."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, dict[str, str]]] = {}

    def shared(self, found: Mapping[str, str]) -> Mapping[str, str]:
        """Return the same words, made of the strings that equal words were made of before."""
        shared = {}
        for key, value in found.items():
            known = self._known.get(key)
            if known is None:
                known = (key, {})
                if len(self._known) < _MOST_KEYS:
                    self._known[key] = known
            key, values = known  # noqa: PLW2901
            held = values.get(value)
            if held is None:
                held = value
                if len(values) < _MOST_VALUES:
                    values[value] = value
            shared[key] = held
        return shared or NONE
