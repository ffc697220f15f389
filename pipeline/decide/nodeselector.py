"""A rule's `nodeSelector`: on which nodes the rule applies."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from pipeline.documents import Strict


class Operator(StrEnum):
    """How many of the labels a node must carry."""

    ANY = "any"
    ALL = "all"


def text(value: Any) -> str:
    """Return a value that is text; raise ValueError for a bare number or true, which Kubernetes refuses too."""
    if isinstance(value, str):
        return value
    raise ValueError(f'{value!r} is not text; put it in quotes: "{str(value).lower()}"')


Text = Annotated[str, BeforeValidator(text)]


def _some(labels: dict[str, str]) -> dict[str, str]:
    if not labels:
        raise ValueError("is empty, and would be read as every node by some and as no node by others; name a label")
    return labels


Labels = Annotated[dict[str, Text], AfterValidator(_some)]
"""Labels and their values; at least one."""


class NodeSelector(Strict):
    """Picks nodes by their labels."""

    operator: Operator = Field(
        Operator.ALL,
        description="Whether a node must carry `any` one of the labels or `all`, which is the narrower one.",
    )
    labels: Labels = Field(description="Labels and the values that they must have; at least one.")

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels is picked."""
        carried = (labels.get(key) == value for key, value in self.labels.items())
        return any(carried) if self.operator is Operator.ANY else all(carried)

    def may_both_match(self, other: "NodeSelector") -> bool:
        """Whether some node could be picked by both."""
        return any(_compatible(mine, theirs) for mine in self._ways() for theirs in other._ways())

    def covers(self, other: "NodeSelector") -> bool:
        """Whether it picks every node that the other picks."""
        return all(any(mine.items() <= theirs.items() for mine in self._ways()) for theirs in other._ways())

    def _ways(self) -> list[dict[str, str]]:
        """The sets of labels, each of which is enough to be picked."""
        if self.operator is Operator.ALL:
            return [self.labels]
        return [{key: value} for key, value in self.labels.items()]

    def __str__(self) -> str:
        return f"{self.operator} of " + ", ".join(f"{key}={value}" for key, value in self.labels.items())


def _compatible(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return all(other.get(key, value) == value for key, value in one.items())
