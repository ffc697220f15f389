"""No rebooter: for clusters whose machines only people turn off and on."""

from pipeline.errors import PermanentError
from pipeline.model.node import Node
from pipeline.rebooters.port import Asked


class NoRebooter:
    """Refuses every reboot."""

    async def reboot(self, node: Node, request: str) -> None:
        """Raise PermanentError."""
        raise PermanentError(f"{node.name} cannot be rebooted: no rebooter is set (rebooter.type is none)")

    async def asked(self, node: Node, request: str) -> Asked:
        """Nothing was ever asked."""
        return Asked.NO
