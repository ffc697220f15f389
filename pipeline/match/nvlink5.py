"""The message of an NVLink5 fault (Xid 144 to 150).

    SUBCODE Fatal|Nonfatal XC<n> i<n> Link <n> (<intrInfo> <errorStatus> ...)

Source: the Xid 144-150 format in NVIDIA's Xid catalogue. Spaces vary, registers may be in brackets, one or none.
"""

import re

from pipeline.model.fault import NvLink5

CODES = range(144, 151)
"""The Xids whose message has this structure."""

STRUCTURE = re.compile(
    r"(?P<subcode>\w[\w/]*(?: [A-Za-z][\w/]*)?)\s+(?P<word>Fatal|Non-?fatal)"
    r"\s+XC\s*(?P<cross>\d{1,4})\s+i\s*(?P<injected>\d{1,4})\s+Link\s+(?P<link>-?\d{1,4})(?!\w)"
    r"(?:\s*[(\[]\s*(?P<intr_info>0x[0-9a-f]+)(?:[\s,]+(?P<error_status>0x[0-9a-f]+))?(?:[\s,]+0x[0-9a-f]+)*\s*[)\]]?)?",
    re.IGNORECASE | re.ASCII,
)


def fields(match: re.Match[str]) -> NvLink5:
    """Return the fields of a match of `STRUCTURE`."""
    return NvLink5(
        subcode=match["subcode"],
        fatal=match["word"].lower() == "fatal",
        cross_containment=int(match["cross"]) != 0,
        injected=int(match["injected"]) != 0,
        link=int(match["link"]),
        intr_info=match["intr_info"],
        error_status=match["error_status"],
    )
