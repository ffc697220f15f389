"""The entries of a rule's `errorCode`, and what each of them matches.

"62"                Xid 62
"sxid:12028"        SXid 12028 of an NVSwitch
"149.NETIR"         Xid 149 with the NVLink5 sub-code NETIR
"149:fatal"         Xid 149 that the driver calls fatal; also "149.NETIR:fatal", "sxid:12028:nonfatal", ":correctable"
"154:2"             Xid 154, the driver's own verdict, when it asks for recovery action 2
"class:reboot"      every code of that severity
"disk:9001"         code 9001 of an operator's own kind
"""

import re
from dataclasses import dataclass, replace

from pipeline.model.fault import DriverWord, NodeFault, Severity
from pipeline.model.occurrence import Code

# A sub-code is whatever the driver may print there: "MSE Degraded" and "NETIR/NETIR_INT" are some.
_SUBCODE = r"[A-Za-z0-9_][A-Za-z0-9_/]*(?: [A-Za-z][A-Za-z0-9_/]*)?"
_CODE = re.compile(rf"(?P<code>[0-9]+)(?:\.(?P<subcode>{_SUBCODE})|:(?P<recovery>[0-9]+))?")
_KIND = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9_-]*):(?P<code>[0-9]+)")
_WORD = re.compile(r"(?P<code>.+):(?P<word>[A-Za-z-]+)")
_FORMS = 'write it like "62", "sxid:12028", "149.NETIR", "149:fatal", "154:2" or "class:reboot"'

_XID_MAX = 999
_NVLINK5 = range(144, 151)
_WORDED_XIDS = frozenset(("xid", code) for code in _NVLINK5)
_VERDICT = 154
_RECOVERIES = range(1, 8)


@dataclass(frozen=True, slots=True)
class CodeSelector:
    """One code of one kind; where they are set, of one NVLink5 sub-code, recovery action or word of the driver only."""

    kind: str
    code: int
    subcode: str | None = None
    recovery: int | None = None
    word: DriverWord | None = None

    def matches(self, code: Code) -> bool:
        """Whether it names this code."""
        return (
            (self.kind, self.code) == (code.kind, code.number)
            and self.subcode in (None, code.subcode)
            and self.recovery in (None, code.recovery)
            and self.word in (None, code.word)
        )

    def __str__(self) -> str:
        text = str(self.code) if self.kind == "xid" else f"{self.kind}:{self.code}"
        if self.subcode is not None:
            text += f".{self.subcode}"
        told = self.word if self.recovery is None else self.recovery
        return text if told is None else f"{text}:{told}"


@dataclass(frozen=True, slots=True)
class ClassSelector:
    """Every code of one severity."""

    severity: Severity

    def matches(self, code: Code) -> bool:
        """Whether the code is of this severity here."""
        return code.severity is self.severity

    def __str__(self) -> str:
        return f"class:{self.severity}"


Selector = CodeSelector | ClassSelector


def severity(fault: NodeFault) -> Severity:
    """Return the severity that the pattern's rule sets, else the catalogue's."""
    return fault.fault.severity or fault.meaning.severity


def code_of(fault: NodeFault) -> Code:
    """Return all that a selector can tell of the fault."""
    line = fault.fault
    return Code(
        kind=line.kind.lower(),
        number=line.code,
        subcode=line.nvlink5.subcode.upper() if line.nvlink5 is not None else None,
        recovery=line.recovery_action.to_code if line.recovery_action is not None else None,
        severity=severity(fault),
        rescue=fault.meaning.rescue,
        catalogued=fault.meaning.catalogued,
        word=line.word,
    )


def parse(text: str) -> Selector:
    """Return the selector that *text* writes; raise ValueError, saying what would be right."""
    word = text.strip()
    head, _, tail = word.partition(":")
    if head.lower() == "class":
        return ClassSelector(_severity(tail))
    if (match := _WORD.fullmatch(word)) and not _KIND.fullmatch(word):
        return _worded(text, parse(match["code"]), match["word"])
    if match := _CODE.fullmatch(word):
        return _xid(text, int(match["code"]), match["subcode"], match["recovery"])
    if match := _KIND.fullmatch(word):
        kind, code = match["kind"].lower(), int(match["code"])
        return _xid(text, code, None, None) if kind == "xid" else CodeSelector(kind, code)
    raise ValueError(f"{text!r} is not an error code; {_FORMS}")


def may_both_match(one: Selector, other: Selector) -> bool:
    """Whether some fault could be matched by both; any code may be of any class, that is the catalogue's to say."""
    if isinstance(one, ClassSelector) or isinstance(other, ClassSelector):
        return not (isinstance(one, ClassSelector) and isinstance(other, ClassSelector)) or one == other
    return (
        (one.kind, one.code) == (other.kind, other.code)
        and (None in (one.subcode, other.subcode) or one.subcode == other.subcode)
        and (None in (one.recovery, other.recovery) or one.recovery == other.recovery)
        and (None in (one.word, other.word) or one.word == other.word)
    )


def covers(one: Selector, other: Selector) -> bool:
    """Whether *one* matches every code that *other* matches; what class a code is of is the catalogue's to say."""
    if isinstance(one, ClassSelector) or isinstance(other, ClassSelector):
        return one == other
    return (
        (one.kind, one.code) == (other.kind, other.code)
        and one.subcode in (None, other.subcode)
        and one.recovery in (None, other.recovery)
        and one.word in (None, other.word)
    )


def _worded(text: str, selector: Selector, word: str) -> Selector:
    nvlink5 = isinstance(selector, CodeSelector) and (selector.kind, selector.code) in _WORDED_XIDS
    if not isinstance(selector, CodeSelector) or not (nvlink5 or selector.kind == "sxid"):
        raise ValueError(f"{text!r}: only the NVLink5 Xids {_NVLINK5[0]} to {_NVLINK5[-1]} and SXids have such a word")
    if selector.word is not None:
        raise ValueError(f"{text!r} has two words of the driver; name one of them")
    try:
        return replace(selector, word=DriverWord(word.lower().replace("-", "")))
    except ValueError:
        raise ValueError(f"{text!r}: the driver's words are {', '.join(DriverWord)}") from None


def _severity(word: str) -> Severity:
    try:
        return Severity(word.strip().lower())
    except ValueError:
        known = ", ".join(Severity)
        raise ValueError(f"{word.strip()!r} is no class of codes; the classes are {known}") from None


def _xid(text: str, code: int, subcode: str | None, recovery: str | None) -> CodeSelector:
    # YAML reads a bare 154:2 as the number 9242 (154 x 60 + 2), and an SXid without its kind would match nothing, ever.
    if code > _XID_MAX:
        raise ValueError(f'{text!r} is not an Xid, which go up to {_XID_MAX}; an SXid is written "sxid:{code}", '
                         'and forms with a colon, like "154:2", need quotes')  # fmt: skip
    if subcode is not None and code not in _NVLINK5:
        raise ValueError(f"{text!r}: only the NVLink5 Xids {_NVLINK5[0]} to {_NVLINK5[-1]} have sub-codes")
    if recovery is None:
        return CodeSelector("xid", code, subcode.upper() if subcode else None)
    if code != _VERDICT:
        raise ValueError(f'{text!r}: only Xid 154 has a recovery action, as in "154:2"')
    if int(recovery) not in _RECOVERIES:
        raise ValueError(f"{text!r}: the recovery actions that ask for something are 1 to 7 (0 says that it recovered)")
    return CodeSelector("xid", code, None, int(recovery))
