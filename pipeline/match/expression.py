"""A rule's regular expression: run in linear time, its named groups read into a fault.

Operators write these, and users can write into the lines they run on. RE2 therefore, whose time grows with the line and
never explodes, and only over the first `LONGEST_LINE` bytes of it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import re2

from pipeline.match.message import Driver, Message
from pipeline.match.xid import parse_pci
from pipeline.model.fault import Fault

LONGEST_LINE = 16_384
"""Bytes of a line that an expression sees; `$` matches where a longer one is cut. The kernel ends a record at 8 KiB."""

_GROUP = re.compile(r"(?<!\\)\(\?P?<(?P<name>[A-Za-z_]\w*)>")
_BEYOND_RE2 = re.compile(r"(?<!\\)(?:\(\?<?[=!]|\(\?>|\\[1-9]|\(\?P=)")


def _whole_number(text: str) -> int | None:
    digits = text.strip().lower()
    try:
        return int(digits, 16 if digits.startswith("0x") else 10) if len(digits) < 12 else None
    except ValueError:
        return None


def _code(text: str) -> int | None:
    number = _whole_number(text)
    return number if number is not None and number >= 0 else None


def _text(text: str) -> str | None:
    return text.strip() or None


GROUPS: Mapping[str, Callable[[str], Any]] = {
    "code": _code,
    "pci": parse_pci,
    "pid": _whole_number,
    "name": _text,
    "message": str.strip,
    "device": _text,
    "link": _whole_number,
    "severity_word": _text,
    "gpu_instance": _whole_number,
    "compute_instance": _whole_number,
    "caused_by_xid": _whole_number,
}
"""The named groups that a rule may use, each the field of a fault, and how its text becomes that field's value."""


def compile_expression(regex: str) -> Any:
    """Return the compiled expression; raise ValueError with the engine's reason, or for a group that no fault has."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(regex.encode(), options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(reason + _hint(regex)) from error
    named = [group["name"] for group in _GROUP.finditer(regex)]
    for name in named:
        if name not in GROUPS:
            raise ValueError(f"no fault has a {name!r}; the named groups are {', '.join(GROUPS)}")
        if named.count(name) > 1:
            raise ValueError(f"the group {name!r} is there twice; write it once, around the alternatives")
    return compiled


def _hint(regex: str) -> str:
    if _BEYOND_RE2.search(regex):
        return "; the engine runs in linear time and has no lookaround, atomic groups or backreferences"
    if r"\Z" in regex:
        return r"; the end of the text is $ or \z"
    return "; the syntax is RE2's: https://github.com/google/re2/wiki/Syntax"


@dataclass(frozen=True, slots=True)
class Expression:
    """A regular expression and the parts of a fault that it does not read off the line.

    With a `driver`, it sees what follows the tag on that driver's lines; without one, every line from its beginning.
    """

    rule: str
    kind: str
    regex: str
    driver: Driver | None = None
    code: int | None = None
    message: str | None = None
    inferred: bool = False
    _compiled: Any = field(init=False, repr=False, compare=False)
    _groups: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        compiled = compile_expression(self.regex)
        object.__setattr__(self, "_compiled", compiled)
        object.__setattr__(self, "_groups", {name.decode(): index for name, index in compiled.groupindex.items()})

    def read(self, message: Message) -> Fault | None:
        """Return the fault that the line reports by this expression; None too if its `code` group holds no number."""
        if self.driver is not None and self.driver is not message.driver:
            return None
        seen = message.text if self.driver is None else message.body
        found = self._compiled.search(seen.encode("utf-8", "replace")[:LONGEST_LINE])
        if found is None:
            return None
        fields = {name: self._value(name, found[index]) for name, index in self._groups.items()}
        code = fields.pop("code", self.code)
        if code is None:
            return None
        text = fields.pop("message", None) or self.message or seen
        return Fault(
            kind=self.kind,
            code=code,
            pci=fields.pop("pci", None),
            message=text,
            rule=self.rule,
            line=message.line,
            device=fields.pop("device", None) or message.device,
            inferred=self.inferred,
            **fields,
        )

    def _value(self, name: str, text: bytes | None) -> Any:
        return GROUPS[name](text.decode("utf-8", "replace")) if text is not None else None
