"""The mark of a drill, which stands right before a message: `gpu-rescue-drill: NVRM: Xid (PCI:0000:3b:00): 79, ...`.

Neither may be taken for the other. A real fault cannot be made a drill: what users choose, the names of processes,
stands behind the driver's tag, and a mark counts only before it. A drill cannot be made a real fault: where anything
stands before the tag that was a mark once, and is not a whole one in its place, the message counts as nobody's.
"""

import re
from typing import NamedTuple

from pipeline.model.fault import Drill

_MARK = r"(?<!\S)gpu-rescue-drill(?P<real>-for-real)?:\s*"
_AT_THE_END = re.compile(_MARK + r"\Z")
_AT_THE_BEGINNING = re.compile(_MARK)
_NAME = r"(?<![\w-])gpu-rescue-drill(?:-for-real)?(?![\w-])"

# What is left of a mark that was hit in one place: one of its halves, or what stands around that place. It is the last
# word, or the last but one where it was cut in two; a node before it may well be called gpu-rescue-driver.
_HALF = r"gpu-rescue-dri|rescue-drill|gpu-rescue-[dr]\S{2,4}l(?=:|-for)|(?:rill|real):"
# And of one that has lost its head.
_REST = r"\b(?:il|l|ea|a)?l:"

_TRACE = re.compile(rf"{_NAME}|(?:{_HALF})\S*(?:\s\S{{0,2}}:)?\s*\Z|{_REST}\s*\Z", re.IGNORECASE | re.ASCII)
_TRACE_AT_THE_BEGINNING = re.compile(rf"\S*?(?:{_NAME}|{_HALF})", re.IGNORECASE | re.ASCII)


_REACH = 300
"""How many characters before a tag are searched for traces; a header is shorter."""


class Mark(NamedTuple):
    """What was found: `rest` is the text without the mark; `damaged` says that it holds what was one once."""

    rest: str
    drill: Drill | None = None
    damaged: bool = False


def before_tag(header: str) -> Mark:
    """Return the mark at the end of what stands before a driver's tag."""
    found = _AT_THE_END.search(header)
    rest = header[: found.start()] if found else header
    return Mark(header, damaged=True) if _TRACE.search(rest[-_REACH:]) else Mark(rest, _drill(found))


def before_text(text: str) -> Mark:
    """Return the mark at the beginning of a message that has no driver's tag; behind it may stand anybody's words."""
    found = _AT_THE_BEGINNING.match(text)
    rest = text[found.end() :] if found else text
    return Mark(text, damaged=True) if _TRACE_AT_THE_BEGINNING.match(rest) else Mark(rest, _drill(found))


def _drill(found: re.Match[str] | None) -> Drill | None:
    if found is None:
        return None
    return Drill.REAL if found["real"] else Drill.DRY
