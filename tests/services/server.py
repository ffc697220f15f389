"""What every real server here can do."""

from collections.abc import Mapping
from typing import Protocol

from tests.services.processes import Process


class Server(Protocol):
    """A server with a data folder of its own. Its ports stay the same when it is started again.

    The calls block, for seconds; from a coroutine: `await asyncio.to_thread(server.start)`.
    """

    def start(self) -> None:
        """Start it on the data that is there, and return when it answers; nothing to do where it runs already.

        Raises MissingError, DamagedError, StartError.
        """
        ...

    def stop(self) -> None:
        """End it in order; nothing to do where it does not run."""
        ...

    def kill(self) -> None:
        """End it as a machine that loses its power does; nothing to do where it does not run."""
        ...

    @property
    def process(self) -> Process | None:
        """The process that serves now."""
        ...

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where clients find it: what a way in is called, and its address."""
        ...
