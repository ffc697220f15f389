"""Whether a pod uses a GPU, and until when it may take to go."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.cluster.kube.pods import read_pod

GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"


def _found(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "team", "name": "train-0", "uid": "u-1"},
        "spec": {"nodeName": "gpu-1", "containers": [{"name": "main", "image": "main"}], **spec},
        "status": {"phase": "Running"},
    }


def _asks(**resources: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": "main", "image": "main", "resources": resources}]


@pytest.mark.parametrize(
    ("spec", "uses"),
    [
        pytest.param({}, False, id="a pod that asks for nothing"),
        pytest.param({"containers": _asks(limits={"cpu": "8"})}, False, id="one that asks for CPUs"),
        pytest.param({"containers": _asks(limits={GPU: "8"})}, True, id="one that asks for GPUs"),
        pytest.param({"containers": _asks(requests={GPU: "1"}, limits={GPU: "1"})}, True, id="by requests and limits"),
        pytest.param({"containers": _asks(limits={GPU: "0"})}, False, id="one that asks for none of them"),
        pytest.param({"containers": _asks(limits={MIG: "1"})}, True, id="one that asks for a part of a GPU"),
        pytest.param({"containers": _asks(limits={f"{GPU}.shared": "1"})}, True, id="one that shares a GPU"),
        pytest.param({"containers": _asks(limits={"nvidia.com/hostdev": "1"})}, False, id="one that asks for a NIC"),
        pytest.param({"initContainers": _asks(limits={GPU: "1"})}, True, id="one whose init container asks for a GPU"),
        pytest.param({"resourceClaims": [{"name": "gpu"}]}, True, id="one that claims nobody knows what"),
    ],
)
def test_a_pod_uses_a_gpu(spec: dict[str, Any], uses: bool) -> None:
    assert read_pod(_found(**spec)).uses_gpu is uses


def test_a_pod_that_was_deleted_has_a_deadline() -> None:
    found = _found()
    assert (read_pod(found).deadline, read_pod(found).terminating) == (None, False)
    found["metadata"]["deletionTimestamp"] = "2026-01-31T04:05:06Z"
    pod = read_pod(found)
    assert (pod.deadline, pod.terminating) == (datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC), True)
