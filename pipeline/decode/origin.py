"""Who wrote a line: the kernel, another program, or nobody says.

Users write into logs too, and a line of theirs must not reboot a machine; but a line that is refused here is a fault
that nobody acts on. So another program has written a line only where the envelope names one, and the kernel only where
the envelope says so and nothing speaks against it. A container's words are its own, unless the operator says that it
passes the kernel's log on; the facility `user` is that of whoever runs `logger`. All else stays open.
"""

import re
from collections.abc import Container
from dataclasses import dataclass

from pipeline.decode import facilities
from pipeline.decode.containers import SOMEWHERE, Printed, printed_to
from pipeline.model.fault import Drill

DRIVER = (
    r"(?:(?i:nvrm)\s*:|nvidia(?:-(?:nvswitch\d*|nvlink|modeset|uvm|drm|peermem|gpu))?(?: [0-9a-f]{4,8}:[0-9a-f:.]+)?:)"
)
"""The NVIDIA drivers' first words, as an expression. Behind a syslog header they look like a tag, and are none."""

# What a drill may lead to touches nothing, unless it is for real: whose line its mark stands on says nothing.
_BEGINS = re.compile(rf"(?:{Drill.DRY.mark}\s*)?{DRIVER}")
_MENTION = re.compile(r"(?<![\w-])(?:nvrm|nvidia-nvswitch\d{0,4})\s*:", re.IGNORECASE)
_DRIVER_NAME = re.compile(r"nvrm|nvidia(?:-(?:nvswitch\d*|nvlink|modeset|uvm|drm|peermem|gpu))?", re.IGNORECASE)
_TAG_OF_DRIVER = re.compile(r"nvrm|nvidia-nvswitch\d{1,4}", re.IGNORECASE)

_KERNEL_NAMES = {"kernel", "kern"}
# Those who pass the kernel's text on and tag it with their own name, and levels: they neither claim nor deny.
_NO_PROGRAMS = _KERNEL_NAMES | {
    *("klogd", "kmsg", "dmesg", "vmkernel", "vmunix"),
    *("emerg", "alert", "crit", "critical", "err", "error", "warn", "warning", "notice", "info", "debug", "fatal"),
}

_MARKED = "gpu-rescue-drill"
_DRILLS = {drill.mark.removesuffix(":"): drill for drill in Drill}
_DRILL_NAME = re.compile(rf"(?<![\w-])(?:{'|'.join(_DRILLS)})(?![\w-])", re.IGNORECASE)

# systemd.journal-fields(7), _TRANSPORT.
_OTHER_TRANSPORTS = {"audit", "driver", "journal", "stdout", "syslog"}
_UNITS = (".service", ".scope", ".socket", ".timer", ".mount", ".slice")

_TAG_END = re.compile(r"(?:\[[^\]]*\])?:?\s*$")
_LONGEST_TAG = 253
# `sudo:`, `sshd[77]:`, `gpu-1 sshd[77]:`, `gpu-1 my app:` where no header was there, or it was not understood.
_TAGGED = re.compile(
    r"(?:(?P<host>\S{0,252}[^\s:])\s+){0,2}(?P<tag>[^\s:\[\]]{1,64})(?P<id>\[\d{1,10}\])?:(?=\s|nvrm|nvidia)",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Origin:
    """What the layers say of who wrote the line.

    `kernel`: one says that it was the kernel. `facility_denies`: one has a syslog facility that is not the kernel's;
    shippers put their default there (local0, say), so this only casts doubt. `user`: it is the facility of users, which
    syslog daemons give to what any of them sends. `program`: one names another program. `printed`: a container printed
    the line; `sealed` says that a layer around the record in hand has said so, which therefore cannot say by which.
    `engine`: the record in hand is one that a container's engine wrote to the journal. `driver` is a driver's name that
    a parser took for the tag, and off the text.
    """

    kernel: bool = False
    facility_denies: bool = False
    user: bool = False
    program: bool = False
    printed: Printed | None = None
    sealed: bool = False
    engine: bool = False
    driver: str | None = None
    drill: Drill | None = None

    def copy(self) -> "Origin":
        """Return an origin that grows on its own."""
        return Origin(
            self.kernel,
            self.facility_denies,
            self.user,
            self.program,
            self.printed,
            self.sealed,
            self.engine,
            self.driver,
            self.drill,
        )

    def next_record(self) -> None:
        """Begin with another record: what was said of an engine was said of the last, and what it says of containers
        counts only where none is known yet.
        """
        self.engine, self.sealed = False, self.printed is not None

    def facility(self, value: object) -> None:
        """Take note of a syslog facility, a number or a name of `facilities`."""
        word = str(value).lower() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        self.kernel |= word in facilities.KERNEL
        self.facility_denies |= word in facilities.OTHER
        self.user |= word in facilities.USER

    def pri(self, value: object) -> None:
        """Take note of syslog's PRI as a field; below 8 it may as well be a severity, and says nothing."""
        digits = str(value) if isinstance(value, str | int) else ""
        if len(digits) < 4 and digits.isdecimal() and int(digits) >= 8:
            self.facility(int(digits) >> 3)

    def tag(self, value: object) -> None:
        """Take note of who wrote the line, as syslog's tag (`kernel:`, `sshd[1]:`) or the journal's identifier."""
        name = _name(value)
        if not self.engine:
            self.drill = self.drill or _DRILLS.get(name)
            self._named(name)

    def process(self, value: object) -> None:
        """Take note of the process that wrote the line; its name is its user's choice, and makes no line a drill."""
        name = _name(value)
        if not self.engine:
            self.program |= name in _DRILLS
            self._named(name)

    def _named(self, name: str) -> None:
        self.kernel |= name.lower() in _KERNEL_NAMES
        self.program |= names_program(name)
        if self.driver is None and _TAG_OF_DRIVER.fullmatch(name):
            self.driver = name

    def header(self, text: str) -> None:
        """Take note of a header that was taken off: where it held what is no whole mark, a program has written it."""
        if self.drill is None and "drill" in text.lower():
            self.program |= _DRILL_NAME.search(text) is not None

    def colon_tag(self, value: object) -> None:
        """Take note of a field that is syslog's tag if it ends as one; other shippers keep a routing key there."""
        if isinstance(value, str) and value.rstrip().endswith(":"):
            self.tag(value)

    def unit(self, value: object) -> None:
        """Take note of the systemd unit that wrote the line; the kernel is none."""
        self.program |= isinstance(value, str) and value.endswith(_UNITS) and not self.engine

    def transport(self, value: object) -> None:
        """Take note of the road by which the journal got the line (`_TRANSPORT`)."""
        self.kernel |= value == "kernel"
        self.program |= isinstance(value, str) and value in _OTHER_TRANSPORTS and not self.engine

    def printed_on(self, value: object) -> None:
        """Take note of the stream that a container printed the line on."""
        if value in ("stdout", "stderr"):
            self.printed = self.printed or SOMEWHERE

    def printed_in(self, value: object) -> None:
        """Take note of the pod that printed the line, or of the container by what is no name."""
        if isinstance(value, str):
            self.printed = self.printed or SOMEWHERE

    def printed_by(self, value: object) -> None:
        """Take note of the name of the container that printed the line."""
        if isinstance(value, str):
            printed = self.printed or SOMEWHERE
            self.printed = printed if self.sealed else printed.by(value)

    def printed_to(self, value: object) -> None:
        """Take note of the file that the line was read from, which may be a container's log."""
        if isinstance(value, str) and (found := printed_to(value)):
            self.printed = self.printed or found

    def in_namespace(self, value: object) -> None:
        """Take note of the namespace of the pod that printed the line."""
        if isinstance(value, str) and self.printed is not None and not self.sealed:
            self.printed = self.printed.within(value)

    def logged_by(self, value: object) -> None:
        """Take note of a container whose engine writes to the journal: the tag in this record is the engine's own."""
        self.printed_in(value)
        self.engine |= isinstance(value, str)

    def whole(self, text: str) -> str:
        """Return *text* with the driver's name before it, where a parser of syslog took that off as the tag.

        The journal does it to what is written to /dev/kmsg, rsyslog to lines that come without a tag. With the mark of
        a drill it is the same; that is also put before each line of a record which begins with it.
        """
        if self.driver is not None and text and not mentions_driver(text):
            text = f"{self.driver}: {text}"
        if self.drill is None and not text.startswith(_MARKED):
            return text
        marked = next((drill for drill in Drill if text.startswith(drill.mark)), None)
        if marked is None and self.drill is not None and text:
            return f"{self.drill.mark} {text}"
        self.drill = marked
        return text

    def beside(self) -> "Origin":
        """Return the origin of text that stands beside the message in its record.

        Beside an application's own message it is what the application quotes: health monitors print the kernel's lines
        so, old ones too. A record that no container printed may as well keep the kernel's text in a field of its own.
        """
        origin = self.copy()
        origin.program |= origin.printed is not None
        return origin

    def from_kernel(
        self, text: str, node: str | None, *, stamped: bool, kernel_containers: Container[str]
    ) -> bool | None:
        """Return whether the kernel wrote *text*; None where that was not told, or told two ways.

        *node* is the line's, *stamped* whether a header's time stood before the text, behind which a tag belongs.
        *kernel_containers* are those that pass the kernel's log on (NAME or NAMESPACE/NAME); what any other container
        prints is denied, and so is what has the facility of users. But a drill that is not for real may come by any of
        these roads.
        """
        if self.program or self._quotes(text, node, stamped):
            return False
        users = self.user or (self.printed is not None and not self.printed.for_kernel(kernel_containers))
        if users:
            return None if self.drill is Drill.DRY else False
        return True if self.kernel and not self.facility_denies else None

    def _quotes(self, text: str, node: str | None, stamped: bool) -> bool:
        if _BEGINS.match(text) or not mentions_driver(text):
            return False
        if self.printed is not None or ((self.facility_denies or self.user) and not self.kernel):
            return True
        tagged = None if self.kernel else _TAGGED.match(text)
        if tagged is None or not names_program(tagged["tag"]):
            return False
        # Without one of these, what ends in a colon may be the name of a host.
        return (
            bool(tagged["id"])
            or stamped
            or self.facility_denies
            or self.user
            or (node is not None and tagged["host"] == node)
        )


def names_program(tag: str | None) -> bool:
    """Whether a syslog tag or identifier names a program: not the kernel, a relay of its text, or an NVIDIA driver."""
    name = _name(tag)
    return (
        any(letter.isalpha() for letter in name)
        and name[0] not in "[<"
        and name.lower() not in _NO_PROGRAMS
        and _DRILLS.get(name) is not Drill.DRY
        and not _DRIVER_NAME.fullmatch(name)
    )


def mentions_driver(text: str) -> bool:
    """Whether the tag of an NVIDIA driver that reports faults stands anywhere in *text*."""
    return _MENTION.search(text) is not None


def _name(tag: object) -> str:
    return _TAG_END.sub("", tag[:_LONGEST_TAG]).strip() if isinstance(tag, str) else ""
