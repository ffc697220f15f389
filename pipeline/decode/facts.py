"""What the layers around a line have said of it so far."""

import re
from collections.abc import Container
from dataclasses import dataclass, field

from pipeline.decode.eventtime import UNKNOWN, EventTime
from pipeline.decode.origin import Origin
from pipeline.decode.printk import may_go_on
from pipeline.decode.stamps import Stamp, Stamps

_BOOT_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_NAME = 253  # RFC 1035, section 2.3.4, less the root's dot


@dataclass(slots=True)
class Facts:
    """Grows as layers are taken off, the outermost first; of each fact the first layer's word stands.

    Of time it does not: the outermost may only tell when the line was read, and `time` holds the stamps of all layers.
    `node` is that of a record's fields, `header_node` that of a line's header, which counts only where no record names
    any. `stamped` says that a header had a time, `printk` that the text is one record of the kernel's buffer, `bare`
    that a header was taken off the text, which now begins where the message does.
    """

    node: str | None = None
    header_node: str | None = None
    time: EventTime = UNKNOWN
    stamped: bool = False
    kernel_time: str | None = None
    boot_id: str | None = None
    printk: bool = False
    bare: bool = False
    origin: Origin = field(default_factory=Origin)

    def copy(self) -> "Facts":
        """Return facts that grow on their own: what one line says of itself does not hold for the next."""
        return Facts(
            self.node,
            self.header_node,
            self.time,
            self.stamped,
            self.kernel_time,
            self.boot_id,
            self.printk,
            self.bare,
            self.origin.copy(),
        )

    def from_kernel(self, text: str, kernel_containers: Container[str]) -> bool | None:
        """Return whether the kernel wrote *text*, the line's; None where that was not told, or told two ways."""
        return self.origin.from_kernel(
            text, self.node or self.header_node, stamped=self.stamped, kernel_containers=kernel_containers
        )

    def begins(self) -> bool:
        """Whether the text begins where the message does: a header was taken off, or a record names the kernel."""
        return self.bare or self.printk or self.kernel_time is not None or self.origin.kernel

    def behind(self, head: str) -> "Facts":
        """Return the facts of a line without a header of its own that stands behind *head* in the same message.

        These are the same, unless it is a message of the kernel's that may hold users' words, and line breaks in them.
        """
        if self.origin.driver is not None or may_go_on(head) or not self.begins():
            return self
        facts = self.copy()
        facts.origin.program = True
        return facts

    def field_time(self, value: object, stamps: Stamps) -> bool:
        """Take note of the time that a record's field holds; return whether it holds any."""
        moment, zoned = stamps.read(value)
        if moment is None:
            return False
        self.time = self.time.and_field(moment, zoned=zoned)
        return True

    def header_time(self, stamp: Stamp) -> None:
        """Take note of the time in a line's header."""
        moment, zoned = stamp
        if moment is not None:
            self.stamped = True
            self.time = self.time.and_header(moment, zoned=zoned)

    def kernel_stamp(self, text: str, stamps: Stamps) -> None:
        """Take note of the kernel's own time, as text; one that names a day also tells how old the line is."""
        self.kernel_time = self.kernel_time or text
        moment = stamps.wall_time(text) if ":" in text else None
        if moment is not None:
            self.time = self.time.and_kernel(moment)

    def named(self, value: object) -> None:
        """Take note of the node's name, as a record's field has it."""
        if self.node is None:
            self.node = host_name(value)

    def transport(self, value: object) -> None:
        """Take note of the road by which the journal got the line (`_TRANSPORT`); the kernel's holds whole records."""
        self.origin.transport(value)
        self.printk = self.printk or value == "kernel"

    def boot(self, value: object) -> None:
        """Take note of a boot id, 32 hexadecimal digits with or without dashes.

        It is kept as a UUID in lower case with dashes: as Kubernetes writes `nodeInfo.bootID`, not the journal.
        """
        digits = value.replace("-", "").lower() if isinstance(value, str) else ""
        if self.boot_id is None and _BOOT_ID.fullmatch(digits):
            self.boot_id = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def monotonic(self, value: object) -> None:
        """Take note of the kernel's own time in µs, as the journal has it."""
        if self.kernel_time is None and isinstance(value, str | int):
            self.kernel_time = str(value)

    def in_kmsg(self, seconds: object, microseconds: object) -> None:
        """Take note of the kernel's own time as Fluent Bit's in_kmsg splits it; the text is a whole record's."""
        if isinstance(seconds, int) and isinstance(microseconds, int) and 0 <= microseconds < 1_000_000:
            self.kernel_time = self.kernel_time or f"{seconds}.{microseconds:06d}"
            self.printk = True


def host_name(value: object) -> str | None:
    """Return *value* if it can name a host: one word, not syslog's `-` for none, no longer than DNS allows."""
    if not isinstance(value, str):
        return None
    name = value.strip()
    if 0 < len(name) <= _LONGEST_NAME and name != "-" and name.isprintable() and " " not in name:
        return name
    return None
