"""What comes out of a topic: messages, and batches that nobody can read."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Message(Protocol):
    """A message of a partition; aiokafka's ConsumerRecord is one."""

    @property
    def topic(self) -> str:
        """Its topic."""
        ...

    @property
    def partition(self) -> int:
        """Its partition's number."""
        ...

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def timestamp(self) -> int | None:
        """Milliseconds of the epoch by its producer's clock, or the broker's; negative or None for none."""
        ...

    @property
    def key(self) -> bytes | None:
        """What its partition was chosen by."""
        ...

    @property
    def value(self) -> bytes | None:
        """What was sent; None is how a topic says that a key is no more."""
        ...


class Wanted(NamedTuple):
    """A message that has passed the cheap test."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A batch that is damaged: from `offset` on, up to `following`, where the partition goes on.

    `raw` are its bytes as they came; None where aiokafka does not give them.
    """

    topic: str
    partition: int
    offset: int
    following: int
    problem: str
    raw: bytes | None
