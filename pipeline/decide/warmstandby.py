"""WarmStandbyPolicy manifests (rescue.ksyun.com/v1, cluster-scoped): which standby takes whose place."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from pipeline.decide.manifest import ApiVersion, Metadata
from pipeline.decide.nodeselector import Labels
from pipeline.documents import Strict


class StandbyMatch(Strict):
    """Which standbys may stand in for which nodes."""

    origin_node: Labels = Field(alias="originNode", description="Labels that the node has, all of them.")
    target_node: Labels = Field(alias="targetNode", description="Labels that its standby must have, all of them.")

    def concerns(self, labels: Mapping[str, str]) -> bool:
        """Whether it says who stands in for a node with these labels."""
        return _carries(labels, self.origin_node)

    def names(self, labels: Mapping[str, str]) -> bool:
        """Whether a standby with these labels is one that it names."""
        return _carries(labels, self.target_node)


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


def lacking(
    policies: Iterable[WarmStandbyPolicy], before: Mapping[str, str], after: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the labels by which policies name the standby *before* and do not name the one that takes its place.

    *before* and *after* are the labels of the two. Empty when whoever names the one names the other as well.
    """
    wanted: dict[str, str] = {}
    for policy in policies:
        for match in policy.spec.matches:
            if match.names(before):
                wanted |= match.target_node
    return {key: value for key, value in sorted(wanted.items()) if after.get(key) != value}


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())
