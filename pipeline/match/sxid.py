"""The grammar of an SXid line, after its tag `nvidia-nvswitchN:`.

    SXid (PCI:...): N, [Fatal|Non-fatal|Correctable, [Link N ]]text

Source: the report macros in error_nvswitch.h of open-gpu-kernel-modules 595.45.04. A fault is printed as up to three
lines of one code; those that begin with `Severity` or `Data {` are the companions of the first.
"""

import re

from pipeline.match.message import Driver, Message
from pipeline.match.xid import PCI, normalised
from pipeline.model.fault import Fault

_FLAGS = re.IGNORECASE | re.ASCII
_HEAD = re.compile(r"SXid\s*\(\s*" + PCI + r"\s*\)\s*:\s*(?P<code>\d{1,9})(?!\w)\s*,?\s*", _FLAGS)
_WORD = re.compile(
    r"(?P<word>Fatal|Non-?fatal|Correctable)\b(?:\s*,)?(?:\s*Link\s+(?P<link>-?\d{1,4})(?!\w))?",
    _FLAGS,
)
_COMPANION = re.compile(r"Severity\s+-?\d+\b|Data\s*\{", _FLAGS)
_WORDS = {"fatal": "Fatal", "non-fatal": "Non-fatal", "nonfatal": "Non-fatal", "correctable": "Correctable"}


def read_sxid(message: Message) -> Fault | None:
    """Return the SXid, or the companion of one, that a message of an NVSwitch reports; None if it reports none."""
    head = _HEAD.match(message.body) if message.driver is Driver.NVSWITCH else None
    if head is None:
        return None
    text = head.string[head.end() :]
    word = _WORD.match(text)
    return Fault(
        kind="sxid",
        code=int(head["code"]),
        pci=normalised(head),
        message=text,
        rule="sxid",
        line=message.line,
        device=message.device,
        companion=_COMPANION.match(text) is not None,
        severity_word=_WORDS[word["word"].lower()] if word else None,
        link=int(word["link"]) if word and word["link"] else None,
    )
