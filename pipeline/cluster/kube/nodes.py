"""What of a node object is kept, and how a patch is written."""

from collections.abc import Sequence
from typing import Any

from pipeline.cluster.kube.api import Object
from pipeline.cluster.kube.words import NONE, Words
from pipeline.model.node import Node, NodePatch, Taint

GPU_RESOURCE = "nvidia.com/gpu"
"""The resource of NVIDIA's device plugin."""

_OURS = "rescue.ksyun.com/"
_ADDRESSES = frozenset({"Hostname", "InternalIP", "InternalDNS"})


class NodeReader:
    """Makes the slim node of a node object.

    Of its annotations only ours are kept (`rescue.ksyun.com/`), of its addresses those that a log may call it by.
    """

    def __init__(self, gpu_resource: str = GPU_RESOURCE) -> None:
        self._gpu_resource = gpu_resource
        self._words = Words()

    def read(self, found: Object) -> Node:
        """Return the node; `booted_at` is for whoever knows what it was before."""
        metadata, spec, status = found["metadata"], found.get("spec", NONE), found.get("status", NONE)
        annotations = {key: value for key, value in metadata.get("annotations", NONE).items() if key.startswith(_OURS)}
        return Node(
            name=metadata["name"],
            resource_version=metadata["resourceVersion"],
            labels=self._words.shared(metadata.get("labels", NONE)),
            annotations=self._words.shared(annotations),
            taints=tuple(map(_taint, spec.get("taints", ()))),
            unschedulable=spec.get("unschedulable", False),
            ready=_ready(status.get("conditions", ())),
            boot_id=status.get("nodeInfo", NONE).get("bootID", ""),
            addresses=tuple(each["address"] for each in status.get("addresses", ()) if each["type"] in _ADDRESSES),
            gpus=_count(status.get("capacity", NONE).get(self._gpu_resource)),
            gpus_allocatable=_count(status.get("allocatable", NONE).get(self._gpu_resource)),
        )


def merge_patch(patch: NodePatch, resource_version: str, taints: Sequence[Object] | None) -> Object:
    """Return the patch as the API takes it: nothing of it is done if the node has another version by then."""
    metadata: Object = {"resourceVersion": resource_version}
    if patch.labels:
        metadata["labels"] = dict(patch.labels)
    if patch.annotations:
        metadata["annotations"] = dict(patch.annotations)
    spec: Object = {}
    if patch.unschedulable is not None:
        spec["unschedulable"] = patch.unschedulable
    if taints is not None:
        spec["taints"] = list(taints)
    return {"metadata": metadata, **({"spec": spec} if spec else {})}


def written_taints(taints: Sequence[Taint], present: Sequence[Object]) -> list[Object]:
    """Return the taints as objects; those that are there already keep the time at which they were added."""
    held = {_taint(each): each for each in present}
    return [held.get(each, {"key": each.key, "value": each.value, "effect": each.effect}) for each in taints]


def _taint(found: Object) -> Taint:
    return Taint(found["key"], found.get("value", ""), found["effect"])


def _ready(conditions: Sequence[Object]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _count(quantity: Any) -> int:
    """Return the count that a quantity of whole things is; the API writes 1000 as `1k`."""
    text = str(quantity or "0")
    number, factor = (text[:-1], 1000) if text.endswith("k") else (text, 1)
    return int(number) * factor if number.isdecimal() else 0
