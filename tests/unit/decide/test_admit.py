"""Whether a rescue may go on: one row per answer, with its exact edge."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.decide.admission import Admission, Cancel, Fold, Go, Hold, admit
from pipeline.decide.guards import GuardSettings
from pipeline.model.guard import Guard, Verdict
from pipeline.model.node import Node
from pipeline.model.ownership import CORDONED_BY, IGNORE, OFFLINE
from pipeline.model.plan import Action, Cordon, Drain, Offline
from pipeline.model.rescue import CancelReason, FailReason, HoldReason, Rescue, Status
from tests.fakes.asking import answer, ask, begun, cluster, cordoned, done, node, over, rebooted, states
from tests.fakes.faults import NOON, fault, line, node_fault, plan, rescue

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
MAX_AGE = 10 * MINUTE
HOUR = timedelta(hours=1)


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


def read_late(boot: str | None = None, last: timedelta = timedelta(0), of_line: str | None = None) -> Rescue:
    """A rescue for a fault of noon; without a boot id its node was not Ready when it was read."""
    return replace(of_boot(boot, of_line), last_seen=NOON + last)


EARLIER = rescue("earlier", now=NOON - HOUR)
UP = node(boot_id="b", booted_at=NOON - MINUTE)


@pytest.mark.parametrize(
    ("one", "earlier", "there", "expected"),
    [
        pytest.param(
            read_late(), over(rebooted(EARLIER, NOON)), UP, CancelReason.OLDER_THAN_RESCUE, id="in the moment of it"
        ),
        pytest.param(read_late(), over(rebooted(EARLIER, NOON - MICROSECOND)), UP, "go", id="after it"),
        pytest.param(
            read_late(last=MICROSECOND), over(rebooted(EARLIER, NOON)), UP, "go", id="before it, and again after it"
        ),
        pytest.param(
            read_late(),
            begun(rebooted(EARLIER, NOON), 3),
            UP,
            HoldReason.NODE_BUSY,
            id="before one that is not proven yet",
        ),
        pytest.param(
            read_late(), rebooted(EARLIER, NOON), UP, CancelReason.OLDER_THAN_RESCUE, id="of a rescue that goes on"
        ),
        pytest.param(
            read_late(), over(rebooted(rescue("other", "gpu-2"), NOON)), UP, "go", id="before that of another node"
        ),
        pytest.param(
            read_late(), replace(over(rebooted(EARLIER, NOON)), dry_run=True), UP, "go", id="before a rehearsed one"
        ),
        pytest.param(begun(read_late()), over(rebooted(EARLIER, NOON)), UP, "go", id="though it has begun"),
        pytest.param(
            read_late("b"), over(rebooted(EARLIER, NOON)), UP, "go", id="but known to be of the boot that was proven"
        ),
        pytest.param(
            read_late("b"),
            over(rebooted(EARLIER, NOON)),
            node(boot_id="b"),
            CancelReason.OLDER_THAN_RESCUE,
            id="read in that boot, nobody knows how late",
        ),
        pytest.param(
            read_late(None, of_line="B"), over(rebooted(EARLIER, NOON)), node(boot_id="b"), "go", id="by its line"
        ),
    ],
)
def test_a_fault_of_before_the_reboot_of_an_earlier_rescue(
    one: Rescue, earlier: Rescue, there: Node, expected: str
) -> None:
    """It was read while the node was not Ready, and had to wait for that rescue."""
    assert answer(ask(one, [earlier], cluster(there))) == expected


def test_the_newest_of_several_reboots_counts() -> None:
    reboots = [over(rebooted(rescue(name, now=NOON - HOUR), NOON + at)) for name, at in (
        ("a", -MINUTE), ("b", SECOND), ("c", -SECOND))]  # fmt: skip
    assert ask(read_late(), reboots) == Cancel(
        CancelReason.OLDER_THAN_RESCUE,
        "gpu-1: the fault was not seen later than 2026-11-20T12:00:01+00:00, when the node was first seen in the boot "
        "that rescue b had led to",
    )
    told = {last: states(read_late(last=last), reboots)[Guard.LAST_RESCUE].told for last in (SECOND, 2 * SECOND)}
    assert told[2 * SECOND] == (
        "the fault was seen later than 2026-11-20T12:00:01+00:00, when the node was first seen in the boot that rescue "
        "b had led to"
    )
    assert told[SECOND].startswith("the fault was not seen later than")
    known = states(read_late("b"), reboots, cluster(UP))[Guard.LAST_RESCUE]
    assert known.told == "the fault is known to be of the boot in which the node is"


def test_a_rescue_for_a_fault_of_before_the_last_reboot_leads_nobody() -> None:
    """Else a fault of this boot would fold into it, and be given up with it."""
    doomed = rescue("doomed", now=NOON - SECOND, cause=node_fault(time=NOON - SECOND))
    cured = over(rebooted(EARLIER, NOON - SECOND))
    assert answer(ask(rescue(), [doomed, cured])) == "go"
    assert answer(ask(doomed, [rescue(), cured])) == CancelReason.OLDER_THAN_RESCUE


def test_a_fault_of_another_boot_waits_until_the_rescue_of_the_first_has_ended() -> None:
    """Folded, it would be lost: a node that somebody has rebooted meanwhile is not rebooted by the first one again."""
    leader, panicked = begun(replace(EARLIER, cause=of_boot("a").cause, members=of_boot("a").members), 2), UP
    held = ask(of_boot("b"), [leader], cluster(panicked))
    assert held == Hold(HoldReason.NODE_BUSY, "gpu-1: rescue earlier is under way, for a fault of another boot")
    assert answer(ask(of_boot("a"), [leader], cluster(node(boot_id="a")))) == "fold into earlier"
    assert answer(ask(of_boot(None), [leader], cluster(panicked))) == "fold into earlier"
    assert ask(of_boot("b"), [over(rebooted(leader, NOON))], cluster(panicked)) == Go()


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


def test_a_rescue_that_has_begun_was_taken_over_by_nobody() -> None:
    """Another process had begun it before the end of it was saved; given up now, its cordon would be forgotten."""
    leader = replace(rescue("z", now=NOON + SECOND), folded=(rescue().name,))
    for one in (leader, over(leader)):
        assert ask(begun(rescue()), [one]) == Go()
    assert ask(leader, [begun(rescue())]) == Fold(rescue().name)


def test_a_rescue_was_not_taken_over_by_itself() -> None:
    one = replace(rescue(), folded=(rescue().name,))
    assert ask(one) == Go()


def test_a_rescue_that_was_taken_over_waits_for_no_node() -> None:
    leader = replace(begun(OLD), folded=("gpu-1-xid-79-abc",))
    assert ask(rescue(), [leader], nodes={}) == Fold("old")


def test_a_rescue_that_was_taken_over_stays_so_however_far_the_other_one_is() -> None:
    """A crash between the taking over and the end of the second one must not lead to a second reboot."""
    leader = replace(begun(OLD, 3), folded=("gpu-1-xid-79-abc",))
    assert ask(rescue(), [leader]) == Fold("old")


IGNORED = {IGNORE: "true"}
OURS = {**IGNORED, CORDONED_BY: rescue().name}


@pytest.mark.parametrize(
    ("one", "there", "expected"),
    [
        pytest.param(rescue(), node(annotations=IGNORED), CancelReason.OPTED_OUT, id="nothing begins on it"),
        pytest.param(done(1), node(annotations=IGNORED), CancelReason.OPTED_OUT, id="no drain after the cordon"),
        pytest.param(done(2), node(annotations=IGNORED), CancelReason.OPTED_OUT, id="no reboot after the drain"),
        pytest.param(done(3), node(annotations=IGNORED), "go", id="but the unCordon after the reboot"),
        pytest.param(rescue(), node(annotations={IGNORE: ""}), CancelReason.OPTED_OUT, id="whatever it says"),
        pytest.param(rescue(), node(annotations={IGNORE: "false"}), "go", id="unless it says that it is not meant"),
        pytest.param(
            rescue(), node(annotations=IGNORED, labels={OFFLINE: "true"}), CancelReason.NODE_OFFLINE, id="out for good"
        ),
        pytest.param(
            of_boot(), node(annotations=IGNORED, boot_id="b"), CancelReason.OPTED_OUT, id="and rebooted since"
        ),
    ],
)
def test_a_node_that_was_opted_out(one: Rescue, there: Node, expected: str) -> None:
    assert answer(ask(one, nodes=cluster(there))) == expected


def test_a_rescue_that_was_opted_out_leads_nobody() -> None:
    nodes = cluster(node(annotations=IGNORED))
    assert answer(ask(rescue(), [OLD], nodes)) == CancelReason.OPTED_OUT


@pytest.mark.parametrize(
    ("one", "there", "message"),
    [
        pytest.param(rescue(), node(annotations=OURS), "", id="nothing was done"),
        pytest.param(
            done(1),
            node(annotations=OURS, unschedulable=True),
            " any more; it is left as it is after cordon, cordoned by our hand: kubectl uncordon gpu-1 makes it "
            "schedulable",
            id="a cordon of ours",
        ),
        pytest.param(
            done(2),
            node(annotations=IGNORED, unschedulable=True),
            " any more; it is left as it is after cordon, drain",
            id="a cordon of another hand",
        ),
        pytest.param(
            done(1), node(annotations=OURS), " any more; it is left as it is after cordon", id="uncordoned since"
        ),
    ],
)
def test_who_opts_out_is_told_what_is_left(one: Rescue, there: Node, message: str) -> None:
    cancelled = ask(one, nodes=cluster(there))
    told = "gpu-1: somebody has opted the node out (annotation rescue.ksyun.com/ignore): nothing is done to it"
    assert cancelled == Cancel(CancelReason.OPTED_OUT, told + message)


AT_UNCORDON = done(3)


@pytest.mark.parametrize(
    ("others", "nodes", "settings"),
    [
        pytest.param([], cluster(cordoned("gpu-2")), {"max_nodes": 0}, id="by the breaker"),
        pytest.param([begun(OLD, 3)], cluster(), {}, id="by another rescue of the node"),
        pytest.param([replace(begun(OLD), folded=(AT_UNCORDON.name,))], cluster(), {}, id="by one that took it over"),
        pytest.param([], {}, {}, id="by a node that has left the cache"),
        pytest.param([], cluster(node(labels=OFF)), {}, id="by a node that is out for good"),
        pytest.param([], cluster(node(annotations=IGNORED)), {}, id="by a node that was opted out"),
        pytest.param([], cluster(), {"windows": {"deny": [{}]}}, id="by a window"),
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


def test_a_rescue_that_was_over_before_the_one_that_failed_shows_nothing() -> None:
    between = over(done(1, rescue("between", now=NOON - 30 * MINUTE, plan=plan(Cordon()))), ago=20 * MINUTE)
    for earlier in ([between, unproven()], [unproven(), between]):
        assert answer(ask(rescue(), earlier, cluster(cordoned("gpu-1")))) == HoldReason.NODE_FAILED


def test_a_rescue_that_never_began_shows_nothing() -> None:
    later = over(rescue("later", now=NOON - 2 * MINUTE), Status.CANCELLED, MINUTE, CancelReason.STALE)
    assert answer(ask(rescue(), [later, unproven()], cluster(cordoned("gpu-1")))) == HoldReason.NODE_FAILED


def test_a_rescue_that_has_begun_is_not_stopped_by_one_that_has_failed() -> None:
    assert ask(begun(rescue()), [unproven()], cluster(cordoned("gpu-1"))) == Go()


def test_it_waits_for_a_person_even_while_the_breaker_is_open() -> None:
    assert answer(ask(rescue(), [unproven()], cluster(cordoned("gpu-1")), max_nodes=0)) == HoldReason.NODE_FAILED


def test_a_rescue_folds_even_while_the_breaker_is_open() -> None:
    assert answer(ask(rescue(), [OLD], cluster(cordoned("gpu-2")), max_nodes=1)) == "fold into old"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param(lambda: ask(rescue(), nodes={}), "gpu-1: the cluster has no node of this name", id="no node"),
        pytest.param(
            lambda: ask(rescue(), nodes={}, now=NOON + HOUR),
            "gpu-1: the cluster has no node of this name, and the fault counts no longer: it is 1h old, more than "
            "10min (max_age)",
            id="no node for too long",
        ),
        pytest.param(
            lambda: ask(rescue(), now=NOON + 3 * HOUR),
            "gpu-1: the fault counts no longer: it was last seen 3h ago, more than 2h (max_hold)",
            id="held for too long",
        ),
        pytest.param(
            lambda: ask(rescue(), nodes=cluster(node(labels=OFF))),
            "gpu-1: the node was taken out for good, and only a person brings it back",
            id="a node that is out for good",
        ),
        pytest.param(
            lambda: ask(rescue(), [replace(over(OLD), folded=(rescue().name,))]),
            "gpu-1: rescue old had taken it over, and has ended",
            id="taken over long ago",
        ),
        pytest.param(
            lambda: ask(rescue(), [begun(OLD, 3)]),
            "gpu-1: rescue old is under way, too far to take this one over",
            id="a busy node",
        ),
        pytest.param(
            lambda: ask(of_boot(), nodes=cluster(node(boot_id="b"))),
            "gpu-1: the fault is older than the node's boot: the node gpu-1 was in boot a then and is in boot b now",
            id="another boot",
        ),
    ],
)
def test_the_message_says_what_it_waits_for(asked: Callable[[], Admission], message: str) -> None:
    admission = asked()
    assert isinstance(admission, Hold | Cancel)
    assert admission.message == message


# Every guard answers for itself.


QUIET = {
    Guard.TAKEN_OVER: "no other rescue has taken this one over",
    Guard.NODE: "the cluster has the node, and it was not taken out for good",
    Guard.OPT_OUT: "nobody has opted the node out",
    Guard.BOOT: "nothing says that the node has rebooted since the fault",
    Guard.LAST_RESCUE: "no rescue that is known has rebooted the node",
    Guard.AGE: "it was last seen 0s ago, at most 2h (max_hold)",
    Guard.FOREIGN_CORDON: "no other hand has cordoned the node",
    Guard.ONE_PER_NODE: "no other rescue acts on the node",
    Guard.FAILED_REBOOT: "no failed reboot has left the node for a person",
    Guard.FABRIC: "the same fault is not on 4 nodes of one fabric (fabric)",
    Guard.COOL_DOWN: "the next step is no reboot, which alone has to wait after a reboot",
    Guard.WINDOWS: "cordon disturbs no running job, and waits for no maintenance window",
    Guard.BREAKER: "no other node is out of service by our hand, at most 5 may be (max_nodes)",
    Guard.GROUP_BREAKER: "the node is in no group (groups)",
}
BEGUN = "the rescue has begun, and is brought to its end"


def test_every_guard_tells_in_order_why_it_lets_a_rescue_go() -> None:
    asked = states(rescue())
    assert [(state.guard, state.told) for state in asked.values()] == list(QUIET.items())
    assert {state.verdict for state in asked.values()} == {Verdict.PASSED}


def test_what_lets_a_rescue_go_says_so_with_it() -> None:
    went = ask(rescue())
    assert isinstance(went, Go)
    assert list(went.guards) == list(states(rescue()).values())
    assert ask(AT_UNCORDON) == Go(())


def test_a_rescue_that_has_begun_is_asked_only_what_concerns_it_still() -> None:
    told = {guard: state.told for guard, state in states(done(1), nodes={}).items()}
    assert {told[guard] for guard in (Guard.NODE, Guard.BOOT, Guard.LAST_RESCUE, Guard.AGE)} == {BEGUN}
    assert told[Guard.TAKEN_OVER] == "the rescue has begun itself"
    assert told[Guard.FAILED_REBOOT] == "the rescue has begun since"
    assert told[Guard.BREAKER] == told[Guard.GROUP_BREAKER] == "the rescue has begun: its node counts already"


def test_what_is_not_known_is_told_as_such() -> None:
    told = {guard: state.told for guard, state in states(rescue(), nodes={}).items()}
    assert told[Guard.BOOT] == "nothing is known of the node's boot"
    assert told[Guard.FAILED_REBOOT] == QUIET[Guard.FAILED_REBOOT]
    assert told[Guard.GROUP_BREAKER] == QUIET[Guard.GROUP_BREAKER]
    not_ready = states(of_boot(None, "b"), nodes=cluster(node(boot_id="a", ready=False)))
    assert not_ready[Guard.BOOT].told == "nothing is known of the node's boot"


@pytest.mark.parametrize(
    ("one", "others", "nodes", "guard", "verdict", "told"),
    [
        pytest.param(
            rescue(),
            [replace(begun(OLD), folded=(rescue().name,))],
            cluster(),
            Guard.TAKEN_OVER,
            Verdict.FOLDS,
            "rescue old is under way on the node and takes this one over",
            id="taken over",
        ),
        pytest.param(
            rescue(),
            [OLD],
            cluster(),
            Guard.ONE_PER_NODE,
            Verdict.FOLDS,
            "rescue old is under way on the node and takes this one over",
            id="folds",
        ),
        pytest.param(
            rescue(),
            [],
            {},
            Guard.NODE,
            Verdict.HOLDS,
            "the cluster has no node of this name",
            id="a node that is not there",
        ),
        pytest.param(
            rescue(),
            [],
            cluster(node(labels=OFF)),
            Guard.NODE,
            Verdict.CANCELS,
            "the node was taken out for good, and only a person brings it back",
            id="a node that is out",
        ),
    ],
)
def test_a_guard_tells_what_follows(
    one: Rescue, others: list[Rescue], nodes: dict[str, Node], guard: Guard, verdict: Verdict, told: str
) -> None:
    state = states(one, others, nodes)[guard]
    assert (state.verdict, state.told) == (verdict, told)


def test_the_first_guard_that_has_something_against_it_decides() -> None:
    found = states(rescue(), [unproven()], cluster(cordoned("gpu-1")), max_nodes=0)
    against = [guard for guard, state in found.items() if state.verdict is not Verdict.PASSED]
    assert against == [Guard.FAILED_REBOOT, Guard.BREAKER]
    assert answer(ask(rescue(), [unproven()], cluster(cordoned("gpu-1")), max_nodes=0)) == HoldReason.NODE_FAILED


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(OLD, id="an older one of the node"),
        pytest.param(replace(begun(OLD), folded=(rescue().name,)), id="one that has taken it over"),
        pytest.param(unproven(), id="one whose reboot failed"),
        pytest.param(begun(rescue("b", "gpu-2")), id="one that works on another node"),
    ],
)
def test_a_rehearsal_bears_on_rehearsals_alone(other: Rescue) -> None:
    nodes = cluster(node(unschedulable=True))
    dry, rehearsed = replace(rescue(), dry_run=True), replace(other, dry_run=True)
    assert answer(ask(rescue(), [other], nodes, max_nodes=1)) != "go"
    assert answer(ask(rescue(), [rehearsed], nodes, max_nodes=1)) == "go"
    assert answer(ask(dry, [other], nodes, max_nodes=1)) == "go"
    assert answer(ask(dry, [rehearsed], nodes, max_nodes=1)) != "go"


FOREIGN = node(unschedulable=True)


@pytest.mark.parametrize(
    ("one", "there", "setting", "expected"),
    [
        pytest.param(rescue(), FOREIGN, "act", "go", id="acted on, if the settings say so"),
        pytest.param(rescue(), FOREIGN, "hold", HoldReason.FOREIGN_CORDON, id="held, if they say that"),
        pytest.param(rescue(), node(), "hold", "go", id="no cordon is there"),
        pytest.param(rescue(), cordoned("gpu-1"), "hold", "go", id="the cordon is ours"),
        pytest.param(done(1), FOREIGN, "hold", "go", id="the rescue has begun"),
    ],
)
def test_a_node_that_another_hand_has_cordoned_is(one: Rescue, there: Node, setting: str, expected: str) -> None:
    assert answer(ask(one, [], cluster(there), foreign_cordon=setting)) == expected


def test_what_is_told_of_a_foreign_cordon() -> None:
    told = {
        (setting, there.unschedulable): states(rescue(), [], cluster(there), foreign_cordon=setting)[
            Guard.FOREIGN_CORDON
        ].told
        for setting in ("act", "hold")
        for there in (node(), FOREIGN)
    }
    none = "no other hand has cordoned the node"
    assert told == {
        ("act", False): none,
        ("hold", False): none,
        ("act", True): "another hand has cordoned the node, and is not asked (foreign_cordon)",
        ("hold", True): "another hand has cordoned the node, and may be at work on it (foreign_cordon)",
    }
