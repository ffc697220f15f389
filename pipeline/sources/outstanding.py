"""What was delivered and is not acknowledged yet, and how far a stream may therefore be forgotten."""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass(slots=True, eq=False)
class Ticket(Generic[P]):
    """One message that was handed out; `before` is the position from which it would be read again."""

    before: P
    acknowledged: bool = False


class Outstanding(Generic[P]):
    """Tells the position that a restart goes on from: it never passes a message that is not acknowledged.

    `reached` is the position up to which the stream has been read. Every message before it must have its ticket first.
    """

    def __init__(self, reached: P) -> None:
        self.reached = reached
        self._tickets: deque[Ticket[P]] = deque()

    def hand_out(self, before: P) -> Ticket[P]:
        """Note a message that begins at *before*; call it in the order of the stream."""
        ticket = Ticket(before)
        self._tickets.append(ticket)
        return ticket

    def acknowledge(self, ticket: Ticket[P]) -> None:
        """Note that a message is dealt with; the position moves on once those before it are, too."""
        ticket.acknowledged = True
        while self._tickets and self._tickets[0].acknowledged:
            self._tickets.popleft()

    @property
    def safe(self) -> P:
        """The position up to which everything is dealt with."""
        return self._tickets[0].before if self._tickets else self.reached
