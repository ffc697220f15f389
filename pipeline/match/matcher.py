"""The matcher: lines in, faults and sightings out. All it remembers is half-told falls off the bus."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.match.bus import Falls
from pipeline.match.message import read_message
from pipeline.match.needles import Search
from pipeline.match.patterns import PatternSet
from pipeline.match.sightings import read_sighting
from pipeline.model.catalogue import Catalogue
from pipeline.model.fault import Fault, Sighting
from pipeline.model.line import LogLine

_REMEMBERED = 8192
"""Characters of a line that a fault keeps: it goes into every store and record, and a line may be a megabyte long."""


class Matcher:
    """Recognises faults by a set of patterns that can be replaced at any time."""

    def __init__(self, patterns: PatternSet) -> None:
        self._falls = Falls()
        self.replace(patterns)

    @property
    def catalogue(self) -> Catalogue:
        """What the codes mean, by the patterns now in use."""
        return self._patterns.catalogue

    def replace(self, patterns: PatternSet) -> None:
        """Use other patterns from now on; what is remembered of the lines before stays."""
        self._patterns = patterns
        self._test = patterns.test

    def wanted(self, payload: bytes) -> bool:
        """Tell whether a message is worth decoding: False only if no line in it can be a fault or a sighting."""
        return bool(self._test(payload))

    def searches(self) -> Sequence[Search] | None:
        """Return what finds, in a block of messages, those that can be wanted; None if all can.

        A message without any place that one of them finds holds no fault and no sighting, whatever lies between the
        messages of the block.
        """
        return self._patterns.searches

    def match(self, line: LogLine) -> Fault | Sighting | None:
        """Return what the line reports.

        Of a text that holds several lines it is the first fault, else the first sighting.
        """
        sighting = None
        for text in line.text.split("\n"):
            found = self._match(line, text)
            if isinstance(found, Fault):
                return _bounded(found)
            sighting = sighting or found
        return sighting

    def _match(self, line: LogLine, text: str) -> Fault | Sighting | None:
        message = read_message(line, text)
        for rule in self._patterns.rules:
            if fault := rule.match(message, self._falls):
                return fault
        return read_sighting(message)


def _bounded(fault: Fault) -> Fault:
    if len(fault.line.text) <= _REMEMBERED:
        return fault
    name = fault.name[:_REMEMBERED] if fault.name else fault.name
    line = replace(fault.line, text=fault.line.text[:_REMEMBERED])
    return replace(fault, message=fault.message[:_REMEMBERED], name=name, line=line)
