"""Events as an agent on a node writes them."""

from datetime import UTC, datetime
from typing import Any

from pipeline.cluster.kube.api import Object


def agent_event(
    namespace: str, name: str, message: str, node: str = "gpu-1", reason: str = "XidError", **given: Any
) -> Object:
    """Return an event of node-problem-detector's as JSON, which happened now, for the first time."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {"kind": "Node", "name": node, "uid": node, "namespace": namespace},
        "reason": reason,
        "type": "Warning",
        "message": message,
        "source": {"component": "kernel-monitor", "host": node},
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        **given,
    }
