"""Which Kubernetes cluster, and who we are there."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

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


class LeaseSettings(Strict):
    """The lease by which replicas agree on who acts."""

    name: str = Field("gpu-rescue", min_length=1, description="Name of the Lease, in the namespace of rescues.")
    duration: Duration = Field(
        timedelta(seconds=20),
        description="How long another replica waits after it last saw the lease renewed; more than renew_deadline and "
        "three times retry_period.",
    )
    renew_deadline: Duration = Field(
        timedelta(seconds=10), description="How long a replica acts after its last renewal, while renewing fails."
    )
    retry_period: Duration = Field(
        timedelta(seconds=2), description="Pause between two tries to get or to renew the lease."
    )

    @model_validator(mode="after")
    def _leaves_time(self) -> Self:
        if self.duration <= self.renew_deadline + 3 * self.retry_period:
            raise ValueError("duration must be more than renew_deadline and three times retry_period together")
        return self
