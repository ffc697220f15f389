"""The grammar of an Xid line, after its tag: `Xid (PCI:...[ GPU-I:nn[ GPU-CI:nn]]): N, [pid=.., name=.., ]message`.

Source: krcReportXid in kernel_rc.c of open-gpu-kernel-modules 595.45.04. `name` is text that users choose, with commas
and anything else in it, and nothing marks its end. A message whose structure is known is therefore sought from the end
of the text: the name comes before the message, so the last structure is the driver's, whatever shippers and drivers
put behind it. Before any other message a name ends at the first comma and space.

One doubt is left: behind the last structure a comma goes on, and the structure is short enough to be a name's. Then it
may be forged, and what follows be a message that nobody knows; or it is the driver's, and what follows is only more
text. Such a structure is believed where it keeps hands off (a drill, a recovery), and no further: a drill must never
act, a forged verdict must never reboot, and a fault whose structure is not believed still acts by its code.
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
_CAUSE = re.compile(r"(?:\A|\s)caused by previous Xid (?P<xid>\d{1,9})\s*\Z", _FLAGS)
_LONGEST_NAME = 99
"""Bytes: NV_PROC_NAME_MAX_LENGTH of the driver's nvlimits.h, less the closing NUL."""

_ESCAPED = re.compile(r"\\+x[0-9a-f]{2}|[\\#][0-7]{3}", _FLAGS)
"""One byte of a name, as the kernel or rsyslog writes it."""

_LONGEST = 8192
"""How many characters of a text are searched for a structure: the kernel ends a record at 8 KiB."""

_TAIL = 500
"""How many characters before a message's end a cause can stand; it has a tenth of it."""

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
    if structure and (known := _last(structure, rest, owner.end())):
        name = rest[owner.end() : known.start()].rstrip().removesuffix(",")
        return _pid(pid), _known(name), rest[known.start() :], known
    name, text = _name_and_text(rest[owner.end() :])
    return _pid(pid), _known(name), text, None


def _last(structure: re.Pattern[str], rest: str, start: int) -> re.Match[str] | None:
    """Return the last structure behind a name that begins at *start*, if it is the driver's or keeps hands off."""
    for comma in reversed(list(_SEPARATOR.finditer(rest, start, _LONGEST))):
        if known := structure.match(rest, comma.end()):
            in_name = "," in rest[known.end() :] and _fits_a_name(rest[start : known.end()])
            return known if not in_name or _keeps_hands_off(known) else None
    return None


def _fits_a_name(text: str) -> bool:
    return len(_ESCAPED.sub("?", text)) <= _LONGEST_NAME


def _keeps_hands_off(known: re.Match[str]) -> bool:
    return _verdict(known).to_code == 0 if known.re is _VERDICT else nvlink5.fields(known).injected


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
