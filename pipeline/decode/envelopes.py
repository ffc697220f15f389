"""Bytes in, log lines out: envelopes are opened layer by layer until the kernel's text is left.

A message is an export of the journal, JSON (a record, an array, a record per line), or lines of text with headers; what
is inside may be any of these again: a record of Filebeat that holds syslog, a container's log that holds /dev/kmsg.
Understood are the records of rsyslog, Fluent Bit (in_kmsg, in_tail, in_systemd), Filebeat, Logstash, Vector, Promtail,
journalctl, Docker and KLog, and the headers listed in `headers`.
"""

from dataclasses import dataclass
from datetime import datetime

from pipeline.decode.facts import Facts, host_name
from pipeline.decode.problems import Problem
from pipeline.decode.reading import Reading
from pipeline.decode.records import RecordReader
from pipeline.decode.settings import DecodeSettings
from pipeline.decode.stamps import Stamps
from pipeline.model.line import LogLine

__all__ = ["BootlessDecoder", "Decoded", "Decoder", "Problem"]

# Characters: enough for people to read, little enough to be kept in every record.
_LONGEST_ORIGINAL = 8_192


@dataclass(frozen=True, slots=True)
class Decoded:
    """The lines of one message, in order, and what was wrong with it, each kind once."""

    lines: tuple[LogLine, ...]
    problems: tuple[Problem, ...] = ()


class Decoder:
    """Takes messages apart by the settings; keeps nothing between them."""

    def __init__(self, settings: DecodeSettings) -> None:
        self._records = RecordReader(settings)
        self._zone = settings.zone
        self._node = settings.node
        self._kernel_containers = frozenset(settings.kernel_containers)

    def decode(
        self,
        payload: bytes,
        position: str,
        *,
        received: datetime,
        stamp: datetime | None = None,
        key: str | None = None,
    ) -> Decoded:
        """Return the lines of *payload*; never raises, and drops no text because its envelope is damaged.

        *position* names the message's place in its stream: it is the first line's, the others are `position#1`,
        `position#2` and so on, the same at every delivery. *received* (aware, UTC) dates stamps without a year,
        and shows which lines are old where nothing else tells a time. *stamp* (aware, UTC), the stream's own, stands in
        for a time that the message does not tell; *key*, the stream's key or the file's name, for the node, and
        `settings.node` comes last. A line's time is that of `eventtime`: what was read late is as old as it says.
        """
        reading = Reading(self._records, Stamps(self._zone, received))
        original = reading.message(payload)[:_LONGEST_ORIGINAL]
        fallback = host_name(key) or self._node
        lines = [
            LogLine(
                text=_encodable(text),
                position=f"{position}#{index}" if index else position,
                node=facts.node or facts.header_node or fallback,
                time=facts.time.best(stamp, received),
                kernel_time=facts.kernel_time and _encodable(facts.kernel_time),
                boot_id=self._boot_of(facts),
                from_kernel=facts.from_kernel(text, self._kernel_containers),
                bare=facts.begins(),
                original=original,
            )
            for index, (text, facts) in enumerate(reading.found)
        ]
        return Decoded(tuple(lines), tuple(sorted(reading.problems)))

    def _boot_of(self, facts: Facts) -> str | None:
        return facts.boot_id


class BootlessDecoder(Decoder):
    """Leaves out the boot ids that messages name.

    For a simulated cluster: its machines have boots of their own, and by the log's no fault would be of the boot that
    they are in.
    """

    def _boot_of(self, facts: Facts) -> str | None:
        return None


def _encodable(text: str) -> str:
    """Return *text* without the lone surrogates that JSON can smuggle in, and that no sink could write."""
    return text if text.isascii() else text.encode(errors="replace").decode()
