"""The rebooter of the simulated cluster."""

from pipeline.cluster.memory import Call, LostAnswerError, SimulatedCluster
from pipeline.model.node import Node
from pipeline.rebooters.port import Asked


class SimulatedRebooter:
    """Reboots simulated machines.

    The memory of what was asked is the cluster's, so it outlives a crash of the process that asked. The cluster's
    `troubles` decide what goes wrong: a reboot can be refused, not be accepted for now, or be accepted and its answer
    lost; a machine can stay away; and with `reboots_forgotten` nobody knows afterwards.
    """

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster

    async def reboot(self, node: Node, request: str) -> None:
        """Reboot the node's machine, once for each request.

        A lost answer is a TimeoutError: unlike a TemporaryError it leaves open whether the reboot was accepted.
        """
        try:
            with self._cluster.troubles.around(Call.REBOOT):
                self._cluster.reboot(node.name, request)
        except LostAnswerError as error:
            raise TimeoutError(f"whether {node.name} was told to reboot is not known: {error}") from error

    async def asked(self, node: Node, request: str) -> Asked:
        """Tell from the cluster's memory whether the request was accepted."""
        with self._cluster.troubles.around(Call.ASKED):
            if self._cluster.troubles.reboots_forgotten:
                return Asked.UNKNOWN
            return Asked.YES if self._cluster.reboot_asked(node.name, request) else Asked.NO
