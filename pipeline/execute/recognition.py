"""From a delivered message to the faults in it: decode, match and enrich, one after the other."""

import traceback
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import structlog

from pipeline.clock import Clock
from pipeline.deadletters import Keep, kept_nowhere
from pipeline.decode.envelopes import Decoded, Decoder
from pipeline.enrich.labels import Enricher
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Fault, NodeFault, UnknownDriverLine
from pipeline.model.line import LogLine
from pipeline.sources.port import Delivery
from pipeline.telemetry import LINES, PROBLEMS, SET_ASIDE, UNKNOWN_DRIVER_LINES

_log = structlog.get_logger()


class Poison(StrEnum):
    """Why nothing could be made of a message.

    `no-line` holds what a rule looks for, but no line. The others are defects of ours, which stop no stream.
    """

    NO_LINE = "no-line"
    DECODING_FAILED = "decoding-failed"
    MATCHING_FAILED = "matching-failed"


@dataclass(slots=True)
class Oddities:
    """What was odd about what was read: messages by what was wrong with them, driver lines that no pattern knew."""

    problems: Counter[str] = field(default_factory=Counter)
    unknown_driver_lines: int = 0


class Recognition:
    """The stages that need no memory of what was decided; `oddities` counts what they came across.

    A message of which nothing can be made is counted, told and kept aside, and the next one is taken.
    """

    def __init__(
        self, decoder: Decoder, matcher: Matcher, enricher: Enricher, wall: Clock, keep: Keep = kept_nowhere
    ) -> None:
        """*wall* is the machine's clock: what a stamp leaves out (the year) is found by it, also in a replay."""
        self.oddities = Oddities()
        self._keep = keep
        self._decoder = decoder
        self._matcher = matcher
        self._enricher = enricher
        self._wall = wall

    def lines(self, delivery: Delivery) -> tuple[LogLine, ...]:
        """Take a delivery out of its envelope."""
        try:
            decoded = self._decoded(delivery)
        except Exception as error:
            self._set_aside(Poison.DECODING_FAILED, delivery.position, delivery.payload, error)
            return ()
        if not decoded.lines and self._matcher.names(delivery.payload):
            self._set_aside(Poison.NO_LINE, delivery.position, delivery.payload)
        LINES.inc(len(decoded.lines))
        for problem in decoded.problems:
            PROBLEMS.labels(problem).inc()
            self.oddities.problems[problem] += 1
            _log.debug("message.odd", problem=problem, position=delivery.position)
        return decoded.lines

    def recognise(self, line: LogLine, clock: Clock) -> NodeFault | None:
        """Return the fault that a line tells of; what it tells of a GPU's identity is remembered."""
        try:
            found = self._matcher.match(line)
        except Exception as error:
            self._set_aside(Poison.MATCHING_FAILED, line.position, line.original.encode(errors="replace"), error)
            return None
        if isinstance(found, Fault):
            return self._enricher.enrich(found, clock.now())
        if isinstance(found, UnknownDriverLine):
            UNKNOWN_DRIVER_LINES.inc()
            self.oddities.unknown_driver_lines += 1
            _log.debug("driver-line.unknown", text=line.text[:200], position=line.position)
        elif found is not None:
            self._enricher.learn(found)
        return None

    def _decoded(self, delivery: Delivery) -> Decoded:
        received = self._wall.now()
        return self._decoder.decode(
            delivery.payload, delivery.position, received=received, stamp=delivery.time, key=delivery.key
        )

    def _set_aside(self, reason: Poison, position: str, raw: bytes, error: Exception | None = None) -> None:
        SET_ASIDE.labels(reason).inc()
        self.oddities.problems[reason] += 1
        told = {"position": position, "reason": str(reason), **_cause(error)}
        _log.error("message.set-aside", **told)
        self._keep(told, raw)


def _cause(error: Exception | None) -> dict[str, str]:
    """Return what went wrong and where, in a few words: the line that did it may be long and come often."""
    if error is None:
        return {}
    *_, last = traceback.extract_tb(error.__traceback__)
    return {"error": f"{repr(error)[:200]} at {Path(last.filename).name}:{last.lineno}"}
