"""A drain moves the pods that `kubectl drain --ignore-daemonsets` would move, and touches no other."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.execute.actions.pod_filters import Circumstances, Fate, sort_pods
from pipeline.execute.actions.pods_left import told
from pipeline.model.node import Pod
from pipeline.model.plan import Drain, NamespaceMode, NamespaceRule
from tests.fakes.faults import NOON

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
POD = Pod("team", "train-0", "gpu-1", owner="Job")
LEAVING = replace(POD, deadline=NOON)
WAIT = (NamespaceRule("te*", NamespaceMode.WAIT_FOR_COMPLETION),)
DELETE = (NamespaceRule("team", NamespaceMode.DELETE_AFTER, MINUTE),)


@pytest.mark.parametrize(
    ("name", "pod", "drain", "fate"),
    [
        ("a job's pod is evicted", POD, Drain(), Fate.EVICTED),
        ("a DaemonSet's pod stays", replace(POD, owner="DaemonSet"), Drain(), None),
        ("a DaemonSet's pod that is leaving stays", replace(LEAVING, owner="DaemonSet"), Drain(), None),
        ("a finished DaemonSet's pod goes", replace(POD, owner="DaemonSet", finished=True), Drain(), Fate.EVICTED),
        ("a mirror pod stays", replace(POD, mirror=True), Drain(), None),
        ("a terminating pod is waited for", LEAVING, Drain(), Fate.LEAVING),
        ("a terminating pod without controller is waited for", replace(LEAVING, owner=None), Drain(), Fate.LEAVING),
        ("a pod without controller is refused", replace(POD, owner=None), Drain(), Fate.REFUSED),
        ("force evicts a pod without controller", replace(POD, owner=None), Drain(force=True), Fate.EVICTED),
        ("a finished pod without controller goes", replace(POD, owner=None, finished=True), Drain(), Fate.EVICTED),
        ("an emptyDir is given up by default", replace(POD, empty_dir=True), Drain(), Fate.EVICTED),
        (
            "an emptyDir is kept if told",
            replace(POD, empty_dir=True),
            Drain(delete_empty_dir_data=False),
            Fate.REFUSED,
        ),
        (
            "force does not give up an emptyDir that is to be kept",
            replace(POD, owner=None, empty_dir=True),
            Drain(force=True, delete_empty_dir_data=False),
            Fate.REFUSED,
        ),
        ("a pod may be left to come to its end", POD, Drain(namespaces=WAIT), Fate.AWAITED),
        ("nothing is taken from a pod that is left to", replace(POD, owner=None), Drain(namespaces=WAIT), Fate.AWAITED),
        ("a pod that came to its end goes", replace(POD, finished=True), Drain(namespaces=WAIT), Fate.EVICTED),
        ("a pod of another namespace is evicted", replace(POD, namespace="x-te"), Drain(namespaces=WAIT), Fate.EVICTED),
        ("the first rule that matches counts", POD, Drain(namespaces=(NamespaceRule("team"), *WAIT)), Fate.EVICTED),
        ("a pod is evicted before it is deleted", POD, Drain(namespaces=DELETE), Fate.EVICTED),
        ("deleteAfter is no force", replace(POD, owner=None), Drain(namespaces=DELETE), Fate.REFUSED),
        ("a pod without a GPU stays if told", POD, Drain(gpu_pods_only=True), None),
        ("so does a finished one", replace(POD, finished=True), Drain(gpu_pods_only=True), None),
        ("a pod with a GPU goes", replace(POD, uses_gpu=True), Drain(gpu_pods_only=True), Fate.EVICTED),
    ],
)
def test_each_pod_is_sorted(name: str, pod: Pod, drain: Drain, fate: Fate | None) -> None:
    found = sort_pods([pod], drain, Circumstances(NOON, MINUTE - SECOND))
    assert [fate for _, fate, _ in found.pods] == ([fate] if fate else [])
    assert found.drained is (fate is None)


def test_a_pod_is_deleted_when_the_time_after_which_it_is_has_come() -> None:
    found = sort_pods([POD], Drain(namespaces=DELETE), Circumstances(NOON, MINUTE))
    assert (found.of(Fate.DELETED), found.drained) == ((POD,), False)


@pytest.mark.parametrize(
    ("late", "ready", "fate"),
    [
        pytest.param(29 * SECOND, False, Fate.LEAVING, id="the kubelet of a dead node may be back in time"),
        pytest.param(30 * SECOND, False, Fate.STUCK, id="then nobody is there who could end it"),
        pytest.param(1000 * MINUTE, True, Fate.LEAVING, id="a kubelet that answers says when it has ended"),
    ],
)
def test_a_terminating_pod_is_waited_for(late: timedelta, ready: bool, fate: Fate) -> None:
    found = sort_pods([LEAVING], Drain(), Circumstances(NOON + late, ready=ready))
    assert found.of(fate) == (LEAVING,)
    assert found.drained is (fate is Fate.STUCK)


def test_each_pod_that_is_left_is_named_with_why_the_servers_words_first() -> None:
    pods = [replace(POD, name=name) for name in ("c", "z")]
    pods += [replace(POD, name="b", owner=None), replace(LEAVING, name="d"), replace(POD, namespace="te", name="a")]
    rule = NamespaceRule("te", NamespaceMode.WAIT_FOR_COMPLETION)
    found = sort_pods(pods, Drain(namespaces=(rule,)), Circumstances(NOON))
    assert told(found, {"team/z": "its budget", "team/gone": "forbidden"}).split(", ") == [
        "team/z (its budget)",
        "te/a (left to come to its end by itself: namespaces te)",
        "team/b (no controller would bring it back; force: true evicts it)",
        "team/c (asked to go)",
        f"team/d (terminating until {NOON.isoformat()})",
    ]
    assert len(found.staying) == 5
