"""WarmStandbyPolicy manifests (rescue.ksyun.com/v1, cluster-scoped): which standby takes whose place."""

from typing import Any, Literal

from pydantic import Field

from pipeline.decide.manifest import ApiVersion, Metadata
from pipeline.decide.nodeselector import Labels
from pipeline.documents import Strict


class StandbyMatch(Strict):
    """Which standbys may stand in for which nodes."""

    origin_node: Labels = Field(alias="originNode", description="Labels that the node has, all of them.")
    target_node: Labels = Field(alias="targetNode", description="Labels that its standby must have, all of them.")


class WarmStandbyPolicySpec(Strict):
    """What a WarmStandbyPolicy says."""

    matches: list[StandbyMatch] = Field(description="Pairs of node and standby.")


class WarmStandbyPolicy(Strict):
    """Which standby takes whose place."""

    api_version: ApiVersion
    kind: Literal["WarmStandbyPolicy"] = Field(description="WarmStandbyPolicy")
    metadata: Metadata = Field(description="Its name, and what the API server adds.")
    spec: WarmStandbyPolicySpec = Field(description="The pairs.")
    status: dict[str, Any] | None = Field(None, description="Written by the pipeline; not read.")
