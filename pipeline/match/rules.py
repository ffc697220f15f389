"""A rule ready for use: where it applies, and how it reads a fault off a line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from pipeline.match.bus import Falls, read_fall
from pipeline.match.message import Driver, Message
from pipeline.match.sxid import read_sxid
from pipeline.match.xid import read_xid
from pipeline.model.fault import Fault, Severity
from pipeline.model.line import LogLine

Reader = Callable[[Message, Falls], Fault | None]


class Grammar(StrEnum):
    """What no regular expression can read, and is code therefore."""

    XID = "xid"
    SXID = "sxid"
    BUS = "bus"


GRAMMARS: Mapping[Grammar, Reader] = {
    Grammar.XID: lambda message, _: read_xid(message),
    Grammar.SXID: lambda message, _: read_sxid(message),
    Grammar.BUS: read_fall,
}

DRIVERS: Mapping[Grammar, Driver] = {
    Grammar.XID: Driver.GPU,
    Grammar.SXID: Driver.NVSWITCH,
    Grammar.BUS: Driver.GPU,
}
"""Whose lines each grammar reads."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One enabled rule.

    `contains` are literals that every line it matches holds, whatever the case of their ASCII letters; without any it
    has no cheap test. `nodes` are patterns (`gpu-*`) of which one fits the line's node; none at all: every node.
    `kernel_only` passes over lines whose envelope says that they are not the kernel's. `place` is FILE:LINE.
    """

    name: str
    place: str
    read: Reader
    contains: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    kernel_only: bool = False
    severity: Severity | None = None
    _folded: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_folded", tuple(literal.encode().lower() for literal in self.contains))

    def match(self, message: Message, falls: Falls) -> Fault | None:
        """Return the fault that the line reports by this rule, None if it reports none."""
        if not all(literal in message.folded for literal in self._folded) or not self._applies(message.line):
            return None
        fault = self.read(message, falls)
        if fault is None or (fault.rule, fault.severity) == (self.name, self.severity):
            return fault
        return replace(fault, rule=self.name, severity=self.severity)

    def _applies(self, line: LogLine) -> bool:
        if self.kernel_only and line.from_kernel is False:
            return False
        return not self.nodes or any(fnmatchcase(line.node or "", pattern) for pattern in self.nodes)
