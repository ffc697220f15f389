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
            {"name": "a", "mode": "deleteAfter"}, "deleteAfter needs a time, like deleteAfter:30min", id="none"
        ),
        pytest.param({"name": "a", "mode": "deleteAfter", "after": "0s"}, "must be more than 0s", id="no time"),
        pytest.param(
            {"name": "a", "mode": "waitForCompletion", "after": "1s"},
            "a time goes with deleteAfter; waitForCompletion takes none",
            id="a time to wait",
        ),
    ],
)
def test_an_entry_is_refused(written: dict[str, str], told: str) -> None:
    assert _told(NamespaceSpec, written) == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "b=evict,a*=evict,ab=evict",
            "namespaces: ab is never reached, because a* stands before it",
            id="a name behind a wider one",
        ),
        pytest.param(
            "a=evict, a=waitForCompletion", "namespaces: a is never reached, because a stands before it", id="twice"
        ),
        pytest.param(
            "a=evict, b=deleteAfter:5min",
            "namespaces: b: after 5min is never reached, waittime is 5min",
            id="a time as long as the waittime",
        ),
        pytest.param(
            "a=evict, ",
            "'' is not NAME=MODE; write it like \"training-*=waitForCompletion, notebooks=deleteAfter:30min\"",
            id="a comma at the end",
        ),
        pytest.param(
            f"{'a' * 61}=evict,{'b' * 55}=evict",
            "has 129 characters, and may have 128; name several by one pattern with *",
            id="too long a text",
        ),
        pytest.param(
            [{"name": "a", "mode": "evict"}],
            'is no text; write it in quotes, like "training-*=waitForCompletion, notebooks=deleteAfter:30min"',
            id="a list",
        ),
    ],
)
def test_text_is_refused(text: object, told: str) -> None:
    assert _told(DrainAttributes, {"waittime": "5min", "namespaces": text}) == [told]


def test_entries_that_just_count_are_taken() -> None:
    text = f"{'a' * 63}=evict,    ab =evict,\na*= waitForCompletion , *=deleteAfter: 299s"
    assert len(text) == 128
    assert len(DrainAttributes.model_validate({"waittime": "5min", "namespaces": text}).namespaces) == 4
