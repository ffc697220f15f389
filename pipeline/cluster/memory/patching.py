"""What a patch makes of a node, and which patches an API server refuses.

Names and limits are those of https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ and
.../annotations/.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pipeline.errors import PermanentError
from pipeline.model.node import Node, NodePatch

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_DOMAIN_LENGTH = 253
_ANNOTATIONS_SIZE = 256 * 1024
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def patched(node: Node, patch: NodePatch) -> Node:
    """Return the node with the patch merged in.

    Raises PermanentError for a label, an annotation or a taint that an API server refuses as invalid.
    """
    after = replace(
        node,
        labels=_merged(node.labels, patch.labels),
        annotations=_merged(node.annotations, patch.annotations),
        taints=node.taints if patch.taints is None else patch.taints,
        unschedulable=node.unschedulable if patch.unschedulable is None else patch.unschedulable,
    )
    check(after)
    return after


def check(node: Node) -> None:
    """Raise PermanentError for the first thing about a node that an API server refuses as invalid."""
    for flaw in flaws(node):
        raise PermanentError(f"node {node.name} is invalid: {flaw}")


def flaws(node: Node) -> Iterator[str]:
    """Yield what an API server would refuse about a node's labels, annotations and taints."""
    for key in (*node.labels, *node.annotations, *(taint.key for taint in node.taints)):
        if not _is_qualified(key):
            yield f"{key!r} is not a qualified name such as example.com/key"
    for value in (*node.labels.values(), *(taint.value for taint in node.taints)):
        if value and not _NAME.fullmatch(value):
            yield f"{value!r} is not a label value: at most 63 letters, digits, dashes, dots and underscores"
    size = sum(len(key.encode()) + len(value.encode()) for key, value in node.annotations.items())
    if size > _ANNOTATIONS_SIZE:
        yield f"its annotations are {size} bytes, more than {_ANNOTATIONS_SIZE}"
    for taint in node.taints:
        if taint.effect not in _EFFECTS:
            yield f"{taint.effect!r} is not one of {', '.join(_EFFECTS)}"
    for (key, effect), times in Counter((taint.key, taint.effect) for taint in node.taints).items():
        if times > 1:
            yield f"the taint {key}:{effect} is set {times} times"


def is_domain(name: str) -> bool:
    """Whether *name* is a DNS-1123 subdomain: what a node's name, and the first part of a key, must be."""
    return len(name) <= _DOMAIN_LENGTH and _DOMAIN.fullmatch(name) is not None


def _merged(before: Mapping[str, str], changes: Mapping[str, str | None]) -> Mapping[str, str]:
    return {key: value for key, value in {**before, **changes}.items() if value is not None}


def _is_qualified(key: str) -> bool:
    domain, slash, name = key.rpartition("/")
    return (not slash or is_domain(domain)) and _NAME.fullmatch(name) is not None
