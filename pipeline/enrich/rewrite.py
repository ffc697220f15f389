"""Rules by which an operator turns the host names of the logs into names of nodes."""

import re
from collections.abc import Iterable
from typing import Any

import re2
from pydantic import Field, ValidationInfo, field_validator

from pipeline.documents import Strict

_REFERENCE = re.compile(r"\\(?:(?P<number>[0-9]+)|g<(?P<name>[^>]*)>)")


class RewriteRule(Strict):
    """One rule: a host name that matches is looked for under another name."""

    match: str = Field(
        description="An RE2 regular expression for the whole host name, which is in lower case: 'gpu-([0-9]+)-mgmt'."
    )
    node: str = Field(
        description=r"What to look for instead: a node's name, host name or address; \1 or \g<name> stands for a group."
    )

    @field_validator("match")
    @classmethod
    def _compiles(cls, expression: str) -> str:
        _compiled(expression)
        return expression

    @field_validator("node")
    @classmethod
    def _refers_to_groups(cls, template: str, info: ValidationInfo) -> str:
        if "\\" in _REFERENCE.sub("", template):
            raise ValueError(rf"{template!r} has a backslash that begins no \1 or \g<name>")
        if "match" in info.data:
            expression = _compiled(info.data["match"])
            known = {str(number) for number in range(expression.groups + 1)} | set(expression.groupindex)
            for reference in _REFERENCE.finditer(template):
                group = reference["number"] or reference["name"]
                if group not in known:
                    raise ValueError(f"{reference[0]} names no group of match; it has {expression.groups}")
        return template


class Rewriter:
    """Applies the first rule that matches."""

    def __init__(self, rules: Iterable[RewriteRule]) -> None:
        self._rules = [(_compiled(rule.match), rule.node) for rule in rules]

    def rewrite(self, host: str) -> str | None:
        """Return what the first matching rule makes of a host name; None when none matches."""
        # RE2 works on UTF-8, in which a stray surrogate of a broken line has no form.
        text = host.encode("utf-8", "replace").decode()
        for expression, template in self._rules:
            match = expression.fullmatch(text)
            if match is not None:
                return _filled(template, match)
        return None


def _compiled(expression: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"{expression!r} is not a regular expression of RE2: {reason}") from error


def _filled(template: str, match: Any) -> str:
    def group(reference: re.Match[str]) -> str:
        name = reference["number"] or reference["name"]
        return match.group(int(name) if name.isdecimal() else name) or ""

    return _REFERENCE.sub(group, template)
