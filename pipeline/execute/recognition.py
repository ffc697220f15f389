"""From a delivered message to the faults in it: decode, match and enrich, one after the other."""

from collections import Counter
from dataclasses import dataclass, field

import structlog

from pipeline.clock import Clock
from pipeline.decode.envelopes import Decoder
from pipeline.enrich.labels import Enricher
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Fault, NodeFault, UnknownDriverLine
from pipeline.model.line import LogLine
from pipeline.sources.port import Delivery
from pipeline.telemetry import LINES, PROBLEMS, UNKNOWN_DRIVER_LINES

_log = structlog.get_logger()


@dataclass(slots=True)
class Oddities:
    """What was odd about what was read: damaged messages by problem, driver lines that no pattern knew."""

    problems: Counter[str] = field(default_factory=Counter)
    unknown_driver_lines: int = 0


class Recognition:
    """The stages that need no memory of what was decided; `oddities` counts what they came across."""

    def __init__(self, decoder: Decoder, matcher: Matcher, enricher: Enricher, wall: Clock) -> None:
        """*wall* is the machine's clock: what a stamp leaves out (the year) is found by it, also in a replay."""
        self.oddities = Oddities()
        self._decoder = decoder
        self._matcher = matcher
        self._enricher = enricher
        self._wall = wall

    def lines(self, delivery: Delivery) -> tuple[LogLine, ...]:
        """Take a delivery out of its envelope."""
        decoded = self._decoder.decode(
            delivery.payload, delivery.position, received=self._wall.now(), stamp=delivery.time, key=delivery.key
        )
        LINES.inc(len(decoded.lines))
        for problem in decoded.problems:
            PROBLEMS.labels(problem).inc()
            self.oddities.problems[problem] += 1
            _log.debug("message.odd", problem=problem, position=delivery.position)
        return decoded.lines

    def recognise(self, line: LogLine, clock: Clock) -> NodeFault | None:
        """Return the fault that a line tells of; what it tells of a GPU's identity is remembered."""
        found = self._matcher.match(line)
        if isinstance(found, Fault):
            return self._enricher.enrich(found, clock.now())
        if isinstance(found, UnknownDriverLine):
            UNKNOWN_DRIVER_LINES.inc()
            self.oddities.unknown_driver_lines += 1
            _log.debug("driver-line.unknown", text=line.text[:200], position=line.position)
        elif found is not None:
            self._enricher.learn(found)
        return None
