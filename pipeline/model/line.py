"""A line of kernel text, out of its shipper's envelope."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LogLine:
    """One kernel message and what its envelope said of it.

    `position` names where the source found it and is the same when the line is delivered again. `node` is the host name
    as the shipper wrote it, `time` the event time (aware, UTC): the shipper's, or an earlier one that the line itself
    bears and that no time zone explains. `kernel_time` is the kernel's own stamp, as text: it is relative to the boot,
    or drifts. `from_kernel` is False where the envelope names another program, a container or a user, or another
    program's words quote the driver, True where it names the kernel and nothing speaks against it, and None where it
    tells nothing or contradicts itself. `bare` is whether a header was taken off the text, which then begins where the
    message does. `original` is the message as it was delivered, for people to read.
    """

    text: str
    position: str
    node: str | None = None
    time: datetime | None = None
    kernel_time: str | None = None
    boot_id: str | None = None
    from_kernel: bool | None = None
    bare: bool = False
    original: str = ""
