"""What a site may be like: its nodes, its guards, the policies in force."""

from typing import Any

from hypothesis import strategies as st

from pipeline.model.node import Node
from tests.chaos.script import POLICIES
from tests.fakes.world import gpu_node

_RACK, _CLIQUE = "rack", "nvidia.com/gpu.clique"
_SPARE = {"rescue.ksyun.com/warm-standby": "true", "app": "train"}
_WINDOWS: tuple[dict[str, Any], ...] = (
    {},
    {"allow": [{"from": "13:00", "to": "14:00"}]},
    {"deny": [{"from": "12:05", "to": "12:40"}]},
)

# A few nodes have most of the trouble, so that what happens to a node meets what happened to it before.
_few, _all = (st.integers(0, most).map(lambda number: f"gpu-{number:03}") for most in (9, 191))
NODES = st.one_of(_few, _few, _few, _all, st.sampled_from(("spare-000", "spare-001")))
GPUS = st.integers(0, 2)
POLICIES_IN_FORCE = st.lists(st.sampled_from(["everything", *sorted(POLICIES)]), max_size=5).map(
    lambda names: "---".join(POLICIES[name] for name in dict.fromkeys(names))
)
GUARDS = st.fixed_dictionaries(
    {
        "max_nodes": st.sampled_from((8, 5, 3, 2, 1, 8, 5, 0)),
        "max_percent": st.sampled_from((100, 100, 2, 1)),
        "breaker_window": st.sampled_from(("10min", "1h", "1day")),
        "cool_down": st.sampled_from(("0s", "10min", "30min")),
        "max_reboots": st.sampled_from((1, 3)),
        "groups": st.sampled_from(((), ({"label": _RACK, "max_nodes": 1},), ({"label": _RACK, "max_nodes": 2},))),
        "windows": st.sampled_from(_WINDOWS),
        "fabric": st.sampled_from(({}, {"labels": [_CLIQUE], "nodes": 4})),
    }
)


def node(name: str) -> Node:
    number = int(name[-3:])
    if name.startswith("spare"):
        return gpu_node(name, labels=_SPARE, unschedulable=True)
    rack = {_RACK: f"r{number // 8}", "app": "train" if number % 3 else "test"}
    return gpu_node(name, labels={**rack, **({_CLIQUE: f"c{number // 16}"} if number < 32 else {})})
