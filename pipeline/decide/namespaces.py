"""A drain's `namespaces`: how the pods of some namespaces leave a node, where eviction is not what is wanted.

    namespaces: "training-*=waitForCompletion, notebooks=deleteAfter:30min"

Text, as every attribute is, for a resource and for the decision API alike. The first entry that matches counts, and
pods of namespaces that none matches are evicted.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from pipeline.documents import Strict
from pipeline.durations import Duration, format_duration
from pipeline.model.plan import NamespaceMode, NamespaceRule

_EXAMPLE = '"training-*=waitForCompletion, notebooks=deleteAfter:30min"'
LONGEST = 128
"""Characters: what rules of the resource may cost the API server leaves no room for more."""

_NAME = re.compile(r"[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?", re.ASCII)


def _pattern(name: str) -> str:
    if len(name) > 63 or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a namespace, nor one with * for any text; write it like training-*")
    return name


def _some(after: timedelta) -> timedelta:
    if not after:
        raise ValueError("must be more than 0s")
    return after


class NamespaceSpec(Strict):
    """How the pods of some namespaces leave."""

    name: Annotated[str, AfterValidator(_pattern)] = Field(
        description="The namespace; * stands for any text, so that training-* is all that begin so."
    )
    mode: NamespaceMode = Field(
        description="`evict`, `waitForCompletion` (the pods are left to come to their end by themselves; what has not "
        "by the end of waittime is up to onTimeout) or `deleteAfter` (they are evicted, and what is left after the "
        "time `after` is deleted with its grace period, whatever its disruption budgets say)."
    )
    after: Annotated[Duration, AfterValidator(_some)] | None = Field(
        None, description="With `deleteAfter`, and only there: how long they are asked before; less than waittime."
    )

    @model_validator(mode="after")
    def _goes_with_its_mode(self) -> "NamespaceSpec":
        if self.mode is NamespaceMode.DELETE_AFTER and self.after is None:
            raise ValueError("deleteAfter needs a time, like deleteAfter:30min")
        if self.mode is not NamespaceMode.DELETE_AFTER and self.after is not None:
            raise ValueError(f"a time goes with deleteAfter; {self.mode} takes none")
        return self

    @property
    def rule(self) -> NamespaceRule:
        """The rule of the plan."""
        return NamespaceRule(self.name, self.mode, self.after)


def entries(written: object) -> object:
    """Take the text of the attribute apart; raise ValueError for what is none."""
    if not isinstance(written, str):
        raise ValueError(f"is no text; write it in quotes, like {_EXAMPLE}")  # noqa: TRY004 - pydantic wants it so
    if len(written) > LONGEST:
        raise ValueError(f"has {len(written)} characters, and may have {LONGEST}; name several by one pattern with *")
    return [_entry(part) for part in written.split(",")]


def _entry(part: str) -> dict[str, str]:
    name, sign, mode = part.partition("=")
    if not sign:
        raise ValueError(f"{part.strip()!r} is not NAME=MODE; write it like {_EXAMPLE}")
    mode, colon, after = mode.partition(":")
    found = {"name": name.strip(), "mode": mode.strip()}
    return {**found, "after": after.strip()} if colon else found


def check(rules: Sequence[NamespaceSpec], waittime: timedelta) -> None:
    """Raise ValueError for an entry that could never count."""
    for place, spec in enumerate(rules):
        first = next((other for other in rules[:place] if fnmatchcase(spec.name, other.name)), None)
        if first is not None:
            raise ValueError(f"namespaces: {spec.name} is never reached, because {first.name} stands before it")
        if spec.after is not None and spec.after >= waittime:
            told = f"after {format_duration(spec.after)} is never reached, waittime is {format_duration(waittime)}"
            raise ValueError(f"namespaces: {spec.name}: {told}")
