"""Two replicas of the installed command on a real API server: both read, one of them acts."""

import asyncio
from pathlib import Path

from pipeline.cluster.kube.api import KubeApi
from tests.fakes.kube_outcome import observed
from tests.fakes.kube_site import KubeReplica, fault, policy, running, whole
from tests.services.kube.nodes import create_node
from tests.services.kube.plane import ControlPlane
from tests.services.kube.waiting import until

LIMIT = 90.0


async def test_lines_that_both_are_told_open_one_rescue_each_and_one_that_stops_hands_them_over(
    rescue_kinds: ControlPlane, rescue_api: KubeApi, namespace: str, tmp_path: Path
) -> None:
    nodes = [f"{namespace}-{number}" for number in range(5)]
    await asyncio.to_thread(rescue_kinds.kubectl, "apply", "-f", "-", input=policy(namespace, whole()))
    for node in nodes:
        await create_node(rescue_api, node, labels={"test": namespace})
    first, second = (KubeReplica(tmp_path / name, rescue_kinds.kubeconfig, namespace) for name in ("first", "second"))
    async with observed(rescue_api, namespace, first, second) as outcome:

        async def every_machine_reboots() -> bool:
            return set(outcome.witness.asked) == set(nodes)

        with running(first):
            await first.ready()
            with running(second):
                await second.ready()
                for node in nodes:
                    line = fault(node)
                    second.tell(line)
                    first.tell(line)
                await until(every_machine_reboots, LIMIT)
                # The proof of the reboots is still to come.
                assert await asyncio.to_thread(first.stop) == 0, first.errors
                await outcome.over(nodes, LIMIT)
                assert await asyncio.to_thread(second.stop) == 0, second.errors
    outcome.check_once(nodes)
    assert "rescue-succeeded" in {record["event"]["action"] for record in second.records}
