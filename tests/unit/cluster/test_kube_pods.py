"""What is kept of pod objects."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.cluster.kube.pods import read_pod
from pipeline.model.node import Pod
from tests.services.kube.pods import Kind, pod


def found(changes: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    made = pod("p", "gpu-1", **settings)
    made["metadata"] |= {"namespace": "default", "uid": "u1"}
    for part, more in (changes or {}).items():
        made[part] = {**made.get(part, {}), **more}
    return made


def plain(**settings: Any) -> Pod:
    return Pod("default", "p", "gpu-1", **{"uid": "u1", "grace_period": timedelta(seconds=1), **settings})


@pytest.mark.parametrize(
    ("object_", "expected"),
    [
        pytest.param(found(), plain(), id="a bare one"),
        pytest.param(found(labels={"app": "x"}), plain(labels={"app": "x"}), id="with labels"),
        pytest.param(found(kind=Kind.DAEMON_SET), plain(owner="DaemonSet"), id="of a daemon set"),
        pytest.param(found(kind=Kind.STATIC), plain(owner="Node", mirror=True), id="a mirror of a static one"),
        pytest.param(found(empty_dir=True), plain(empty_dir=True), id="with an emptyDir"),
        pytest.param(found(gpus=2), plain(uses_gpu=True), id="with GPUs"),
        pytest.param(found(grace=90), plain(grace_period=timedelta(seconds=90)), id="with a long grace period"),
        pytest.param(found({"status": {"phase": "Succeeded"}}), plain(finished=True), id="one that succeeded"),
        pytest.param(found({"status": {"phase": "Failed"}}), plain(finished=True), id="one that failed"),
        pytest.param(found({"status": {"phase": "Pending"}}), plain(), id="one that starts"),
        pytest.param(
            found({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            plain(deadline=datetime(2026, 1, 1, tzinfo=UTC)),
            id="leaving",
        ),
        pytest.param(
            found({"metadata": {"ownerReferences": [{"kind": "Workflow", "name": "w"}]}}),
            plain(),
            id="owned by what is no controller",
        ),
    ],
)
def test_a_pod_is_read(object_: dict[str, Any], expected: Pod) -> None:
    assert read_pod(object_) == expected
