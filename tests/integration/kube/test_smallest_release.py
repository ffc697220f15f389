"""The chart with no more values than the brokers: it works, and does nothing that disturbs a job."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from tests.integration.kube.all_parts import calls_of, pipeline, rescue_of
from tests.integration.kube.released import Installed, installed
from tests.services.folders import temporary_folder
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import produce
from tests.services.kube.nodes import NODES, create_node, reaches
from tests.services.kube.pods import create_pod, pods


@pytest.fixture
def release(helm: Path, kafka: Kafka, topic: str) -> Iterator[Installed]:
    values = {"kafka": {"bootstrapServers": [kafka.address], "topics": [topic], "groupId": topic}}
    with temporary_folder("release") as folder, installed(helm, folder, values) as found:
        yield found


async def test_a_node_is_cordoned_and_its_pods_run_on(
    release: Installed, kafka: Kafka, topic: str, tmp_path: Path
) -> None:
    line = {
        "@timestamp": datetime.now(UTC).isoformat(),
        "hostname": "gpu-1",
        "message": "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
    }
    async with calls_of(release.plane.kubeconfig) as admin:
        await create_node(admin, "gpu-1")
        await reaches(admin, "gpu-1", "True")
        running = await create_pod(admin, "default", "train-0", "gpu-1", gpus=8)
        async with pipeline(release, tmp_path, "--set", "sources.0.dead_letter_file=null"):
            await produce(kafka.address, topic, [orjson.dumps(line)])
            rescue = await rescue_of(admin, "gpu-1")
        node = await admin.get(f"{NODES}/gpu-1")
        assert await admin.get(f"{pods('default')}/train-0") == running
    assert rescue["status"]["state"] == "Succeeded"
    assert [each["name"] for each in rescue["spec"]["plan"]["actions"]] == ["cordon"]
    assert node["spec"]["unschedulable"]
    done = {(each["objectRef"]["resource"], each["verb"]) for each in release.asked()}
    assert not done & {("pods", "create"), ("pods", "delete")}
    assert {each["annotations"]["authorization.k8s.io/decision"] for each in release.asked()} == {"allow"}
