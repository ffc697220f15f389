"""One record of the kernel's buffer: it may hold several lines, properties, and the user's own text behind `name=`.

A process can put a line break into its name, and behind it what looks like a line of the kernel's own. So a record is
never broken behind `name=`; a break that stands there is written as /dev/kmsg writes it.
"""

import re

_NAME = " name="
_METADATA = re.compile(r" [A-Z][A-Z0-9_]*=")
# A line break that stands inside a record, as each of them writes it.
_KMSG_BREAK, _RSYSLOG_BREAK = "\\x0a", "#012"


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
    head, name, users = "\n".join(lines).partition(_NAME)
    return _completed(head.split("\n"), name + users.replace("\n", _KMSG_BREAK))


def escaped_lines(text: str) -> list[str]:
    """Return the lines of a record whose line breaks are escaped."""
    if _KMSG_BREAK not in text and _RSYSLOG_BREAK not in text:
        return [text]
    head, name, users = text.partition(_NAME)
    return _completed(head.replace(_KMSG_BREAK, "\n").replace(_RSYSLOG_BREAK, "\n").split("\n"), name + users)


def _completed(lines: list[str], rest: str) -> list[str]:
    return [*lines[:-1], lines[-1] + rest]
