"""Who executes: one process of all that share a store."""

from collections.abc import Awaitable, Callable
from typing import Protocol


class Leadership(Protocol):
    """Lets one process at a time execute."""

    @property
    def leading(self) -> bool:
        """Whether it is this one, now."""
        ...

    async def lead(self, body: Callable[[], Awaitable[None]]) -> None:
        """Run *body* each time that this process becomes the one, until it returns by itself; raise what it raises.

        It is cancelled when it is another's turn, or might be: `leading` is False by then. Cancelled itself, this
        cancels *body* while it still leads, and waits for it before another one may lead.
        """
        ...


class Alone:
    """The only process: it always leads."""

    @property
    def leading(self) -> bool:
        """Always."""
        return True

    async def lead(self, body: Callable[[], Awaitable[None]]) -> None:
        """Run *body*."""
        await body()
