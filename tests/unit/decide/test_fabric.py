"""One fault on many nodes of one fabric: who counts, who waits, and until when."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.decide.admission import Go, Hold, admission_states
from pipeline.decide.escalation import escalate
from pipeline.decide.fabric import reach
from pipeline.decide.guards import GuardSettings
from pipeline.decide.succession import heir
from pipeline.model.fault import NodeFault, NvLink5
from pipeline.model.guard import Guard, GuardState, Verdict
from pipeline.model.node import Node
from pipeline.model.plan import Action, Cordon, Drain, EnableWarmStandby, Offline
from pipeline.model.rescue import CancelReason, HoldReason, Member, Rescue, Status, StepState
from tests.fakes.asking import answer, ask, begun, done, node, over, states
from tests.fakes.faults import NOON, fault, node_fault, plan, rescue

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
WINDOW = 2 * MINUTE
CLIQUE = "nvidia.com/gpu.clique"
NAMES = [f"gpu-{number}" for number in range(1, 7)]
THREE = {"fabric": {"nodes": 3}}


def of(name: str, after: timedelta = timedelta(0), code: int = 74, on: str | None = None, **given: Any) -> Rescue:
    """A rescue of a node for a fault that was first seen so long after noon."""
    cause = node_fault(code, on or name, NOON + after, **given)
    return rescue(f"r-{name}", on or name, NOON + max(after, timedelta(0)), cause=cause)


def domain(*names: str, clique: str = "a.1") -> dict[str, Node]:
    """These nodes in one NVLink domain."""
    return {name: node(name, labels={CLIQUE: clique}) for name in names}


ALL = domain(*NAMES)
NEW = of("gpu-1")
FIRST = done(1, NEW)
"""Its node is cordoned: what is asked for is the drain."""
OTHERS = [of("gpu-2", 30 * SECOND), of("gpu-3", MINUTE)]


def held(
    one: Rescue, others: Iterable[Rescue], nodes: dict[str, Node] | None = None, after: timedelta = WINDOW, **given: Any
) -> str:
    return answer(ask(one, others, ALL if nodes is None else nodes, NOON + after, **{**THREE, **given}))


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param(OTHERS, HoldReason.FABRIC_INCIDENT, id="three of three"),
        pytest.param(OTHERS[:1], "go", id="two of three"),
        pytest.param([], "go", id="one alone"),
        pytest.param([*OTHERS, of("gpu-4", MINUTE)], HoldReason.FABRIC_INCIDENT, id="more than three"),
        pytest.param([OTHERS[0], of("gpu-3", WINDOW)], HoldReason.FABRIC_INCIDENT, id="as late as the window allows"),
        pytest.param([OTHERS[0], of("gpu-3", WINDOW + MICROSECOND)], "go", id="later than that"),
        pytest.param([OTHERS[0], of("gpu-3", -WINDOW)], HoldReason.FABRIC_INCIDENT, id="as early as it allows"),
        pytest.param([OTHERS[0], of("gpu-3", -WINDOW - MICROSECOND)], "go", id="earlier than that"),
        pytest.param([OTHERS[0], of("gpu-3", MINUTE, code=79)], "go", id="another code"),
        pytest.param(
            [OTHERS[0], of("gpu-3", MINUTE, fault=fault(74, kind="sxid"))], "go", id="the same number of another kind"
        ),
        pytest.param([OTHERS[0], of("gpu-2b", MINUTE, on="gpu-2")], "go", id="two rescues of one node"),
        pytest.param([OTHERS[0], of("gpu-9", MINUTE)], "go", id="a node without the label"),
        pytest.param(
            [OTHERS[0], of("gpu-9", MINUTE, labels={CLIQUE: "a.1"})],
            HoldReason.FABRIC_INCIDENT,
            id="a node that has left the cache is known by the labels it had",
        ),
        pytest.param(
            [replace(begun(one), status=Status.RUNNING) for one in OTHERS], HoldReason.FABRIC_INCIDENT, id="under way"
        ),
        pytest.param([replace(one, status=Status.HELD) for one in OTHERS], HoldReason.FABRIC_INCIDENT, id="held"),
        pytest.param([over(done(4, one)) for one in OTHERS], HoldReason.FABRIC_INCIDENT, id="done already"),
        pytest.param(
            [over(done(1, replace(one, plan=plan(Cordon()), steps=one.steps[:1]))) for one in OTHERS],
            HoldReason.FABRIC_INCIDENT,
            id="cordoned, which was all that they asked for",
        ),
        pytest.param([over(one, Status.FAILED) for one in OTHERS], HoldReason.FABRIC_INCIDENT, id="failed"),
        pytest.param(
            [over(one, Status.CANCELLED, reason=CancelReason.FOLDED) for one in OTHERS],
            HoldReason.FABRIC_INCIDENT,
            id="folded into one for another fault",
        ),
        pytest.param(
            [over(one, Status.CANCELLED, reason=CancelReason.STALE) for one in OTHERS],
            HoldReason.FABRIC_INCIDENT,
            id="given up",
        ),
        pytest.param([replace(one, dry_run=True) for one in OTHERS], "go", id="only rehearsed"),
    ],
)
def test_the_same_fault_on_three_nodes_of_a_fabric(others: list[Rescue], expected: str) -> None:
    assert held(FIRST, others) == expected


LEADER = of("gpu-1", -MINUTE, code=63)
FOLDED = over(of("gpu-1b", on="gpu-1"), Status.CANCELLED, reason=CancelReason.FOLDED)


@pytest.mark.parametrize(
    ("folded", "others", "expected"),
    [
        pytest.param((FOLDED.name,), OTHERS, HoldReason.FABRIC_INCIDENT, id="it was folded into it"),
        pytest.param(("gone", FOLDED.name), OTHERS, HoldReason.FABRIC_INCIDENT, id="beside one that is not kept"),
        pytest.param((), OTHERS, "go", id="it was not folded into it"),
        pytest.param((FOLDED.name,), OTHERS[:1], "go", id="on too few nodes"),
    ],
)
def test_a_fault_that_was_folded_in_counts_as_its_own(
    folded: tuple[str, ...], others: list[Rescue], expected: str
) -> None:
    """Else a rescue for another fault, a moment older, would reboot a node of the fabric for all of them."""
    assert held(done(1, replace(LEADER, folded=folded)), [FOLDED, *others]) == expected


def test_of_one_fault_seen_twice_on_the_node_the_earlier_time_counts() -> None:
    leader = done(1, replace(of("gpu-1", 2 * WINDOW), folded=(FOLDED.name,)))
    late = over(of("gpu-1b", 3 * WINDOW, on="gpu-1"), Status.CANCELLED, reason=CancelReason.FOLDED)
    assert held(leader, [FOLDED, *OTHERS], after=2 * WINDOW) == HoldReason.FABRIC_INCIDENT
    assert held(replace(FIRST, folded=(late.name,)), [late, *OTHERS]) == HoldReason.FABRIC_INCIDENT


def nvlink(name: str, subcode: str) -> Rescue:
    return of(name, fault=fault(149, nvlink5=NvLink5(subcode, True, False, False, 1, None, None)))


@pytest.mark.parametrize(
    ("subcode", "expected"),
    [
        pytest.param("NETIR", HoldReason.FABRIC_INCIDENT, id="the same sub-code"),
        pytest.param("RLW_CTRL", "go", id="another one"),
    ],
)
def test_a_sub_code_makes_another_fault(subcode: str, expected: str) -> None:
    others = [nvlink("gpu-2", "NETIR"), nvlink("gpu-3", subcode)]
    assert held(done(1, nvlink("gpu-1", "NETIR")), others) == expected


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        pytest.param({**domain("gpu-1", "gpu-2"), **domain("gpu-3", clique="b.1")}, "go", id="in another domain"),
        pytest.param(domain("gpu-2", "gpu-3") | {"gpu-1": node()}, "go", id="this one in none"),
        pytest.param(domain("gpu-1", "gpu-2", "gpu-3", clique=""), "go", id="a label without a value"),
    ],
)
def test_nodes_that_share_nothing(nodes: dict[str, Node], expected: str) -> None:
    assert held(FIRST, OTHERS, nodes) == expected


def test_any_of_the_labels_makes_an_incident() -> None:
    nodes = {name: node(name, labels={"zone": name, "switch": "s7"}) for name in NAMES}
    settings = {"nodes": 3, "labels": ["zone", CLIQUE, "switch"]}
    assert held(FIRST, OTHERS, nodes, fabric=settings) == HoldReason.FABRIC_INCIDENT
    assert held(FIRST, OTHERS, nodes, fabric={"nodes": 3}) == "go"
    assert held(FIRST, OTHERS, nodes, fabric={"nodes": 3, "labels": []}) == "go"


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(NEW, "go", id="not before its cordon"),
        pytest.param(done(1, NEW), HoldReason.FABRIC_INCIDENT, id="before its drain"),
        pytest.param(done(2, NEW), HoldReason.FABRIC_INCIDENT, id="before its reboot"),
        pytest.param(done(3, NEW), "go", id="but not before its unCordon"),
    ],
)
def test_it_waits_from_the_cordon_to_the_reboot(one: Rescue, expected: str) -> None:
    assert held(one, OTHERS) == expected


@pytest.mark.parametrize("action", [EnableWarmStandby(), Drain(), Offline()], ids=lambda action: str(action.name))
def test_whatever_comes_after_the_cordon_waits(action: Action) -> None:
    """Offline is not a mere cordon: only a person takes its label and its taint off again."""
    planned = rescue("r-gpu-1", cause=NEW.cause, plan=plan(Cordon(), action))
    assert held(planned, OTHERS) == "go"
    assert held(done(1, planned), OTHERS) == HoldReason.FABRIC_INCIDENT


@pytest.mark.parametrize("actions", [(), (Cordon(),)], ids=["with more to come", "as all that is asked for"])
def test_a_cordon_goes_on_and_says_that_it_is_one_of_many(actions: tuple[Action, ...]) -> None:
    one = rescue("r-gpu-1", cause=NEW.cause, plan=plan(*actions))
    found = ask(one, OTHERS, ALL, NOON + WINDOW, **THREE)
    assert isinstance(found, Go)
    (told,) = (state for state in found.guards if state.guard is Guard.FABRIC)
    assert told == GuardState(
        Guard.FABRIC,
        Verdict.PASSED,
        "xid 74 came up on 3 nodes with nvidia.com/gpu.clique=a.1 within 2min, first in rescue r-gpu-1: "
        "a fault of the fabric, only the cordon goes on (fabric)",
    )


def test_the_breaker_holds_the_cordon_as_any_other_which_is_told_beside_the_incident() -> None:
    others = [begun(one) for one in OTHERS]
    assert held(NEW, others, max_nodes=2) == HoldReason.MAX_NODES
    told = states(NEW, others, ALL, NOON + WINDOW, **THREE, max_nodes=2)[Guard.FABRIC].told
    assert told.endswith("a fault of the fabric, only the cordon goes on (fabric)")


def test_a_stronger_plan_that_it_takes_over_waits_with_it() -> None:
    stronger = of("gpu-1b", MINUTE, code=79, on="gpu-1")
    waiting = replace(FIRST, plan=plan(Cordon(), Drain()), steps=FIRST.steps[:2], status=Status.HELD)
    assert held(stronger, [waiting, *OTHERS]) == f"fold into {waiting.name}"
    after = escalate(waiting, stronger, NOON + WINDOW)
    assert [action.name for action in after.plan.actions] == ["cordon", "drain", "reboot"]
    assert held(after, OTHERS) == HoldReason.FABRIC_INCIDENT


def test_one_that_waits_for_its_node_begins_before_another_one_gives_it_back() -> None:
    """Else the node would be schedulable for a moment, and cordoned again."""
    leaving = begun(rescue("leaving", now=NOON - HOUR), 4)
    waiting = replace(NEW, status=Status.HELD, reason=HoldReason.NODE_BUSY)
    found = heir(leaving, [leaving, waiting, *OTHERS], ALL, NOON + WINDOW, GuardSettings.model_validate(THREE))
    assert found is not None
    assert found.name == waiting.name


def test_one_that_has_rebooted_waits_no_longer() -> None:
    memo = {"rebooted_at": (NOON + MINUTE).isoformat()}
    again = done(2, FIRST).with_step(2, StepState(Status.SUCCEEDED, NOON, NOON + MINUTE, memo=memo))
    asked = admission_states(again, [again, *OTHERS], ALL, NOON + WINDOW, GuardSettings.model_validate(THREE))
    assert {state.guard: state.told for state in asked}[Guard.FABRIC] == "the node has rebooted"


@pytest.mark.parametrize(
    ("one", "after", "expected"),
    [
        pytest.param(FIRST, 2 * HOUR, HoldReason.FABRIC_INCIDENT, id="as long as it may be held"),
        pytest.param(FIRST, 2 * HOUR + MICROSECOND, CancelReason.STALE, id="then it is given up, and does not go on"),
        pytest.param(NEW, 2 * HOUR, "go", id="a cordon that something else held so long"),
        pytest.param(NEW, 2 * HOUR + MICROSECOND, CancelReason.STALE, id="which comes too late then"),
        pytest.param(
            replace(FIRST, last_seen=NOON + HOUR),
            3 * HOUR,
            HoldReason.FABRIC_INCIDENT,
            id="a fault that was seen again is waited for longer",
        ),
    ],
)
def test_nobody_waits_for_ever(one: Rescue, after: timedelta, expected: str) -> None:
    assert held(one, OTHERS, after=after) == expected


def test_the_members_do_not_let_each_other_go_as_they_are_given_up() -> None:
    """The last ones, whose fault was seen a little later, are held until their own time has come."""
    given_up = [over(one, Status.CANCELLED, reason=CancelReason.STALE) for one in (FIRST, OTHERS[0])]
    last = done(1, OTHERS[1])
    assert held(last, given_up, after=2 * HOUR + MINUTE) == HoldReason.FABRIC_INCIDENT
    assert held(last, given_up, after=2 * HOUR + MINUTE + MICROSECOND) == CancelReason.STALE


def member(name: str, found: NodeFault, after: timedelta = timedelta(0)) -> Member:
    return Member(name, found, 1, NOON + after, NOON + after)


NO_RESCUE = replace(node_fault(45), meaning=replace(node_fault(45).meaning, rescue=False))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param([member("m", node_fault(74))], HoldReason.FABRIC_INCIDENT, id="with the fault among others"),
        pytest.param([member("m", node_fault(74), WINDOW)], HoldReason.FABRIC_INCIDENT, id="as late as may be"),
        pytest.param([member("m", node_fault(74), WINDOW + SECOND)], "go", id="that had it too late"),
        pytest.param(
            [member("m", node_fault(74), WINDOW + SECOND), member("n", node_fault(74), WINDOW)],
            HoldReason.FABRIC_INCIDENT,
            id="that had it in time on another GPU",
        ),
        pytest.param([member("m", node_fault(63))], "go", id="with another fault among others"),
    ],
)
def test_an_incident_is_known_by_all_of_its_faults(members: list[Member], expected: str) -> None:
    worse = replace(of("gpu-3", code=79), members=tuple(members))
    assert held(FIRST, [OTHERS[0], worse]) == expected


def test_what_asks_for_no_rescue_makes_no_incident() -> None:
    """One job that ends shows as Xid 45 on every node that it ran on, whatever each of them is rescued for."""
    each = [
        replace(of(name, code=code), members=(member("m", NO_RESCUE),))
        for name, code in (("gpu-1", 79), ("gpu-2", 48), ("gpu-3", 95))
    ]
    assert held(done(1, each[0]), each[1:]) == "go"


def test_a_fault_that_only_a_policy_names_counts_as_the_cause_does() -> None:
    named = [replace(of(name, code=45), cause=replace(NO_RESCUE, node=name)) for name in NAMES[:3]]
    named = [replace(one, members=(member("m", one.cause),)) for one in named]
    assert held(done(1, named[0]), named[1:]) == HoldReason.FABRIC_INCIDENT


def test_who_waits_is_told_of_the_whole_incident() -> None:
    others = [*OTHERS, of("gpu-2b", on="gpu-2"), of("gpu-4", -MINUTE)]
    found = ask(FIRST, others, ALL, NOON + WINDOW)
    assert found == Hold(
        HoldReason.FABRIC_INCIDENT,
        "gpu-1: xid 74 came up on 4 nodes with nvidia.com/gpu.clique=a.1 within 2min, first in rescue r-gpu-1: "
        "a fault of the fabric, which no reboot mends, waits for a person (fabric)",
    )
    assert isinstance(found, Hold)
    assert found.details == {"fault": "xid 74", "label": CLIQUE, "group": "a.1", "nodes": 4, "first": "r-gpu-1"}


def test_every_member_names_the_one_that_came_first() -> None:
    early = replace(OTHERS[1], created=NOON - SECOND)
    for one in (FIRST, OTHERS[0], early):
        found = ask(done(1, one), [FIRST, OTHERS[0], early], ALL, NOON + WINDOW, **THREE)
        assert isinstance(found, Hold)
        assert found.details["first"] == early.name


def test_a_sub_code_is_named() -> None:
    each = [nvlink(name, "NETIR") for name in NAMES[:3]]
    found = ask(done(1, each[0]), each[1:], ALL, NOON, **THREE)
    assert isinstance(found, Hold)
    assert found.message.startswith("gpu-1: xid 149 NETIR came up on 3 nodes with ")


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(FIRST, NOON - WINDOW, id="the fault of now"),
        pytest.param(of("gpu-1", -MINUTE), NOON - MINUTE - WINDOW, id="a fault of before"),
        pytest.param(of("gpu-1", MINUTE), NOON + MINUTE - WINDOW, id="a fault of later"),
        pytest.param(replace(of("gpu-1", MINUTE), created=NOON), NOON - WINDOW, id="a fault ahead of the clock"),
        pytest.param(
            replace(FIRST, members=(member("m", node_fault(74)), member("n", node_fault(63), -HOUR))),
            NOON - HOUR - WINDOW,
            id="the earliest of several faults",
        ),
        pytest.param(
            replace(FIRST, members=(member("m", node_fault(74), -HOUR), member("n", node_fault(74)))),
            NOON - HOUR - WINDOW,
            id="the same fault on two GPUs, the later one told last",
        ),
    ],
)
def test_how_far_back_others_are_asked_for(one: Rescue, expected: Any) -> None:
    assert reach(one, (), WINDOW) == expected


def test_others_are_asked_for_as_far_back_as_what_was_folded_into_it() -> None:
    folded, other = of("gpu-1b", -HOUR, on="gpu-1"), of("gpu-1c", -2 * HOUR, on="gpu-1")
    assert reach(replace(FIRST, folded=(folded.name,)), [FIRST, folded, other], WINDOW) == NOON - HOUR - WINDOW


def test_a_held_member_is_out_of_service_only_if_it_has_begun() -> None:
    waiting = replace(of("gpu-2"), status=Status.HELD)
    assert held(NEW, [waiting], max_nodes=1) == "go"
    assert held(NEW, [begun(waiting)], max_nodes=1) == HoldReason.MAX_NODES


def test_a_fault_that_was_seen_too_long_ago_says_so() -> None:
    told = states(FIRST, OTHERS, ALL, NOON + 3 * HOUR, **THREE)[Guard.FABRIC].told
    assert told == (
        "xid 74 came up on 3 nodes with nvidia.com/gpu.clique=a.1 within 2min, nobody has come, and the fault was last "
        "seen longer ago than 2h (max_hold): the node is left as it is to a person"
    )
