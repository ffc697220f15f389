"""What a rebooter promises."""

from enum import Enum
from typing import Protocol

from pipeline.model.node import Node


class Asked(Enum):
    """Whether a reboot was asked for, as far as the road can tell afterwards."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Rebooter(Protocol):
    """Turns one machine off and on."""

    async def reboot(self, node: Node, request: str) -> None:
        """Ask for the reboot and return when it is accepted.

        *request* names this one reboot; asking twice with the same name reboots once, where the road can promise that.
        Raises TemporaryError only when the reboot was certainly not accepted, PermanentError when it never will be, and
        TimeoutError when the answer was lost, so that nobody knows.
        """
        ...

    async def asked(self, node: Node, request: str) -> Asked:
        """Tell, after a crash, whether this very request was accepted; UNKNOWN where the road keeps no memory."""
        ...
