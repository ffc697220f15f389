"""What a source promises, and what it asks of its reader."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

Wanted = Callable[[bytes], bool]
"""The cheap test on raw bytes: False only for a message that certainly holds nothing of interest.

False for several messages in a row means False for each of them, so that a source may test a whole block at once.
"""

Search = Callable[[bytes | memoryview], Iterable[int]]
"""Return places in a block of messages.

Of several searches at least one finds a place in each message that can be wanted, whatever lies between messages, as
long as what lies there has a NUL in it.
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the stream holds it.

    `position` names its place and is the same when it is delivered again. `ack` is called once the message's rescue and
    records are safe; the source then never delivers it again, not even after a restart. Deliveries are acknowledged in
    order. `time` is the stream's own stamp, for messages whose envelope has none; `key` a node name, where the stream
    holds one.
    """

    payload: bytes
    position: str
    ack: Callable[[], Awaitable[None]]
    time: datetime | None = None
    key: str | None = None


class Source(Protocol):
    """An external stream of messages."""

    @property
    def live(self) -> bool:
        """Whether the stream goes on by the wall clock; False for a file that is read to its end."""
        ...

    @property
    def read(self) -> int:
        """How many messages were read by now, wanted or not."""
        ...

    async def reach(self) -> str:
        """Return in a few words what answers; raise what says why nothing does."""
        ...

    def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield the messages that pass the cheap test, in order, from the last acknowledged position on."""
        ...

    async def close(self) -> None:
        """Let go of the stream; what was not acknowledged comes again next time."""
        ...
