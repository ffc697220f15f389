"""A drain moves the pods that `kubectl drain --ignore-daemonsets` would move, and touches no other."""

from dataclasses import replace

import pytest

from pipeline.execute.actions.pod_filters import sort_pods
from pipeline.model.node import Pod
from pipeline.model.plan import Drain

POD = Pod("team", "train-0", "gpu-1", owner="Job")


@pytest.mark.parametrize(
    ("name", "pod", "drain", "where"),
    [
        ("a job's pod is evicted", POD, Drain(), "evictable"),
        ("a DaemonSet's pod stays", replace(POD, owner="DaemonSet"), Drain(), "stays"),
        ("a finished DaemonSet's pod goes", replace(POD, owner="DaemonSet", finished=True), Drain(), "evictable"),
        ("a mirror pod stays", replace(POD, mirror=True), Drain(), "stays"),
        ("a terminating pod is waited for", replace(POD, terminating=True), Drain(), "leaving"),
        (
            "a terminating pod without controller is waited for",
            replace(POD, owner=None, terminating=True),
            Drain(),
            "leaving",
        ),
        ("a pod without controller is refused", replace(POD, owner=None), Drain(), "refused"),
        ("force evicts a pod without controller", replace(POD, owner=None), Drain(force=True), "evictable"),
        ("a finished pod without controller goes", replace(POD, owner=None, finished=True), Drain(), "evictable"),
        ("an emptyDir is given up by default", replace(POD, empty_dir=True), Drain(), "evictable"),
        ("an emptyDir is kept if told", replace(POD, empty_dir=True), Drain(delete_empty_dir_data=False), "refused"),
        (
            "force does not give up an emptyDir that is to be kept",
            replace(POD, owner=None, empty_dir=True),
            Drain(force=True, delete_empty_dir_data=False),
            "refused",
        ),
    ],
)
def test_each_pod_is_sorted(name: str, pod: Pod, drain: Drain, where: str) -> None:
    found = sort_pods([pod], drain)
    places = {
        "evictable": found.evictable,
        "leaving": found.leaving,
        "refused": tuple(pod for pod, _ in found.refused),
    }
    assert {place for place, pods in places.items() if pods} == ({where} - {"stays"})
    assert found.drained is (where == "stays")


def test_a_refused_pod_is_named_with_what_would_let_it_go() -> None:
    found = sort_pods([replace(POD, owner=None)], Drain())
    assert found.names({}) == ("team/train-0 (no controller would bring it back; force: true evicts it)",)


def test_each_pod_that_stays_is_named_with_the_newest_reason_that_is_known() -> None:
    pods = [replace(POD, name=name) for name in ("c", "a")]
    found = sort_pods([*pods, replace(POD, name="b", owner=None), replace(POD, name="d", terminating=True)], Drain())
    assert found.names({"team/a": "forbidden", "team/b": "forbidden too", "team/gone": "forbidden"}) == (
        "team/a (forbidden)",
        "team/b (forbidden too)",
        "team/c",
        "team/d",
    )
    assert len(found) == 4
