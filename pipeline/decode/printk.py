"""One record of the kernel's buffer: it may hold several lines, properties, and the user's own text behind `name=`.

A process can put a line break into its name, and behind it what looks like a line of the kernel's own. So a record is
never broken behind `name=`; a break that stands there is written as /dev/kmsg writes it. And only what the driver
itself has begun may go on on another line: in all else that the kernel prints (names of files, say) users may put one.
"""

import re

from pipeline.decode.origin import DRIVER
from pipeline.model.fault import Drill

NAME = " name="
"""Behind it stands what a user calls a process, in a line of the driver's."""
_METADATA = re.compile(r" [A-Z][A-Z0-9_]*=")
# A line break that stands inside a record, as each of them writes it.
_KMSG_BREAK, _RSYSLOG_BREAK = "\\x0a", "#012"


_OF_DRIVER = re.compile(rf"\s*(?:(?:{'|'.join(drill.mark for drill in Drill)})\s*)?{DRIVER}")


def may_go_on(head: str) -> bool:
    """Whether a line behind *head*, in the same message, can be the driver's: it has begun it, and not named a user."""
    return _OF_DRIVER.match(head) is not None and NAME not in head


def is_metadata(line: str) -> bool:
    """Whether a line behind a record's text is one of its ` KEY=value` properties (kernel: ABI/testing/dev-kmsg)."""
    return _METADATA.match(line) is not None


def record_lines(text: str) -> list[str]:
    """Return the lines of a record, without its properties."""
    if "\n" not in text:
        return [text]
    lines = text.rstrip().split("\n")
    while len(lines) > 1 and is_metadata(lines[-1]):
        lines.pop()
    head, name, users = "\n".join(lines).partition(NAME)
    return _completed(head.split("\n"), name + users.replace("\n", _KMSG_BREAK))


def escaped_lines(text: str) -> list[str]:
    """Return the lines of a record whose line breaks are escaped."""
    if _KMSG_BREAK not in text and _RSYSLOG_BREAK not in text:
        return [text]
    head, name, users = text.partition(NAME)
    return _completed(head.replace(_KMSG_BREAK, "\n").replace(_RSYSLOG_BREAK, "\n").split("\n"), name + users)


def _completed(lines: list[str], rest: str) -> list[str]:
    return [*lines[:-1], lines[-1] + rest]
