"""What a site must have come to, whatever went wrong on the way."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pipeline.execute.store_kube import KubernetesStore
from pipeline.execute.store_kube_objects import is_done
from pipeline.model.rescue import Status
from tests.fakes.kube_site import KubeReplica
from tests.fakes.kube_witness import Witness
from tests.services.kube.waiting import until


async def done(store: KubernetesStore, nodes: Sequence[str], limit: float) -> None:
    """Return when each node has a rescue that has ended and whose records are safe; TimeoutError names the others."""
    left = list(nodes)

    async def all_are() -> bool:
        left[:] = [node for node in left if not is_over(store, node)]
        return not left

    try:
        await until(all_are, limit)
    except TimeoutError as error:
        states = {node: [rescue.journal[-1] for rescue in store.on_node(node)] for node in left}
        raise TimeoutError(f"not done after {limit:g} s: {states}") from error


def is_over(store: KubernetesStore, node: str) -> bool:
    """Whether a rescue of the node has ended and its records are safe."""
    return any(is_done(rescue) for rescue in store.on_node(node))


def check_once(store: KubernetesStore, witness: Witness, replicas: Sequence[KubeReplica], node: str) -> None:
    """The node's rescue was the only one, and did everything once: cordon, reboot, uncordon, each record by its id."""
    rescues = store.on_node(node)
    assert [rescue.status for rescue in rescues] == [Status.SUCCEEDED], [rescue.journal for rescue in rescues]
    assert (node, witness.cordons[node]) == (node, [True, False])
    assert (node, witness.asked[node], witness.boots[node]) == (node, 1, 1)
    told: dict[str, list[Any]] = defaultdict(list)
    for one in replicas:
        for record in one.records:
            if record["host"]["name"] == node:
                told[record["event"]["id"]].append(record)
    for records in told.values():
        assert all(record == records[0] for record in records)
    numbers = sorted(records[0]["event"]["sequence"] for records in told.values())
    assert (node, numbers) == (node, list(range(len(rescues[0].journal))))
