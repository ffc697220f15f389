"""What a site must have come to, whatever went wrong on the way."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pipeline.cluster.kube.api import KubeApi
from pipeline.execute.records import records
from pipeline.execute.store_kube import KubernetesStore
from pipeline.execute.store_kube_objects import is_done
from pipeline.model.rescue import Rescue, Status
from tests.fakes.kube_site import KubeReplica
from tests.fakes.kube_witness import Witness, watching
from tests.integration.kube.stores import replica as following
from tests.services.kube.waiting import until


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rescues of a site, what was seen of its nodes, and the replicas with what they have recorded."""

    store: KubernetesStore
    witness: Witness
    replicas: Sequence[KubeReplica]

    def is_over(self, node: str) -> bool:
        """Whether a rescue of the node has ended and its records are safe."""
        return any(is_done(rescue) for rescue in self.store.on_node(node))

    async def over(self, nodes: Sequence[str], limit: float) -> None:
        """Return when that is so of each; the TimeoutError says what became of the others."""
        left = list(nodes)

        async def all_are() -> bool:
            left[:] = [node for node in left if not self.is_over(node)]
            return not left

        try:
            await until(all_are, limit)
        except TimeoutError as error:
            states = {node: [rescue.journal[-1] for rescue in self.store.on_node(node)] for node in left}
            raise TimeoutError(f"not over after {limit:g} s: {states}") from error

    def check_once(self, nodes: Sequence[str]) -> None:
        """Each had one rescue, which did everything once: cordon, reboot, uncordon, each record by its id."""
        for node in nodes:
            rescues = self.store.on_node(node)
            assert [rescue.status for rescue in rescues] == [Status.SUCCEEDED], [rescue.journal for rescue in rescues]
            assert (node, self.witness.cordons[node]) == (node, [True, False])
            assert (node, self.witness.asked[node], self.witness.boots[node]) == (node, 1, 1)
            self._check_records(rescues[0])
        assert all("Traceback" not in replica.errors for replica in self.replicas)

    def _check_records(self, rescue: Rescue) -> None:
        """Every one is there, and one that was written again is the same.

        A line that is delivered again after the reboot is told of as what it is then, and nothing follows.
        """
        told: dict[str, list[Any]] = defaultdict(list)
        for replica in self.replicas:
            for record in replica.records:
                if record["host"]["name"] == rescue.node:
                    told[record["event"]["id"]].append(record)
        for records_of_id in told.values():
            assert all(record == records_of_id[0] for record in records_of_id)
        wanted = {record.id for record in records(rescue)}
        assert wanted <= set(told)
        rest = [found[0]["event"] for identity, found in told.items() if identity not in wanted]
        assert {event["action"] for event in rest} <= {"fault-detected", "fault-skipped"}
        assert {event["reason"] for event in rest if "reason" in event} <= {"older-than-boot", "older-than-rescue"}


@asynccontextmanager
async def observed(api: KubeApi, namespace: str, *replicas: KubeReplica) -> AsyncIterator[Outcome]:
    """Look at a site as long as the block runs."""
    async with following(api, namespace) as store, watching(api, namespace) as witness:
        yield Outcome(store, witness, replicas)
