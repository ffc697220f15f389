"""Which nodes have changed since a generation."""

import pytest

from pipeline.cluster.changes import Changes


@pytest.mark.parametrize(
    ("since", "names"),
    [
        pytest.param(0, ["b", "c", "a"], id="after none: all, each once, by their last change"),
        pytest.param(2, ["c", "a"], id="after the second"),
        pytest.param(4, [], id="after the last"),
    ],
)
def test_what_has_changed_since_is_told_once_and_in_order(since: int, names: list[str]) -> None:
    changes = Changes()
    for generation, name in enumerate(["a", "b", "c", "a"], 1):
        changes.note(name, generation)
    assert changes.since(since) == names
