"""Rescues as custom resources: how long they are kept."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from pipeline.documents import Strict
from pipeline.durations import Duration


class KubernetesStoreConfig(Strict):
    """Rescues and occurrences as resources of the cluster, for one process or several replicas."""

    type: Literal["kubernetes"]
    kept: Duration = Field(
        timedelta(days=30),
        description="How long an ended rescue is kept; of more than 10,000 the oldest go before that.",
    )
