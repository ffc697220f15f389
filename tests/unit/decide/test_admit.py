"""Whether a rescue may go on: one row per answer, with its exact edge, and the breaker under random sequences."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.guards import Admission, Cancel, Fold, Go, GuardSettings, Hold, admit
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY
from pipeline.model.plan import Action, Cordon, Drain, Offline, Reboot, Uncordon
from pipeline.model.rescue import CancelReason, HoldReason, Rescue, Status, StepState
from tests.fakes.faults import NOON, fault, line, node_fault, plan, rescue

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MAX_AGE = timedelta(minutes=10)
HOUR = timedelta(hours=1)


def node(name: str = "gpu-1", **given: Any) -> Node:
    return Node(name, "1", **given)


def cordoned(name: str, at: str | None = NOON.isoformat(), **given: Any) -> Node:
    marks = {CORDONED_BY: "somebody", **({CORDONED_AT: at} if at is not None else {})}
    return node(name, **{"unschedulable": True, "annotations": marks, **given})


def cluster(*nodes: Node) -> dict[str, Node]:
    return {one.name: one for one in (node(), *nodes)}


def begun(one: Rescue, steps: int = 1) -> Rescue:
    """The rescue with that many steps started, all but the last of them done."""
    for index in range(steps):
        last = index == steps - 1
        state = StepState(Status.RUNNING if last else Status.SUCCEEDED, NOON, None if last else NOON)
        one = one.with_step(index, state)
    return one


def ask(
    one: Rescue,
    others: Iterable[Rescue] = (),
    nodes: dict[str, Node] | None = None,
    now: datetime = NOON,
    **settings: Any,
) -> Admission:
    return admit(one, [one, *others], cluster() if nodes is None else nodes, now, GuardSettings(**settings))


def answer(admission: Admission) -> str:
    match admission:
        case Hold(reason) | Cancel(reason):
            return reason
        case Fold(into):
            return f"fold into {into}"
        case Go():
            return "go"


def test_a_rescue_on_a_quiet_cluster_goes() -> None:
    assert ask(rescue()) == Go()


def test_the_rescue_itself_need_not_be_among_the_open_ones() -> None:
    assert admit(rescue(), [], cluster(), NOON, GuardSettings()) == Go()


@pytest.mark.parametrize(
    ("one", "age", "expected"),
    [
        pytest.param(rescue(), timedelta(0), HoldReason.NODE_UNKNOWN, id="a fresh fault waits for its node"),
        pytest.param(rescue(), MAX_AGE, HoldReason.NODE_UNKNOWN, id="as long as it counts"),
        pytest.param(rescue(), MAX_AGE + MICROSECOND, CancelReason.STALE, id="and is given up then"),
        pytest.param(
            replace(rescue(), last_seen=NOON + SECOND),
            MAX_AGE + SECOND,
            HoldReason.NODE_UNKNOWN,
            id="it was seen again since",
        ),
        pytest.param(begun(rescue()), timedelta(0), "go", id="one that has begun asks the server itself"),
        pytest.param(begun(rescue()), HOUR, "go", id="and is never stale"),
    ],
)
def test_a_node_that_is_not_there(one: Rescue, age: timedelta, expected: str) -> None:
    assert answer(ask(one, nodes={}, now=NOON + age)) == expected


def test_another_rescue_of_a_node_that_has_left_the_cache_is_no_obstacle() -> None:
    assert ask(begun(rescue()), [rescue("old", now=NOON - SECOND)], nodes={}) == Go()


def of_boot(boot: str | None = "a", of_line: str | None = None) -> Rescue:
    return rescue(cause=node_fault(boot_id=boot, fault=fault(line=line(boot_id=of_line))))


@pytest.mark.parametrize(
    ("one", "there", "expected"),
    [
        pytest.param(of_boot(), node(boot_id="a"), "go", id="the same boot"),
        pytest.param(of_boot(), node(boot_id="b"), CancelReason.OLDER_THAN_BOOT, id="the node has rebooted since"),
        pytest.param(of_boot(None), node(boot_id="b"), "go", id="no boot known then"),
        pytest.param(of_boot(), node(boot_id=""), "go", id="no boot known now"),
        pytest.param(of_boot("a", "b"), node(boot_id="b"), "go", id="the line was of the new boot already"),
        pytest.param(
            of_boot("b", "a"), node(boot_id="b"), CancelReason.OLDER_THAN_BOOT, id="the line was of an older boot"
        ),
        pytest.param(rescue(), node(booted_at=NOON), "go", id="in the moment of the boot"),
        pytest.param(rescue(), node(booted_at=NOON + MICROSECOND), CancelReason.OLDER_THAN_BOOT, id="before the boot"),
        pytest.param(
            begun(of_boot()), node(boot_id="b", booted_at=NOON + HOUR), "go", id="one that has begun is not stopped"
        ),
    ],
)
def test_a_node_that_has_rebooted(one: Rescue, there: Node, expected: str) -> None:
    assert answer(ask(one, nodes=cluster(there))) == expected


OLD = rescue("old", now=NOON - SECOND)
NEW = rescue("new", now=NOON + SECOND)


def with_plan(name: str, *actions: Action) -> Rescue:
    return rescue(name, now=NOON - SECOND, plan=plan(*actions))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(OLD, "fold into old", id="the older one leads"),
        pytest.param(NEW, "go", id="and the newer one does not"),
        pytest.param(rescue("a"), "fold into a", id="the name decides between two of one moment"),
        pytest.param(rescue("z"), "go", id="and the later name does not lead"),
        pytest.param(begun(NEW), "fold into new", id="one that has begun leads, even if it is newer"),
        pytest.param(begun(OLD, 2), "fold into old", id="its drain is no obstacle"),
        pytest.param(begun(OLD, 3), HoldReason.NODE_BUSY, id="its reboot is"),
        pytest.param(begun(OLD, 4), HoldReason.NODE_BUSY, id="and all that comes after"),
        pytest.param(begun(with_plan("old", Cordon())), "fold into old", id="a cordon can be built on"),
        pytest.param(begun(with_plan("old", Cordon(), Drain()), 2), "fold into old", id="a drain can be built on"),
        pytest.param(begun(with_plan("old", Cordon(), Offline())), "fold into old", id="offline has not started"),
        pytest.param(begun(with_plan("old", Cordon(), Offline()), 2), HoldReason.NODE_BUSY, id="offline has started"),
        pytest.param(replace(OLD, status=Status.HELD), "fold into old", id="a held one leads"),
        pytest.param(replace(OLD, status=Status.SUCCEEDED), "go", id="one that has ended does not"),
        pytest.param(rescue("old", "gpu-2", NOON - SECOND), "go", id="one of another node does not"),
    ],
)
def test_another_rescue_on_the_node(other: Rescue, expected: str) -> None:
    assert answer(ask(rescue(), [other])) == expected


def test_a_rescue_that_has_begun_waits_for_another_one_that_has() -> None:
    assert answer(ask(begun(rescue()), [begun(OLD)])) == HoldReason.NODE_BUSY


def test_a_rescue_that_would_be_cancelled_leads_nobody() -> None:
    """Else a fault of this boot would fold into one of the last boot, and be given up with it."""
    doomed = rescue("old", cause=node_fault(boot_id="a", time=NOON - SECOND), now=NOON - SECOND)
    fresh = rescue("new", cause=node_fault(boot_id="b"))
    nodes = cluster(node(boot_id="b"))
    assert answer(ask(fresh, [doomed], nodes)) == "go"
    assert answer(ask(doomed, [fresh], nodes)) == CancelReason.OLDER_THAN_BOOT


def test_a_rescue_that_was_taken_over_stays_so_however_far_the_other_one_is() -> None:
    """A crash between the taking over and the end of the second one must not lead to a second reboot."""
    leader = replace(begun(OLD, 3), folded=("gpu-1-xid-79-abc",))
    assert ask(rescue(), [leader]) == Fold("old")


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        pytest.param(cordoned("gpu-2"), True, id="a cordon of ours"),
        pytest.param(cordoned("gpu-2", (NOON - HOUR).isoformat()), True, id="as old as the window"),
        pytest.param(cordoned("gpu-2", (NOON - HOUR - MICROSECOND).isoformat()), False, id="older than the window"),
        pytest.param(cordoned("gpu-2", (NOON + HOUR).isoformat()), True, id="ahead of the clock"),
        pytest.param(cordoned("gpu-2", "2026-11-20T12:00:00"), True, id="a stamp without zone is UTC"),
        pytest.param(cordoned("gpu-2", "2026-11-20T10:59:59"), False, id="also when it is old"),
        pytest.param(cordoned("gpu-2", "yesterday"), True, id="a stamp that nobody can read"),
        pytest.param(cordoned("gpu-2", None), True, id="no stamp"),
        pytest.param(cordoned("gpu-2", unschedulable=False), False, id="a node that somebody has uncordoned"),
        pytest.param(node("gpu-2", unschedulable=True), False, id="somebody else's cordon"),
        pytest.param(node("gpu-2"), False, id="a node in service"),
        pytest.param(cordoned("gpu-1"), False, id="this node does not count"),
    ],
)
def test_the_breaker_counts_nodes(other: Node, counts: bool) -> None:
    held = answer(ask(rescue(), nodes=cluster(other), max_nodes=1))
    assert held == (HoldReason.MAX_NODES if counts else "go")


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        pytest.param(begun(rescue("b", "gpu-2")), True, id="one that has begun"),
        pytest.param(rescue("b", "gpu-2"), False, id="one that has not"),
        pytest.param(
            replace(begun(rescue("b", "gpu-2")), status=Status.HELD), True, id="one that has begun and is held"
        ),
        pytest.param(replace(begun(rescue("b", "gpu-2")), status=Status.FAILED), False, id="one that has ended"),
    ],
)
def test_the_breaker_counts_rescues(other: Rescue, counts: bool) -> None:
    held = answer(ask(rescue(), [other], max_nodes=1))
    assert held == (HoldReason.MAX_NODES if counts else "go")


def test_a_node_counts_once() -> None:
    nodes = cluster(cordoned("gpu-2"))
    assert answer(ask(rescue(), [begun(rescue("b", "gpu-2"))], nodes, max_nodes=2)) == "go"


def test_a_rescue_that_has_begun_is_not_stopped_by_the_breaker() -> None:
    assert ask(begun(rescue()), nodes=cluster(cordoned("gpu-2")), max_nodes=1) == Go()


def test_none_at_all_may_be_out_of_service() -> None:
    assert answer(ask(rescue(), max_nodes=0)) == HoldReason.MAX_NODES


def test_a_rescue_folds_even_while_the_breaker_is_open() -> None:
    assert answer(ask(rescue(), [OLD], cluster(cordoned("gpu-2")), max_nodes=1)) == "fold into old"


@pytest.mark.parametrize(
    ("admission", "message"),
    [
        pytest.param(
            ask(rescue(), nodes=cluster(cordoned("gpu-3"), cordoned("gpu-2")), max_nodes=2),
            "gpu-1: 2 nodes are out of service by our hand (gpu-2, gpu-3), at most 2 may be (max_nodes)",
            id="the breaker names the nodes",
        ),
        pytest.param(
            ask(rescue(), nodes=cluster(*(cordoned(f"n{i:02}") for i in range(12))), max_nodes=2),
            "gpu-1: 12 nodes are out of service by our hand (n00, n01, n02, n03, n04, n05, n06, n07, n08, n09 "
            "and 2 more), at most 2 may be (max_nodes)",
            id="but not all of them",
        ),
        pytest.param(
            ask(rescue(), nodes=cluster(*(cordoned(f"n{i:02}") for i in range(11))), max_nodes=2),
            "gpu-1: 11 nodes are out of service by our hand (n00, n01, n02, n03, n04, n05, n06, n07, n08, n09 "
            "and 1 more), at most 2 may be (max_nodes)",
            id="one more than can be named",
        ),
        pytest.param(
            ask(rescue(), nodes=cluster(*(cordoned(f"n{i}") for i in range(10))), max_nodes=2),
            "gpu-1: 10 nodes are out of service by our hand (n0, n1, n2, n3, n4, n5, n6, n7, n8, n9), "
            "at most 2 may be (max_nodes)",
            id="ten are not too many to name",
        ),
        pytest.param(ask(rescue(), nodes={}), "gpu-1: the cluster has no node of this name", id="no node"),
        pytest.param(
            ask(rescue(), nodes={}, now=NOON + HOUR),
            "gpu-1: the cluster has no node of this name, and the fault counts no longer: it is 1h old, more than "
            "10min (max_age)",
            id="no node for too long",
        ),
        pytest.param(
            ask(rescue(), [begun(OLD, 3)]),
            "gpu-1: rescue old is under way, too far to take this one over",
            id="a busy node",
        ),
        pytest.param(
            ask(of_boot(), nodes=cluster(node(boot_id="b"))),
            "gpu-1: the fault is older than the node's boot: the node gpu-1 was in boot a then and is in boot b now",
            id="another boot",
        ),
    ],
)
def test_the_message_says_what_it_waits_for(admission: Admission, message: str) -> None:
    assert isinstance(admission, Hold | Cancel)
    assert admission.message == message


NODES = [f"gpu-{i}" for i in range(6)]


class Driver:
    """Works rescues off as the executor does, a step at a time, and marks the nodes as cordon and unCordon do."""

    def __init__(self, max_nodes: int) -> None:
        self.settings = GuardSettings(max_nodes=max_nodes)
        self.nodes = {name: node(name) for name in NODES}
        self.open: dict[str, Rescue] = {}

    def step(self, name: str) -> None:
        one = self.open[name]
        index = one.current
        if index is None:
            del self.open[name]
            return
        if one.plan.actions[index] != Uncordon():
            match admit(one, list(self.open.values()), self.nodes, NOON, self.settings):
                case Fold():
                    del self.open[name]
                    return
                case Hold() | Cancel():
                    return
        if one.plan.actions[index] in (Cordon(), Uncordon()):
            on = one.plan.actions[index] == Cordon()
            self.nodes[one.node] = cordoned(one.node) if on else node(one.node)
        self.open[name] = one.with_step(index, StepState(Status.SUCCEEDED, NOON, NOON))

    @property
    def out(self) -> set[str]:
        busy = {one.node for one in self.open.values() if one.begun}
        return busy | {name for name, one in self.nodes.items() if one.unschedulable}


PLANS = st.sampled_from([plan(Cordon()), plan(), plan(Cordon(), Drain()), plan(Cordon(), Drain(), Reboot())])
EVENTS = st.lists(st.tuples(st.sampled_from(NODES), PLANS) | st.integers(0, 20), max_size=60)


@given(st.integers(0, 4), EVENTS)
def test_never_more_nodes_out_of_service_than_allowed(max_nodes: int, events: list[Any]) -> None:
    driver = Driver(max_nodes)
    for number, event in enumerate(events):
        if isinstance(event, tuple):
            name = f"r{number:02}"
            driver.open[name] = rescue(name, event[0], plan=event[1])
        elif driver.open:
            driver.step(sorted(driver.open)[event % len(driver.open)])
        assert len(driver.out) <= max_nodes
        working = [one.node for one in driver.open.values() if one.begun]
        assert len(working) == len(set(working))
