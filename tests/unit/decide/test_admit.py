"""Whether a rescue may go on: one row per answer, with its exact edge, and the breaker under random sequences."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.admission import Admission, Cancel, Fold, Go, Hold, admit
from pipeline.decide.guards import GuardSettings
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_AT, CORDONED_BY, OFFLINE
from pipeline.model.plan import Action, Cordon, Drain, Offline, Reboot, Uncordon
from pipeline.model.rescue import CancelReason, FailReason, HoldReason, Rescue, Status, StepState
from tests.fakes.faults import NOON, fault, line, node_fault, plan, rescue

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
MAX_AGE = 10 * MINUTE
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


def done(steps: int, one: Rescue | None = None) -> Rescue:
    """The rescue with that many steps done."""
    one = one or rescue()
    for index in range(steps):
        one = one.with_step(index, StepState(Status.SUCCEEDED, NOON, NOON))
    return one


def over(
    one: Rescue,
    status: Status = Status.SUCCEEDED,
    ago: timedelta = timedelta(0),
    reason: str | None = None,
) -> Rescue:
    """The rescue, ended so long before noon."""
    return replace(one, status=status, reason=reason, ended=NOON - ago)


CORDON_ONLY = done(1, rescue("b", "gpu-2", plan=plan(Cordon())))
TAKES_OUT = rescue("b", "gpu-2", plan=plan(Cordon(), Offline()))
DRAINS = rescue("b", "gpu-2")


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
        pytest.param(of_boot(), node(boot_id="a", booted_at=NOON), "go", id="in the moment of the boot"),
        pytest.param(
            of_boot(),
            node(boot_id="a", booted_at=NOON + MICROSECOND),
            CancelReason.OLDER_THAN_BOOT,
            id="before the boot",
        ),
        pytest.param(
            of_boot(None), node(boot_id="b", booted_at=NOON + HOUR), "go", id="nobody knows which boot it was of"
        ),
        pytest.param(
            of_boot(None, "b"), node(boot_id="a", ready=False), "go", id="the node has not told its new boot yet"
        ),
        pytest.param(
            of_boot(None, "a"), node(boot_id="b"), CancelReason.OLDER_THAN_BOOT, id="it has, and the line is older"
        ),
        pytest.param(
            of_boot(),
            node(boot_id="b", ready=False),
            CancelReason.OLDER_THAN_BOOT,
            id="the node has rebooted since and is not Ready yet",
        ),
        pytest.param(
            begun(of_boot()), node(boot_id="b", booted_at=NOON + HOUR), "go", id="one that has begun is not stopped"
        ),
    ],
)
def test_a_node_that_has_rebooted(one: Rescue, there: Node, expected: str) -> None:
    assert answer(ask(one, nodes=cluster(there))) == expected


MAX_HOLD = 2 * HOUR


@pytest.mark.parametrize(
    ("one", "age", "expected"),
    [
        pytest.param(rescue(), MAX_HOLD, "go", id="as old as it may be"),
        pytest.param(rescue(), MAX_HOLD + MICROSECOND, CancelReason.STALE, id="older than it may be"),
        pytest.param(
            replace(rescue(), last_seen=NOON + SECOND), MAX_HOLD + SECOND, "go", id="the fault was seen again since"
        ),
        pytest.param(begun(rescue()), 10 * MAX_HOLD, "go", id="one that has begun is never too old"),
    ],
)
def test_a_rescue_that_was_held_for_long(one: Rescue, age: timedelta, expected: str) -> None:
    assert answer(ask(one, now=NOON + age)) == expected


def test_an_open_breaker_holds_nobody_for_ever() -> None:
    nodes = cluster(cordoned("gpu-2", None))
    assert answer(ask(rescue(), nodes=nodes, now=NOON + MAX_HOLD, max_nodes=1)) == HoldReason.MAX_NODES
    assert answer(ask(rescue(), nodes=nodes, now=NOON + MAX_HOLD + SECOND, max_nodes=1)) == CancelReason.STALE


def test_an_unknown_node_is_waited_for_no_longer_than_for_any_other() -> None:
    waits = ask(rescue(), nodes={}, now=NOON + HOUR, max_age="1day", max_hold="1min")
    assert answer(waits) == HoldReason.NODE_UNKNOWN


OFF = {OFFLINE: "true"}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(rescue(), CancelReason.NODE_OFFLINE, id="nothing begins on it any more"),
        pytest.param(begun(rescue()), "go", id="what has begun goes on"),
        pytest.param(of_boot("x"), CancelReason.NODE_OFFLINE, id="that it is out says more than its boot"),
    ],
)
def test_a_node_that_was_taken_out_for_good(one: Rescue, expected: str) -> None:
    assert answer(ask(one, nodes=cluster(node(labels=OFF, boot_id="y")))) == expected


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


def test_a_rescue_that_was_held_for_too_long_leads_nobody() -> None:
    """Else a fresh fault would fold into one that is given up the next time it asks."""
    late = NOON + MAX_HOLD
    fresh = rescue("new", now=late)
    assert answer(ask(fresh, [OLD], now=late)) == "go"
    assert answer(ask(OLD, [fresh], now=late)) == CancelReason.STALE


def test_a_rescue_that_was_taken_over_by_one_that_has_ended_is_given_up() -> None:
    """The crash fell between the taking over and the end of the second one, and the first went on alone."""
    leader = over(replace(begun(OLD, 4), folded=("gpu-1-xid-79-abc",)))
    assert answer(ask(rescue(), [leader])) == CancelReason.FOLDED


def test_a_rescue_that_was_taken_over_waits_for_no_node() -> None:
    leader = replace(begun(OLD), folded=("gpu-1-xid-79-abc",))
    assert ask(rescue(), [leader], nodes={}) == Fold("old")


def test_a_rescue_that_was_taken_over_stays_so_however_far_the_other_one_is() -> None:
    """A crash between the taking over and the end of the second one must not lead to a second reboot."""
    leader = replace(begun(OLD, 3), folded=("gpu-1-xid-79-abc",))
    assert ask(rescue(), [leader]) == Fold("old")


AT_UNCORDON = done(3)


@pytest.mark.parametrize(
    ("others", "nodes", "settings"),
    [
        pytest.param([], cluster(cordoned("gpu-2")), {"max_nodes": 0}, id="by the breaker"),
        pytest.param([begun(OLD, 3)], cluster(), {}, id="by another rescue of the node"),
        pytest.param([replace(begun(OLD), folded=(AT_UNCORDON.name,))], cluster(), {}, id="by one that took it over"),
        pytest.param([], {}, {}, id="by a node that has left the cache"),
        pytest.param([], cluster(node(labels=OFF)), {}, id="by a node that is out for good"),
    ],
)
def test_uncordon_is_never_held_back(others: list[Rescue], nodes: dict[str, Node], settings: dict[str, Any]) -> None:
    assert ask(AT_UNCORDON, others, nodes, **settings) == Go()


# A node whose reboot has failed is for a person.


def unproven(reason: str = FailReason.REBOOT_UNCERTAIN, **memo: str) -> Rescue:
    """An earlier rescue whose reboot failed five minutes ago; the node was in boot a before."""
    failed = over(begun(rescue("earlier", now=NOON - HOUR), 3), Status.FAILED, 5 * MINUTE, reason)
    return failed.with_step(2, replace(failed.steps[2], status=Status.FAILED, memo={"boot_id": "a", **memo}))


REBOOTED = unproven(FailReason.REBOOT_TIMEOUT, rebooted_at=(NOON - 20 * MINUTE).isoformat())


@pytest.mark.parametrize(
    ("earlier", "there", "expected"),
    [
        pytest.param(
            unproven(),
            cordoned("gpu-1", boot_id="a"),
            HoldReason.NODE_FAILED,
            id="nobody knows whether it was rebooted",
        ),
        pytest.param(
            unproven(FailReason.REBOOT_TIMEOUT), cordoned("gpu-1"), HoldReason.NODE_FAILED, id="it did not reboot"
        ),
        pytest.param(unproven(), cordoned("gpu-1", boot_id="A"), HoldReason.NODE_FAILED, id="in whatever spelling"),
        pytest.param(unproven(), cordoned("gpu-1", boot_id=""), HoldReason.NODE_FAILED, id="no boot is known now"),
        pytest.param(
            unproven(boot_id=""), cordoned("gpu-1", boot_id="b"), HoldReason.NODE_FAILED, id="no boot was known then"
        ),
        pytest.param(unproven(), cordoned("gpu-1", boot_id="b"), "go", id="it has rebooted since"),
        pytest.param(unproven(), node(boot_id="a"), "go", id="a person has made it schedulable"),
        pytest.param(
            REBOOTED,
            cordoned("gpu-1", boot_id="b"),
            HoldReason.NODE_FAILED,
            id="it rebooted and did not come back whole",
        ),
        pytest.param(
            REBOOTED,
            cordoned("gpu-1", boot_id="b", booted_at=NOON - 20 * MINUTE),
            HoldReason.NODE_FAILED,
            id="and it is still in that boot",
        ),
        pytest.param(
            REBOOTED, cordoned("gpu-1", boot_id="c", booted_at=NOON - MINUTE), "go", id="and has booted once more since"
        ),
        pytest.param(REBOOTED, node(boot_id="b"), "go", id="and a person has made it schedulable"),
        pytest.param(unproven(FailReason.DRAIN_TIMEOUT), cordoned("gpu-1"), "go", id="what failed was the drain"),
        pytest.param(
            replace(unproven(), node="gpu-2"), cordoned("gpu-1"), "go", id="it was another node that did not come back"
        ),
        pytest.param(
            replace(unproven(), status=Status.CANCELLED),
            cordoned("gpu-1"),
            "go",
            id="a person has cancelled that rescue",
        ),
    ],
)
def test_an_earlier_rescue_of_the_node_has_failed(earlier: Rescue, there: Node, expected: str) -> None:
    assert answer(ask(rescue(), [earlier], cluster(there))) == expected


def test_a_person_is_told_which_rescue_has_failed() -> None:
    held = ask(rescue(), [unproven()], cluster(cordoned("gpu-1")))
    assert held == Hold(
        HoldReason.NODE_FAILED,
        "gpu-1: rescue earlier has failed (reboot-uncertain) and the node is as it left it: it waits until a person "
        "has looked and made the node schedulable",
    )


def test_a_rescue_after_the_one_that_failed_shows_that_a_person_has_looked() -> None:
    later = over(done(1, rescue("later", now=NOON - 2 * MINUTE, plan=plan(Cordon()))), ago=MINUTE)
    assert answer(ask(rescue(), [later, unproven()], cluster(cordoned("gpu-1")))) == "go"


def test_a_rescue_that_never_began_shows_nothing() -> None:
    later = over(rescue("later", now=NOON - 2 * MINUTE), Status.CANCELLED, MINUTE, CancelReason.STALE)
    assert answer(ask(rescue(), [later, unproven()], cluster(cordoned("gpu-1")))) == HoldReason.NODE_FAILED


def test_a_rescue_that_has_begun_is_not_stopped_by_one_that_has_failed() -> None:
    assert ask(begun(rescue()), [unproven()], cluster(cordoned("gpu-1"))) == Go()


def test_it_waits_for_a_person_even_while_the_breaker_is_open() -> None:
    assert answer(ask(rescue(), [unproven()], cluster(cordoned("gpu-1")), max_nodes=0)) == HoldReason.NODE_FAILED


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
        pytest.param(over(CORDON_ONLY), True, id="one whose cordon may not have come back from the server yet"),
        pytest.param(over(CORDON_ONLY, ago=2 * MINUTE), True, id="as long as that may take"),
        pytest.param(over(CORDON_ONLY, ago=2 * MINUTE + MICROSECOND), False, id="but no longer"),
        pytest.param(over(done(2, DRAINS), Status.FAILED), True, id="one that failed after its cordon"),
        pytest.param(over(done(2, TAKES_OUT)), True, id="one that took its node out for good"),
        pytest.param(over(done(4, DRAINS)), False, id="one that has given its node back"),
        pytest.param(over(begun(DRAINS), Status.FAILED), False, id="one whose cordon failed"),
        pytest.param(over(DRAINS, Status.CANCELLED), False, id="one that never began"),
        pytest.param(over(replace(CORDON_ONLY, node="gpu-1")), False, id="one of this node"),
    ],
)
def test_the_breaker_counts_rescues(other: Rescue, counts: bool) -> None:
    held = answer(ask(rescue(), [other], max_nodes=1))
    assert held == (HoldReason.MAX_NODES if counts else "go")


def test_cordons_that_the_cache_has_not_seen_yet_open_the_breaker_too() -> None:
    """Ten rescues of ten nodes that only cordon, all in the moment before the first watch event comes."""
    nodes = {f"n{i}": node(f"n{i}") for i in range(10)}
    rescues: list[Rescue] = []
    went = 0
    for name in nodes:
        one = rescue(f"r-{name}", name, plan=plan(Cordon()))
        if admit(one, [one, *rescues], nodes, NOON, GuardSettings(max_nodes=1)) == Go():
            went += 1
            one = over(done(1, one))
        rescues.append(one)
    assert went == 1


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
            ask(rescue(), now=NOON + 3 * HOUR),
            "gpu-1: the fault counts no longer: it was last seen 3h ago, more than 2h (max_hold)",
            id="held for too long",
        ),
        pytest.param(
            ask(rescue(), nodes=cluster(node(labels=OFF))),
            "gpu-1: the node was taken out for good, and only a person brings it back",
            id="a node that is out for good",
        ),
        pytest.param(
            ask(rescue(), [replace(over(OLD), folded=(rescue().name,))]),
            "gpu-1: rescue old had taken it over, and has ended",
            id="taken over long ago",
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
    """Works rescues off as the executor does, a step at a time; the cache learns of cordons when it is told to."""

    def __init__(self, max_nodes: int) -> None:
        self.settings = GuardSettings(max_nodes=max_nodes)
        self.nodes = {name: node(name) for name in NODES}
        self.cache = dict(self.nodes)
        self.open: dict[str, Rescue] = {}
        self.ended: list[Rescue] = []

    def step(self, name: str) -> None:
        one = self.open[name]
        index = one.current
        if index is None:
            self.ended.append(over(self.open.pop(name)))
            return
        match admit(one, [*self.open.values(), *self.ended], self.cache, NOON, self.settings):
            case Fold() | Cancel():
                del self.open[name]
                return
            case Hold():
                assert one.plan.actions[index] != Uncordon()
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
EVENTS = st.lists(st.tuples(st.sampled_from(NODES), PLANS) | st.integers(0, 20) | st.none(), max_size=60)


@given(st.integers(0, 4), EVENTS)
def test_never_more_nodes_out_of_service_than_allowed(max_nodes: int, events: list[Any]) -> None:
    driver = Driver(max_nodes)
    for number, event in enumerate(events):
        if isinstance(event, tuple):
            name = f"r{number:02}"
            driver.open[name] = rescue(name, event[0], plan=event[1])
        elif event is None:
            driver.cache = dict(driver.nodes)
        elif driver.open:
            driver.step(sorted(driver.open)[event % len(driver.open)])
        assert len(driver.out) <= max_nodes
        working = [one.node for one in driver.open.values() if one.begun]
        assert len(working) == len(set(working))
