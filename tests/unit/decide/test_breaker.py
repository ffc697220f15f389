"""The breaker: what counts, where it opens, how it half-opens, and that it holds under random sequences."""

from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.admission import Cancel, Fold, Go, Hold, admit
from pipeline.decide.breaker import holds_others
from pipeline.decide.guards import GuardSettings
from pipeline.model.guard import Guard, Verdict
from pipeline.model.node import Node
from pipeline.model.ownership import NEWCOMER
from pipeline.model.plan import Cordon, Drain, Offline, Reboot, Uncordon
from pipeline.model.rescue import HoldReason, Rescue, Status
from tests.fakes.asking import answer, ask, begun, cluster, cordoned, done, node, over, states
from tests.fakes.faults import NOON, plan, rescue

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
OLD_CORDON = (NOON - HOUR - MICROSECOND).isoformat()
"""Older than the breaker's window."""

CORDON_ONLY = done(1, rescue("b", "gpu-2", plan=plan(Cordon())))
TAKES_OUT = rescue("b", "gpu-2", plan=plan(Cordon(), Offline()))
DRAINS = rescue("b", "gpu-2")


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


@pytest.mark.parametrize(
    ("nodes", "max_nodes", "told"),
    [
        pytest.param([], 0, "no other node is out of service by our hand, at most 0 may be (max_nodes)", id="none"),
        pytest.param(
            ["gpu-2"], 1, "1 node is out of service by our hand (gpu-2), at most 1 may be (max_nodes)", id="one"
        ),
        pytest.param(
            ["gpu-3", "gpu-2"],
            2,
            "2 nodes are out of service by our hand (gpu-2, gpu-3), at most 2 may be (max_nodes)",
            id="two, in order",
        ),
        pytest.param(
            [f"n{i}" for i in range(10)],
            2,
            "10 nodes are out of service by our hand (n0, n1, n2, n3, n4, n5, n6, n7, n8, n9), at most 2 may be "
            "(max_nodes)",
            id="ten are not too many to name",
        ),
        pytest.param(
            [f"n{i:02}" for i in range(12)],
            2,
            "12 nodes are out of service by our hand (n00, n01, n02, n03, n04, n05, n06, n07, n08, n09 and 2 more), "
            "at most 2 may be (max_nodes)",
            id="twelve are",
        ),
    ],
)
def test_the_breaker_names_the_nodes(nodes: list[str], max_nodes: int, told: str) -> None:
    held = ask(rescue(), nodes=cluster(*map(cordoned, nodes)), max_nodes=max_nodes)
    assert held == Hold(HoldReason.MAX_NODES, f"gpu-1: {told}")


# Half open.

PROBE = begun(rescue("probe", "gpu-9"))


def aged(count: int) -> list[Node]:
    """So many nodes whose cordon of ours is older than the window."""
    return [cordoned(f"old-{number}", OLD_CORDON) for number in range(count)]


@pytest.mark.parametrize(
    ("nodes", "others", "max_nodes", "expected"),
    [
        pytest.param(aged(1), [], 0, HoldReason.MAX_NODES, id="none may be out, however old the others are"),
        pytest.param([], [], 0, HoldReason.MAX_NODES, id="none may be out, and none is"),
        pytest.param(aged(1), [], 1, "go", id="half open, and nobody is under way"),
        pytest.param(aged(5), [], 3, "go", id="half open by many"),
        pytest.param(aged(6), [], 3, HoldReason.MAX_NODES, id="twice the limit is never passed"),
        pytest.param(aged(2), [], 1, HoldReason.MAX_NODES, id="nor where one may be out"),
        pytest.param(
            aged(5),
            [over(done(1, rescue("probe", "gpu-9", plan=plan(Cordon()))))],
            3,
            HoldReason.MAX_NODES,
            id="old and new",
        ),
        pytest.param(
            [cordoned("a", (NOON - 2 * HOUR).astimezone(timezone(8 * HOUR)).isoformat())],
            [],
            1,
            "go",
            id="an old cordon, by a clock eight hours ahead",
        ),
        pytest.param(aged(5), [PROBE], 1, HoldReason.MAX_NODES, id="the one that was let through counts by itself"),
        pytest.param(aged(2), [PROBE], 3, HoldReason.HALF_OPEN, id="half open, and one is under way"),
        pytest.param(aged(1), [PROBE], 3, "go", id="one below the limit it is closed"),
        pytest.param(aged(3), [], 3, "go", id="half open at the limit"),
        pytest.param(
            aged(3), [over(done(4, PROBE))], 3, "go", id="the one that was let through has given its node back"
        ),
        pytest.param(
            aged(3),
            [over(done(1, rescue("probe", "gpu-9", plan=plan(Cordon()))))],
            3,
            "go",
            id="or has ended",
        ),
        pytest.param(
            aged(2),
            [over(done(1, rescue(name, name, plan=plan(Cordon())))) for name in ("a", "b", "c")],
            3,
            HoldReason.MAX_NODES,
            id="but so many of them are the limit again",
        ),
        pytest.param(aged(3), [rescue("waits", "gpu-9")], 3, "go", id="one that has not begun is not under way"),
        pytest.param([*aged(2), cordoned("gpu-2")], [], 3, "go", id="an old one and a new one"),
        pytest.param([*aged(2), cordoned("gpu-2")], [PROBE], 3, HoldReason.HALF_OPEN, id="and one is under way"),
        pytest.param(
            [*aged(2), cordoned("gpu-9", OLD_CORDON)], [PROBE], 4, "go", id="a node that is worked on counts once"
        ),
    ],
)
def test_the_breaker_half_opens(nodes: list[Node], others: list[Rescue], max_nodes: int, expected: str) -> None:
    assert answer(ask(rescue(), others, cluster(*nodes), max_nodes=max_nodes)) == expected


def test_the_own_node_keeps_nobody_waiting() -> None:
    nodes = cluster(cordoned("gpu-1", OLD_CORDON))
    assert answer(ask(rescue(), [], nodes, max_nodes=1)) == "go"
    told = states(rescue(), [], nodes, max_nodes=1)[Guard.BREAKER].told
    assert told == "no other node is out of service by our hand, at most 1 may be (max_nodes)"


def test_at_twice_the_limit_a_person_is_asked_for() -> None:
    assert ask(rescue(), [], cluster(*aged(2)), max_nodes=1) == Hold(
        HoldReason.MAX_NODES,
        "gpu-1: 2 nodes are out of service by our hand (old-0, old-1), at most 1 may be (max_nodes): "
        "2 times as many keep the breaker open until a person has brought nodes back",
    )


def test_a_half_open_breaker_says_who_goes_first() -> None:
    settings = {"max_nodes": 3, "breaker_window": "2h"}
    old = [cordoned(one.name, (NOON - 3 * HOUR).isoformat()) for one in aged(2)]
    assert ask(rescue(), [PROBE, begun(rescue("a", "gpu-9"))], cluster(*old), **settings) == Hold(
        HoldReason.HALF_OPEN,
        "gpu-1: 3 nodes are out of service by our hand (gpu-9, old-0, old-1), at most 3 may be (max_nodes), 2 of them "
        "for longer than 2h: the breaker is half open and lets one at a time through, now rescue a",
    )
    through = states(rescue(), [], cluster(*old), max_nodes=2, breaker_window="2h")[Guard.BREAKER].told
    assert through == (
        "2 nodes are out of service by our hand (old-0, old-1), at most 2 may be (max_nodes): "
        "the breaker is half open and lets this one through"
    )


# Percent.


def gpus(count: int, **given: Any) -> list[Node]:
    return [node(f"idle-{number}", gpus=8, **given) for number in range(count)]


def marked(*names: str) -> list[Node]:
    return [node(name, gpus=8, annotations={NEWCOMER: "true"}) for name in names]


OUT = cordoned("gpu-2", gpus=8)


@pytest.mark.parametrize(
    ("nodes", "percent", "expected"),
    [
        pytest.param([OUT, *gpus(18)], 10, HoldReason.MAX_PERCENT, id="one of 19 is 10 percent, rounded down"),
        pytest.param([OUT, *gpus(19)], 10, "go", id="two of 20 may be out"),
        pytest.param(gpus(1), 1, "go", id="one is always allowed"),
        pytest.param([OUT, *gpus(98)], 1, HoldReason.MAX_PERCENT, id="but only one"),
        pytest.param([OUT, *gpus(1)], 100, "go", id="all of them may be out"),
        pytest.param([cordoned("gpu-2")], 1, "go", id="no node with GPUs is known"),
        pytest.param([OUT, *[node(f"cpu-{n}") for n in range(20)]], 10, HoldReason.MAX_PERCENT, id="CPU nodes"),
        pytest.param(
            [OUT, *[node(f"mig-{n}", labels={"nvidia.com/gpu.count": "1"}) for n in range(19)]], 10, "go", id="by label"
        ),
        pytest.param(
            [OUT, *[node(f"cpu-{n}", labels={"nvidia.com/gpu.count": "0"}) for n in range(19)]],
            10,
            HoldReason.MAX_PERCENT,
            id="a label that counts none",
        ),
        pytest.param(
            [OUT, *[node(f"cpu-{n}", labels={"nvidia.com/gpu.count": "many"}) for n in range(19)]],
            10,
            HoldReason.MAX_PERCENT,
            id="a label that is no number",
        ),
        pytest.param(
            [OUT, *[node(f"one-{n}", gpus=1) for n in range(19)]], 10, "go", id="one GPU makes a node with GPUs"
        ),
        pytest.param([cordoned("gpu-2", OLD_CORDON, gpus=8), *gpus(8)], 10, "go", id="half open"),
        pytest.param(
            [OUT, *gpus(8), *marked(*(f"new-{n}" for n in range(30)))],
            10,
            HoldReason.MAX_PERCENT,
            id="hosts of a replayed log make the cluster no larger",
        ),
    ],
)
def test_the_breaker_counts_in_percent(nodes: list[Node], percent: int, expected: str) -> None:
    assert answer(ask(rescue(), nodes=cluster(*nodes), max_nodes=99, max_percent=percent)) == expected


def newcomer_out(name: str) -> Node:
    """A host of a replayed log that is out of service by our hand."""
    out = cordoned(name, gpus=8)
    return replace(out, annotations={**out.annotations, NEWCOMER: "true"})


def test_hosts_known_from_a_replayed_log_alone_count_in_no_percentage() -> None:
    world = cluster(*gpus(9), newcomer_out("new-1"), newcomer_out("new-2"))
    assert answer(ask(rescue(), nodes=world)) == "go"
    assert answer(ask(rescue(node="new-3"), nodes={**world, "gpu-2": OUT, **cluster(*marked("new-3"))})) == "go"
    assert answer(ask(rescue(), nodes={**world, "gpu-2": OUT})) == HoldReason.MAX_PERCENT
    assert answer(ask(rescue(), nodes=world, max_nodes=2)) == HoldReason.MAX_NODES


def test_the_percentage_is_told_with_what_it_is_of() -> None:
    held = ask(rescue(), nodes=cluster(OUT, *gpus(18)))
    assert held == Hold(
        HoldReason.MAX_PERCENT,
        "gpu-1: 1 node is out of service by our hand (gpu-2), at most 1 may be, 10% of 19 with GPUs (max_percent)",
    )
    told = states(rescue(), nodes=cluster(OUT, *gpus(29)))[Guard.BREAKER].told
    assert told == (
        "1 node is out of service by our hand (gpu-2), at most 5 may be (max_nodes); "
        "1 node is out of service by our hand (gpu-2), at most 3 may be, 10% of 30 with GPUs (max_percent)"
    )


# Groups.

RACK = {"rack": "r1"}
TWO: dict[str, Any] = {"groups": [{"label": "rack", "max_nodes": 2}]}
HALF: dict[str, Any] = {"groups": [{"label": "rack", "max_percent": 50}]}


def racked(*nodes: Node, rack: str = "r1") -> list[Node]:
    return [replace(one, labels={**one.labels, "rack": rack}) for one in nodes]


HERE = racked(node())


@pytest.mark.parametrize(
    ("nodes", "settings", "expected"),
    [
        pytest.param(racked(cordoned("a")), TWO, "go", id="one of two"),
        pytest.param(racked(cordoned("a"), cordoned("b")), TWO, HoldReason.MAX_PER_GROUP, id="two of two"),
        pytest.param(racked(cordoned("a"), cordoned("b"), rack="r2"), TWO, "go", id="of another group"),
        pytest.param([cordoned("a"), cordoned("b")], TWO, "go", id="of no group"),
        pytest.param([*racked(cordoned("a")), cordoned("b")], TWO, "go", id="one of the group, one of none"),
        pytest.param(
            racked(cordoned("a"), cordoned("b", OLD_CORDON)), TWO, "go", id="half open, and nobody is under way"
        ),
        pytest.param(racked(*gpus(3), OUT), HALF, "go", id="one of four is less than half"),
        pytest.param(racked(*gpus(2), OUT), HALF, HoldReason.MAX_PER_GROUP, id="one of three is half, rounded down"),
        pytest.param([*racked(*gpus(2), OUT), *gpus(9)], HALF, HoldReason.MAX_PER_GROUP, id="others are not in it"),
        pytest.param(racked(cordoned("a")), HALF, "go", id="a group without GPUs has no percentage"),
        pytest.param(
            racked(*gpus(9), OUT),
            {"groups": [{"label": "zone", "max_nodes": 0}, {"label": "rack", "max_nodes": 1, "max_percent": 90}]},
            HoldReason.MAX_PER_GROUP,
            id="each number of each group counts",
        ),
        pytest.param(
            racked(*gpus(9), OUT),
            {"groups": [{"label": "rack", "max_nodes": 9, "max_percent": 10}]},
            HoldReason.MAX_PER_GROUP,
            id="the percentage beside the number",
        ),
        pytest.param([], {"groups": [{"label": "rack", "max_nodes": 0}]}, HoldReason.MAX_PER_GROUP, id="none at all"),
    ],
)
def test_a_group_of_nodes_has_its_own_breaker(nodes: list[Node], settings: dict[str, Any], expected: str) -> None:
    held = ask(rescue(), nodes=cluster(*HERE, *nodes), max_nodes=99, max_percent=100, **settings)
    assert answer(held) == expected


def test_a_node_of_no_group_is_held_by_none() -> None:
    nodes = cluster(*racked(cordoned("a"), cordoned("b")))
    assert answer(ask(rescue(), nodes=nodes, **TWO)) == "go"
    assert answer(ask(rescue("other", "gpu-9"), nodes=nodes, **TWO)) == HoldReason.NODE_UNKNOWN
    assert states(rescue("other", "gpu-9"), nodes=nodes, **TWO)[Guard.GROUP_BREAKER].verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param("c", HoldReason.HALF_OPEN, id="in the same group"),
        pytest.param("d", "go", id="in another one"),
    ],
)
def test_a_half_open_group_waits_for_who_is_under_way_in_it(probe: str, expected: str) -> None:
    inside = racked(cordoned("a", OLD_CORDON), cordoned("b", OLD_CORDON), node("c"))
    nodes = cluster(*HERE, *inside, *racked(node("d"), rack="r2"))
    groups = [{"label": "rack", "max_nodes": 2}]
    held = ask(rescue(), [begun(rescue("probe", probe))], nodes, groups=groups)
    assert answer(held) == expected
    assert not isinstance(held, Hold) or held.details == {"label": "rack", "group": "r1"}


def test_a_group_at_its_ceiling_names_itself() -> None:
    nodes = cluster(*HERE, *racked(cordoned("a", OLD_CORDON), cordoned("b", OLD_CORDON)))
    held = ask(rescue(), nodes=nodes, groups=[{"label": "rack", "max_nodes": 1}])
    assert isinstance(held, Hold)
    assert "2 times as many keep the breaker open" in held.message
    assert held.details == {"label": "rack", "group": "r1"}


def test_a_full_group_names_itself() -> None:
    nodes = cluster(*HERE, *racked(cordoned("a", gpus=8), node("b", gpus=8), node("c", gpus=8)))
    by_number = ask(rescue(), nodes=nodes, max_percent=100, groups=[{"label": "rack", "max_nodes": 1}])
    assert isinstance(by_number, Hold)
    assert by_number.message == (
        "gpu-1: 1 node with rack=r1 is out of service by our hand (a), at most 1 may be (groups, max_nodes)"
    )
    assert by_number.details == {"label": "rack", "group": "r1"}
    by_percent = ask(rescue(), nodes=nodes, max_percent=100, **HALF)
    assert by_percent == Hold(
        HoldReason.MAX_PER_GROUP,
        "gpu-1: 1 node with rack=r1 is out of service by our hand (a), at most 1 may be, 50% of 3 with GPUs "
        "(groups, max_percent)",
    )


def test_a_group_with_room_tells_how_much() -> None:
    nodes = cluster(*HERE, *racked(cordoned("a"), cordoned("b")))
    groups = [
        {"label": "rack", "max_nodes": 3},
        {"label": "rack", "max_percent": 10},
        {"label": "zone", "max_nodes": 0},
    ]
    told = states(rescue(), nodes=nodes, groups=groups)[Guard.GROUP_BREAKER].told
    assert told == (
        "2 nodes with rack=r1 are out of service by our hand (a, b), at most 3 may be (groups, max_nodes); "
        "no node with rack=r1 is known to have GPUs (groups, max_percent)"
    )


@pytest.mark.parametrize(
    ("hold", "expected"),
    [
        pytest.param(Hold(HoldReason.MAX_NODES, ""), True, id="max_nodes"),
        pytest.param(Hold(HoldReason.MAX_PERCENT, ""), True, id="max_percent"),
        pytest.param(Hold(HoldReason.HALF_OPEN, ""), True, id="the cluster's half-open breaker"),
        pytest.param(Hold(HoldReason.HALF_OPEN, "", {"group": "r1"}), False, id="a group's half-open breaker"),
        pytest.param(Hold(HoldReason.MAX_PER_GROUP, "", {"group": "r1"}), False, id="a full group"),
        pytest.param(Hold(HoldReason.NODE_BUSY, ""), False, id="another guard's"),
    ],
)
def test_what_the_whole_cluster_is_held_for(hold: Hold, expected: bool) -> None:
    assert holds_others(hold) is expected


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
        self.open[name] = done(index + 1, one)

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


def test_the_cluster_s_breaker_names_no_group() -> None:
    held = ask(rescue(), nodes=cluster(cordoned("a")), max_nodes=1)
    assert isinstance(held, Hold)
    assert held.details == {}
