"""The matcher: lines in, faults and sightings out. It remembers half-told falls off the bus, and texts it has read."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.match.bus import Falls
from pipeline.match.message import read_message
from pipeline.match.needles import Search
from pipeline.match.patterns import PatternSet
from pipeline.match.sightings import read_sighting
from pipeline.model.catalogue import Catalogue
from pipeline.model.fault import Drill, Fault, Sighting, UnknownDriverLine
from pipeline.model.line import LogLine

_MOST_READ, _LONGEST_READ = 8192, 1024
"""Texts whose fault is remembered, about 1 KB each, and characters of the longest: the lines of a storm are of few."""

_NO_LINE = LogLine("", "")

_Text = tuple[str, str | None, bool, bool | None]
"""All of a line that a fault is read from: text, node, whether its header is known, whether it is the kernel's."""

_REMEMBERED = 8192
"""Characters of a line that a fault keeps: it goes into every store and record, and a line may be a megabyte long."""


class Matcher:
    """Recognises faults by a set of patterns that can be replaced at any time."""

    def __init__(self, patterns: PatternSet) -> None:
        # A drill is no half of a real fall, nor the other way round.
        self._falls = {drill: Falls() for drill in (None, *Drill)}
        self.replace(patterns)

    @property
    def catalogue(self) -> Catalogue:
        """What the codes mean, by the patterns now in use."""
        return self._patterns.catalogue

    def replace(self, patterns: PatternSet) -> None:
        """Use other patterns from now on; what is remembered of the lines before stays."""
        self._patterns = patterns
        self._test = patterns.test
        self._read: dict[_Text, Fault] = {}

    def wanted(self, payload: bytes) -> bool:
        """Tell whether a message is worth decoding: False only if no line in it can be a fault or a sighting."""
        return bool(self._test(payload))

    def names(self, payload: bytes) -> bool:
        """Tell whether what a rule looks for stands in a message as it is, and not only may be written otherwise."""
        return bool(self._patterns.plain(payload))

    def searches(self) -> Sequence[Search] | None:
        """Return what finds, in a block of messages, those that can be wanted; None if all can.

        A message without any place that one of them finds holds no fault and no sighting, whatever lies between the
        messages of the block.
        """
        return self._patterns.searches

    def match(self, line: LogLine) -> Fault | Sighting | None:
        """Return what the line reports.

        Of a text that holds several lines it is the first fault, else the first sighting. A text that has told of a
        fault before, and by itself, is not taken apart again.
        """
        text = (line.text, line.node, line.bare or line.kernel_time is not None, line.from_kernel)
        known = self._read.get(text)
        if known is not None:
            return replace(known, line=line)
        before = self._uses_of_falls()
        found = self._match_each(line)
        if isinstance(found, Fault) and len(line.text) <= _LONGEST_READ and self._uses_of_falls() == before:
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            self._read[text] = replace(found, line=_NO_LINE)
        return found

    def _match_each(self, line: LogLine) -> Fault | Sighting | None:
        sighting = None
        for text in line.text.split("\n"):
            found = self._match(line, text)
            if isinstance(found, Fault):
                return _bounded(found)
            sighting = sighting or found
        return sighting

    def _uses_of_falls(self) -> int:
        return sum(falls.uses for falls in self._falls.values())

    def _match(self, line: LogLine, text: str) -> Fault | Sighting | None:
        message = read_message(line, text)
        if message.spoilt:
            return UnknownDriverLine(line)
        for rule in self._patterns.rules:
            if fault := rule.match(message, self._falls[message.drill]):
                return fault if message.drill is None else replace(fault, drill=message.drill)
        return read_sighting(message) if message.drill is None else None


def _bounded(fault: Fault) -> Fault:
    if len(fault.line.text) <= _REMEMBERED:
        return fault
    name = fault.name[:_REMEMBERED] if fault.name else fault.name
    line = replace(fault.line, text=fault.line.text[:_REMEMBERED])
    return replace(fault, message=fault.message[:_REMEMBERED], name=name, line=line)
