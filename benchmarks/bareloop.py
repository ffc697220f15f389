"""The floor of a rescue: a bare loop that creates one custom resource for each line of Kafka and cordons its node.

Run with `python -m benchmarks.bareloop ADDRESS TOPIC KUBECONFIG NAMESPACE`. It knows no policy, no guard, no repetition
and no crash: stock aiokafka, and for each line two calls, which wait for those of no other line.
"""

import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.execute.store_kube_form import GROUP, VERSION


def _intent(name: str, node: str, line: dict[str, Any]) -> dict[str, Any]:
    """The least that the API server takes for a rescue."""
    spec = {"format": 1, "name": name, "node": node, "cause": line, "plan": {}, "created": line["@timestamp"]}
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Rescue", "metadata": {"name": name}, "spec": spec}


async def _cordon(api: KubeApi, rescues: str, name: str, value: bytes) -> None:
    line = json.loads(value)
    node = line["host"]
    await api.create(rescues, _intent(name, node, line))
    await api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})


async def _run(address: str, topic: str, kubeconfig: str, namespace: str) -> None:
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=Path(kubeconfig)))
    rescues = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/rescues"
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, group_id=topic, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            async for message in consumer:
                if b"NVRM: Xid" in message.value:
                    name = f"{topic}-{message.partition}-{message.offset}"
                    tasks.create_task(_cordon(api, rescues, name, message.value))
    finally:
        await consumer.stop()
        await api.close()


async def _until_stopped() -> None:
    task = asyncio.create_task(_run(*sys.argv[1:]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    asyncio.run(_until_stopped())
