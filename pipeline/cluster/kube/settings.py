"""Which Kubernetes cluster, and who we are there."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.documents import Strict
from pipeline.durations import Duration

NAMESPACE = "kce-rescue-system"


class KubernetesClusterConfig(Strict):
    """A Kubernetes cluster, 1.21 or later."""

    type: Literal["kubernetes"]
    kubeconfig: Path | None = Field(
        None,
        description="File that says where the cluster is and who we are; none: inside a pod its service account, "
        "elsewhere what kubectl uses ($KUBECONFIG, ~/.kube/config).",
    )
    context: str | None = Field(None, description="Context of the kubeconfig; none: its current one.")
    namespace: str = Field(
        NAMESPACE, min_length=1, description="Where rescues, their lease and the events about nodes live."
    )
    request_timeout: Duration = Field(
        timedelta(seconds=10), description="How long one call may take before it counts as failed."
    )
    page_size: int = Field(500, gt=0, description="Objects in one page of a list.")
