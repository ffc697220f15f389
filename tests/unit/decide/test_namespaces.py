"""A drain's namespaces: what is refused, in which words, and what only just is not."""

from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.decide.actions import DrainAttributes
from pipeline.decide.namespaces import NamespaceSpec


def _told(model: type[NamespaceSpec | DrainAttributes], written: Any) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(written)
    return [error["msg"].removeprefix("Value error, ") for error in refused.value.errors()]


NO_NAME = "{} is no name of a namespace, nor one with * for any text; write it like training-*"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        pytest.param({"name": "", "mode": "evict"}, NO_NAME.format("''"), id="an empty name"),
        pytest.param({"name": "-a", "mode": "evict"}, NO_NAME.format("'-a'"), id="a dash before"),
        pytest.param({"name": "a-", "mode": "evict"}, NO_NAME.format("'a-'"), id="a dash behind"),
        pytest.param({"name": "a.b", "mode": "evict"}, NO_NAME.format("'a.b'"), id="a dot"),
        pytest.param({"name": "a" * 64, "mode": "evict"}, NO_NAME.format(repr("a" * 64)), id="too long a name"),
        pytest.param(
            {"name": "a", "mode": "deleteAfter"}, "deleteAfter needs `after`, the time, like 30min", id="none"
        ),
        pytest.param({"name": "a", "mode": "deleteAfter", "after": "0s"}, "must be more than 0s", id="no time"),
        pytest.param(
            {"name": "a", "mode": "waitForCompletion", "after": "1s"},
            "`after` goes with deleteAfter; waitForCompletion takes none",
            id="a time to wait",
        ),
    ],
)
def test_an_entry_is_refused(written: dict[str, str], told: str) -> None:
    assert _told(NamespaceSpec, written) == [told]


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        pytest.param(
            [{"name": "b", "mode": "evict"}, {"name": "a*", "mode": "evict"}, {"name": "ab", "mode": "evict"}],
            "namespaces: ab is never reached, because a* stands before it",
            id="a name behind a wider one",
        ),
        pytest.param(
            [{"name": "a", "mode": "evict"}, {"name": "a", "mode": "waitForCompletion"}],
            "namespaces: a is never reached, because a stands before it",
            id="a name twice",
        ),
        pytest.param(
            [{"name": "a", "mode": "evict"}, {"name": "b", "mode": "deleteAfter", "after": "5min"}],
            "namespaces: b: after 5min is never reached, waittime is 5min",
            id="a time as long as the waittime",
        ),
    ],
)
def test_entries_are_refused_of_which_one_could_never_count(entries: list[dict[str, str]], told: str) -> None:
    assert _told(DrainAttributes, {"waittime": "5min", "namespaces": entries}) == [told]


def test_entries_that_just_count_are_taken() -> None:
    entries = [
        {"name": "a" * 63, "mode": "evict"},
        {"name": "ab", "mode": "evict"},
        {"name": "a*", "mode": "waitForCompletion"},
        {"name": "*", "mode": "deleteAfter", "after": "299s"},
    ]
    assert len(DrainAttributes.model_validate({"waittime": "5min", "namespaces": entries}).namespaces) == 4
