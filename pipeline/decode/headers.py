"""What stands before the text of a line, and is taken off it layer by layer.

Sources of the formats: syslog from RFC 3164 and RFC 5424, and rsyslog's file format; /dev/kmsg from the kernel's
Documentation/ABI/testing/dev-kmsg; container logs from Kubernetes' CRI logging format; the rest as util-linux's dmesg
and systemd's journalctl print it. A header that is not understood stays in the text.
"""

import re
from collections.abc import Callable

from pipeline.decode.facts import Facts, host_name
from pipeline.decode.origin import DRIVER, names_program
from pipeline.decode.stamps import ISO, MONTH_DAY, Stamps

_MOST_LAYERS = 8
_NO_TEXT = re.compile(r"\A[\s\0\ufeff\ufffd]+")
"""What damage leaves before a header: with it the header would not be read, and the node that it names be missed."""

# A name or an address; what kernel text holds (a=b, x;y) is none.
_HOST = r"(?P<host>[^\s\[\]<>(){}=;,]{0,252}[^\s\[\]<>(){}=;,:])"
_TAG = rf"(?!{DRIVER})(?P<tag>[^\s:\[\]]{{1,64}})(?i:(?<!nvrm))(?:\[[^\]\s]{{1,32}}\])?:(?=[\s\[]|$)"
# A relay puts a header of its own before the line's.
_NESTED = r"[^\W\d_]{2,12}\.?\s+\d{1,2}\s+\d{1,2}:\d{2}:|\d{4}-\d{2}-\d{2}T|<\d{1,3}>"
# Busybox puts `kern.err` between the host and the tag.
_ORIGIN = rf"(?:{_HOST}\s+)?(?:(?:[a-z]+\d?\.[a-z]+\s+)?{_TAG}|(?={DRIVER}|{_NESTED}))"

_DATA = r'(?:-|(?:\[(?:[^\]"\\]|"(?:[^"\\]|\\.)*")*\])+)'
_TOKEN = r"[^\s:]{1,255}"

Read = Callable[[re.Match[str], Facts, Stamps], bool]
"""Tells the facts what a header says; False when what follows is an application's own text, to be left alone."""


def peel(text: str, facts: Facts, stamps: Stamps) -> str:
    """Return *text* without the headers before it, whose word goes to *facts*; the very object when there are none."""
    for _ in range(_MOST_LAYERS):
        bare = _NO_TEXT.sub("", text)
        for pattern, read in _HEADERS.get(bare[:1], _WORDS):
            if match := pattern.match(bare):
                text = bare[match.end() :]
                if not read(match, facts, stamps):
                    return text
                break
        else:
            break
    return text


def _priority(match: re.Match[str], facts: Facts, _: Stamps) -> bool:
    facts.origin.facility(int(match[1]) >> 3)
    return True


def _rfc5424(match: re.Match[str], facts: Facts, stamps: Stamps) -> bool:
    facts.header_time(stamps.iso(match["time"]))
    facts.header_node = facts.header_node or host_name(match["host"])
    facts.origin.tag(match["app"])
    return not names_program(match["app"])


def _container(match: re.Match[str], facts: Facts, stamps: Stamps) -> bool:
    facts.header_time(stamps.iso(match[1]))
    facts.origin.printed_on(match[2])
    return True


def _kmsg(match: re.Match[str], facts: Facts, _: Stamps) -> bool:
    facts.origin.facility(int(match[1]) >> 3)
    facts.kernel_time = facts.kernel_time or match[2]
    facts.printk = True
    return True


def _dmesg(match: re.Match[str], facts: Facts, stamps: Stamps) -> bool:
    facts.origin.facility(match["facility"])
    if match["time"]:
        facts.kernel_stamp(match["time"], stamps)
    return True


def _kernel_time(match: re.Match[str], facts: Facts, stamps: Stamps) -> bool:
    facts.kernel_stamp(match[1], stamps)
    return True


def _kernel_tag(match: re.Match[str], facts: Facts, _: Stamps) -> bool:
    facts.header_node = facts.header_node or host_name(match["host"])
    facts.origin.kernel = True
    return True


def _syslog(match: re.Match[str], facts: Facts, stamps: Stamps) -> bool:
    host, tag, iso = match["host"], match["tag"], match["iso"]
    if iso and "," in iso and not (host or tag):
        # Only dmesg writes a decimal comma; its time is the kernel's, which drifts.
        facts.kernel_stamp(iso, stamps)
        return True
    facts.header_time(stamps.iso(iso) if iso else (stamps.month_day(match, facts.time.zoned), False))
    facts.header_node = facts.header_node or host_name(host)
    facts.origin.tag(tag)
    return not names_program(tag)


def _nothing(_match: re.Match[str], _facts: Facts, _stamps: Stamps) -> bool:
    return True


_Header = tuple[re.Pattern[str], Read]

# `[ 3023.054882]`, `[ 3023.054882 <    0.000123>]`, and the thread or CPU of CONFIG_PRINTK_CALLER.
_SINCE_BOOT = re.compile(r"\[\s*(\+?\d{1,12}(?:\.\d{1,9})?)(?:\s*<[\s+\d.]{1,20}>)?\](?:\s*\[\s*[TC]\d+\])?")
# `[Thu Jul  4 11:09:40 2024]` and `[Jul 4 11:09]`, in the words of any language.
_WALL_TIME = re.compile(r"\[((?:[^\[\]()]{0,40}\s)?\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s[^\[\]()]{0,24})?)\]")
# RFC 6587, section 3.4.1: the frame's length, where the frame was not cut by it.
_OCTETS = re.compile(r"\d{1,7} (?=<\d{1,3}>)")
# The cookie that marks structured data in the text of syslog (CEE; rsyslog's mmjsonparse).
_COOKIE = re.compile(r"@cee:\s*(?=[{\[])")
_PRIORITY = re.compile(r"<(\d{1,2}|1[0-8]\d|19[01])>")
_KMSG = re.compile(r"(\d{1,5}),\d{1,20},(\d{1,20}),[^,;\s]{0,8}(?:,[^;\s]{0,200})?;")
_CONTAINER = re.compile(rf"({ISO}) (stdout|stderr) [FP](?::\S{{1,64}})?(?: |$)")
_RFC5424 = re.compile(
    rf"1 (?P<time>-|\d{{4}}-\S{{1,40}}) (?P<host>{_TOKEN}) (?P<app>{_TOKEN}) {_TOKEN} {_TOKEN} {_DATA}(?: |$)\ufeff?"
)
_SYSLOG = re.compile(rf"(?:(?P<iso>{ISO})|{MONTH_DAY})\s+(?:{_ORIGIN})?")
_KERNEL_TAG = re.compile(rf"(?:{_HOST}\s+)?kern(?:el)?(?:\[\d{{1,10}}\])?:(?=[\s\[]|$)")
_DMESG = re.compile(
    rf"(?P<facility>[a-z]+\d?)\s*:(?:emerg|alert|crit|err|warn|notice|info|debug)\s*:(?:\s*(?P<time>{ISO})(?=\s))?"
)
_MESSAGE = re.compile(r"MESSAGE=")

_BRACKETS: tuple[_Header, ...] = ((_SINCE_BOOT, _kernel_time), (_WALL_TIME, _kernel_time))
_DIGITS: tuple[_Header, ...] = (
    (_KMSG, _kmsg),
    (_OCTETS, _nothing),
    (_CONTAINER, _container),
    (_RFC5424, _rfc5424),
    (_SYSLOG, _syslog),
    (_KERNEL_TAG, _kernel_tag),
)
_WORDS: tuple[_Header, ...] = (
    (_KERNEL_TAG, _kernel_tag),
    (_SYSLOG, _syslog),
    (_DMESG, _dmesg),
    (_MESSAGE, _nothing),
)
_HEADERS: dict[str, tuple[_Header, ...]] = {
    "[": _BRACKETS,
    "<": ((_PRIORITY, _priority),),
    "@": ((_COOKIE, _nothing),),
    **dict.fromkeys("0123456789", _DIGITS),
}
"""What a line's header can be, by its first character; `_WORDS` for all others."""
