"""Which events are read, and where they are."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.cluster.kube.settings import NAMESPACE
from pipeline.documents import Strict


class EventsSourceConfig(Strict):
    """Events that an agent on each node writes when it finds a fault in the kernel's log."""

    type: Literal["events"]
    reasons: list[str] = Field(
        ["XidError"], min_length=1, description="Reasons of the events to read; others are not asked for."
    )
    namespace: str | None = Field(
        NAMESPACE,
        min_length=1,
        description="Where they are; an agent's are in `default` unless it is told otherwise. null: in every "
        "namespace, and then whoever may write events in any of them can have a node rescued.",
    )
    kubeconfig: Path | None = Field(
        None,
        description="File that says where the cluster is and who we are; none: inside a pod its service account, "
        "elsewhere what kubectl uses ($KUBECONFIG, ~/.kube/config).",
    )
    context: str | None = Field(None, description="Context of the kubeconfig; none: its current one.")
