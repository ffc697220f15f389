"""The grammar of an Xid line, after its tag: `Xid (PCI:...[ GPU-I:nn[ GPU-CI:nn]]): N, [pid=.., name=.., ]message`.

Source: krcReportXid in kernel_rc.c of open-gpu-kernel-modules 595.45.04. `name` is text that users choose, with commas
and anything else in it, and nothing marks its end. A message whose structure is known is therefore sought from the end
of the text, where no name can stand behind it; before any other message a name ends at the first comma and space.
"""

import re

from pipeline.match import nvlink5
from pipeline.match.message import Driver, Message
from pipeline.model.fault import Fault, RecoveryAction

_FLAGS = re.IGNORECASE | re.ASCII

PCI = r"(?:PCI\s*:\s*)?(?P<domain>[0-9a-f]{4,8}):(?P<bus>[0-9a-f]{2}):(?P<slot>[0-9a-f]{2})(?:\.[0-7])?(?![0-9a-f])"
"""A PCI address as drivers print it; `normalised` makes it comparable."""

_PCI = re.compile(r"\s*" + PCI + r"\s*", _FLAGS)
_HEAD = re.compile(
    r"Xid\s*\(\s*" + PCI + r"(?:\s+GPU-I\s*:\s*(?P<gi>\d{1,4}))?(?:\s+GPU-CI\s*:\s*(?P<ci>\d{1,4}))?\s*\)\s*:\s*"
    r"(?P<code>\d{1,9})(?!\w)\s*,?\s*",
    _FLAGS,
)
_PID = re.compile(r"pid\s*=(?P<pid>[^,]*)(?:,\s*|$)", _FLAGS)
_NAME = re.compile(r"name\s*=\s*", _FLAGS)
_SEPARATOR = re.compile(r",\s*")
_VERDICT = re.compile(
    r"GPU recovery action changed from\s+0x[0-9a-f]{1,8}(?:\s*\((?P<frm>[^()]*)\))?"
    r"\s+to\s+0x(?P<code>[0-9a-f]{1,8})(?:\s*\((?P<to>[^()]*)\))?",
    _FLAGS,
)
_END = re.compile(r"\.?(?:\s+caused by previous Xid \d{1,9})?\s*\Z", _FLAGS)
_CAUSE = re.compile(r"(?:\A|\s)caused by previous Xid (?P<xid>\d{1,9})\s*\Z", _FLAGS)
_TAIL = 500
"""How many characters from the end of a line a known structure can begin; the longest is half as long."""

_RECOVERY_ACTION_CHANGED = 154
_UNKNOWN = frozenset({"", "<unknown>", "N/A"})


def read_xid(message: Message) -> Fault | None:
    """Return the Xid that a message of the GPU driver reports, None if it reports none."""
    head = _HEAD.match(message.body) if message.driver is Driver.GPU else None
    if head is None:
        return None
    code = int(head["code"])
    pid, name, text, known = _owner_and_text(head.string[head.end() :], _structure_of(code))
    cause = _CAUSE.search(text[-_TAIL:])
    return Fault(
        kind="xid",
        code=code,
        pci=normalised(head),
        message=text,
        rule="xid",
        line=message.line,
        pid=pid,
        name=name,
        gpu_instance=_number(head["gi"]),
        compute_instance=_number(head["ci"]),
        caused_by_xid=int(cause["xid"]) if cause else None,
        recovery_action=_verdict(known) if known and code == _RECOVERY_ACTION_CHANGED else None,
        nvlink5=nvlink5.fields(known) if known and code in nvlink5.CODES else None,
    )


def normalised(pci: re.Match[str]) -> str:
    """Return a match of `PCI` as DDDD:BB:DD: lower case, four digits of domain or more, no function."""
    return f"{int(pci['domain'], 16):04x}:{pci['bus']}:{pci['slot']}".lower()


def parse_pci(text: str) -> str | None:
    """Return the PCI address that *text* is, normalised; None if it is none."""
    pci = _PCI.fullmatch(text)
    return normalised(pci) if pci else None


def _structure_of(code: int) -> re.Pattern[str] | None:
    if code == _RECOVERY_ACTION_CHANGED:
        return _VERDICT
    return nvlink5.STRUCTURE if code in nvlink5.CODES else None


def _owner_and_text(
    rest: str, structure: re.Pattern[str] | None
) -> tuple[int | None, str | None, str, re.Match[str] | None]:
    """Take what follows the code apart: pid, name, message, and the message's structure where it is known and found."""
    pid = _PID.match(rest)
    start = pid.end() if pid else 0
    owner = _NAME.match(rest, start)
    if owner is None:
        return _pid(pid), None, rest[start:], structure.match(rest, start) if structure else None
    if structure:
        for comma in _commas_from_the_end(rest, owner.end()):
            known = structure.match(rest, comma.end())
            if known and _END.match(rest, known.end()):
                return _pid(pid), _known(rest[owner.end() : comma.start()]), rest[comma.end() :], known
    name, text = _name_and_text(rest[owner.end() :])
    return _pid(pid), _known(name), text, None


def _commas_from_the_end(rest: str, start: int) -> list[re.Match[str]]:
    return list(_SEPARATOR.finditer(rest, max(start, len(rest) - _TAIL)))[::-1]


def _name_and_text(rest: str) -> tuple[str, str]:
    quote = rest[:1]
    if quote in ("'", '"'):
        name, closed, text = rest[1:].partition(quote + ",")
        if closed:
            return name, text.lstrip()
    name, comma, text = rest.partition(", ")
    if not comma:
        name, _, text = rest.partition(",")
    return name, text.lstrip()


def _known(value: str) -> str | None:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return None if value in _UNKNOWN else value


def _pid(match: re.Match[str] | None) -> int | None:
    return _number(_known(match["pid"])) if match else None


def _number(digits: str | None) -> int | None:
    return int(digits) if digits and len(digits) < 12 and digits.isascii() and digits.isdigit() else None


def _verdict(match: re.Match[str]) -> RecoveryAction:
    return RecoveryAction(frm=match["frm"] or "", to=match["to"] or "", to_code=int(match["code"], 16))
