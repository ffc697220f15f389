"""A line of kernel text taken apart as far as every pattern needs it: whose message it is, and where it begins.

A message counts as the NVIDIA driver's only where its tag is the first one on the line and stands where a message
begins (`place`), not inside a sentence of the kernel's or another program's.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.match.drill import before_tag, before_text
from pipeline.match.place import begins_message
from pipeline.model.fault import Drill
from pipeline.model.line import LogLine

_FLAGS = re.IGNORECASE | re.ASCII
_TAG = re.compile(r"(?<![\w-])(?:NVRM|nvidia-(?P<device>nvswitch\d{1,4}))\s*:\s*", _FLAGS)
_COLOUR = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
_BLANKS = (" ", "\t", "\r", "\n", "\0")
_LINE_ENDS = ("#015", "#012", "#000", "\\r", "\\n", "\\x0d", "\\x0D", "\\x0a", "\\x0A", "^M", "^J")
"""A line's end as text: escaped by rsyslog, in JSON, by the kernel, or as terminals show it."""


class Driver(StrEnum):
    """The NVIDIA drivers that write to the kernel's log."""

    GPU = "gpu"
    NVSWITCH = "nvswitch"

    @property
    def literal(self) -> str:
        """What every line of the driver holds, whatever its case."""
        return "NVRM" if self is Driver.GPU else "nvidia-nvswitch"


@dataclass(frozen=True, slots=True)
class Message:
    """One line of kernel text; `folded` is the same in UTF-8, the case of ASCII letters lowered.

    `driver` is who wrote it, None where that is not an NVIDIA driver; `body` is what follows the driver's tag, else the
    whole text. `device` is the NVSwitch that the tag names (`nvswitch2`). `quoted` is whether the tag stands where it
    does not count, and the line may be the driver's all the same, behind a header that nobody knows; in the kernel's
    own log it is not. `drill` is how the mark of a drill means it, which no longer stands in the text; `spoilt` whether
    there is a mark that is not whole, or not in its place.
    """

    line: LogLine
    text: str
    folded: bytes
    body: str
    driver: Driver | None = None
    device: str | None = None
    quoted: bool = False
    drill: Drill | None = None
    spoilt: bool = False


def read_message(line: LogLine, text: str) -> Message:
    """Return one line of the text of *line*, with its driver tag found."""
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    text = _without_line_end(text.strip(" \t\r\n\0"))
    folded = text.encode("utf-8", "replace").lower()
    tag = _TAG.search(text) if b"nvrm" in folded or b"nvidia-nvswitch" in folded else None
    header = text[: tag.start()] if tag else ""
    mark = before_tag(header) if tag else before_text(text)
    if mark.damaged:
        return Message(line, text, folded, text, quoted=tag is not None, spoilt=True)
    if mark.drill is not None:
        unmarked = mark.rest + text[tag.start() :] if tag else mark.rest
        return replace(read_message(line, unmarked), drill=mark.drill)
    if tag is None:
        return Message(line, text, folded, text)
    if not begins_message(header, bare=line.bare or line.kernel_time is not None):
        of_kernel = line.kernel_time is not None or line.from_kernel is True
        return Message(line, text, folded, text, quoted=not of_kernel)
    body, device = text[tag.end() :], tag["device"]
    if device is None:
        return Message(line, text, folded, body, Driver.GPU)
    return Message(line, text, folded, body, Driver.NVSWITCH, device.lower())


def _without_line_end(text: str) -> str:
    """Return stripped *text* without the escaped line ends behind it."""
    if not text.endswith(_LINE_ENDS):
        return text
    end = len(text)
    while tail := next((tail for tail in _LINE_ENDS + _BLANKS if text.endswith(tail, 0, end)), ""):
        end -= len(tail)
    return text[:end]
