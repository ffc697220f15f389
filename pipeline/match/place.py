"""Where a driver's tag counts, by what stands before it on the line.

Kernel text is full of words that users choose: names of processes, files, control groups, USB devices. Where the line's
header is known and was taken off, the tag must begin the message, or stand behind what the kernel and the driver
themselves put there. Where no header was recognised, anything may be one, as long as nothing in it shows that what
follows is part of a sentence.
"""

import re

_FLAGS = re.IGNORECASE | re.ASCII
_LONGEST = 300
_LONGEST_RECORD = 8_192
"""Characters: no header is longer, and before a record's message stands no more of the record."""

_LEVEL = r"(?:emerg|alert|crit|critical|err|error|warn|warning|notice|info|debug|fatal)"

_OWN = re.compile(
    "(?:"
    + "|".join(
        (
            r"\s",
            r"<\d{1,3}>",
            r"\[\s*\+?\d{1,12}(?:\.\d{1,9})?(?:\s*<[\s+\d.]{1,20}>)?\]",  # printk's time, with dmesg -d's difference
            r"\[\s*[TC]\d{1,9}\]",  # CONFIG_PRINTK_CALLER
            r"\[(?:[^\[\]()'\"/=]{0,40}\s)?\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s\d{4})?\]",  # dmesg -T, -e
            r"\[\.\.\.\]",
            r"kern(?:el)?\s*:",
            _LEVEL + r"\s*:",
            r"cpu\d{1,5}:\d{1,12}(?: opID=\w{1,40})?\)",  # ESXi's vmkernel
            r"nvidia(?:[-_]\w{1,16})?(?: [0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7])?)?\s*:",
            r"\[drm(?::\w{1,64})?(?: \[\w{1,32}\])?\]",
            r"\*ERROR\*",
            r"\[nvidia-drm\]|\[GPU ID 0x[0-9a-f]{1,8}\]",
        )
    )
    + ")*+",
    _FLAGS & ~re.ASCII,
)
"""What stands before a message in the kernel's own log, any number of times."""

_FILE = re.compile(r"[\w./-]*\w\.\w[\w.-]*:")
"""The name of a file with an ending, as grep puts it before a line."""

_FIELD = r"(?:MESSAGE|message|msg|log|content|text|line|body)"
_RECORD = re.compile(
    rf"[\[\s]*\{{(?:.*?[{{,])??\s*\\*\"{_FIELD}\\*\"\s*:\s*\\*\"|[\[\s]*\\*\""
    rf"|(?:\w{{1,40}}=(?:\"[^\"]*\"|[^\s\"']*)\s+)*+{_FIELD}=\\*\"?",
    re.DOTALL,
)
"""The beginning of a record of JSON, or of logfmt, as far as to the message in it; one may hold another."""

_FOREIGN = re.compile(
    "|".join(
        (
            r"['\"`]",  # a quotation
            r"[(\[]$",  # a process in brackets, the OOM killer's
            r"(?<![\w.])/",  # a file or a control group
            r"\w=",  # a field of the kernel's own: exe=, comm=, task_memcg=
            r"\baudit(?:\(|:)",
            r"\b(?:Product|Manufacturer|SerialNumber|input):",  # what a USB device says of itself
            # A program's tag: with a process id, which the kernel never prints, or behind a time, where a tag belongs.
            r"(?<![\w/.-])(?!(?:kernel|kern|klogd|kmsg|dmesg|vmunix|vmkernel|nvidia|drm|msg|message|log|content|text"
            r"|line)\b)[\w/.-]{1,64}\[\d{1,10}\]:[^\[]*$",
            r"(?:\d\d:\d\d:\d\d\S{0,40}\s+(?:\S{1,255}\s+)?|\]\s*)"
            r"(?!(?:kernel|kern|klogd|kmsg|dmesg|vmunix|vmkernel|nvidia|drm|msg|message|log|content|text|line)\b)"
            rf"(?!{_LEVEL}\b)[A-Za-z][\w.-]{{0,63}}:\s*$",
        )
    ),
    _FLAGS,
)
_NO_WORDS = re.compile(rf"(?:\[[^\[\]]*\]|<\d{{1,3}}>|\d[\w:.,+-]*|{_LEVEL}\b:?|[|>)*;-]|\s)*+\Z", _FLAGS)
"""What may stand between the last colon of a header and the message: stamps and levels, no words."""


def begins_message(before: str, bare: bool) -> bool:
    """Tell whether what stands *before* a tag is none, or a header. *bare*: the line's own header was taken off."""
    if not before or (len(before) <= _LONGEST and _OWN.fullmatch(before)):
        return True
    return not bare and _may_be_header(before)


def _may_be_header(before: str) -> bool:
    file = _FILE.match(before[:_LONGEST])
    header = before[file.end() :] if file else before
    while record := _RECORD.match(header[:_LONGEST_RECORD]):
        header = header[record.end() :]
    if len(header) > _LONGEST or _FOREIGN.search(header):
        return False
    _, colon, rest = header.rpartition(": ")
    return not colon or _NO_WORDS.match(rest) is not None
