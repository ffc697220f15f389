"""What no policy may act on: one row per reason, with its exact edge."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.decide.gate import gate, gate_states
from pipeline.decide.guards import ForeignCordon, GuardSettings
from pipeline.decide.rules import UnknownCodes
from pipeline.model.fault import Drill, Lookup, NodeFault, NvLink5, RecoveryAction
from pipeline.model.guard import Guard, Verdict
from pipeline.model.ownership import OFFLINE
from pipeline.model.plan import SkipReason
from pipeline.model.rescue import Rescue, Status, StepState
from tests.fakes.faults import NOON, fault, line, node_fault, rescue

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MAX_AGE = timedelta(minutes=10)
KERNEL_ONLY = GuardSettings(require_kernel=True)
OFF = {OFFLINE: "true"}


def of_line(code: int = 79, from_kernel: bool | None = None, boot_id: str | None = None, **given: Any) -> NodeFault:
    return node_fault(code, fault=fault(code, line=line(from_kernel=from_kernel, boot_id=boot_id), **given))


def injected(value: bool) -> NodeFault:
    return of_line(149, nvlink5=NvLink5("NETIR", True, False, value, 1, None, None))


def verdict(to: int) -> NodeFault:
    return of_line(154, recovery_action=RecoveryAction("a", "b", to))


def at(time: datetime, **given: Any) -> NodeFault:
    return node_fault(time=time, **given)


def reason(found: NodeFault, settings: GuardSettings | None = None, last: Rescue | None = None) -> SkipReason | None:
    skip = gate(found, settings or GuardSettings(), NOON, last)
    return skip.reason if skip else None


def rebooted(seen: datetime, status: Status = Status.SUCCEEDED) -> Rescue:
    """A rescue whose reboot led to a new boot that was first seen at that time."""
    asked = seen - timedelta(minutes=3)
    done = rescue("earlier", now=asked - timedelta(hours=1))
    memo = {"intended_at": asked.isoformat(), "rebooted_at": seen.isoformat()}
    return done.with_step(2, StepState(status, asked, seen + timedelta(minutes=5), memo=memo))


def test_a_fresh_fault_of_a_known_node_is_left_to_the_policies() -> None:
    assert gate(node_fault(), GuardSettings(), NOON, None) is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(at(NOON - MAX_AGE), None, id="as old as may be"),
        pytest.param(at(NOON - MAX_AGE - MICROSECOND), SkipReason.STALE, id="older than may be"),
        pytest.param(at(NOON + MAX_AGE), None, id="as far ahead as may be"),
        pytest.param(at(NOON + MAX_AGE + MICROSECOND), SkipReason.IN_THE_FUTURE, id="further ahead than may be"),
        pytest.param(injected(True), SkipReason.DRILL, id="a drill"),
        pytest.param(injected(False), None, id="an NVLink fault that is no drill"),
        pytest.param(of_line(companion=True), SkipReason.COMPANION, id="a line that goes with another"),
        pytest.param(of_line(45, caused_by_xid=149), SkipReason.CONSEQUENCE, id="a 45 with a cause"),
        pytest.param(of_line(45), None, id="a 45 without a cause"),
        pytest.param(of_line(46, caused_by_xid=149), None, id="another Xid with a cause"),
        pytest.param(of_line(45, caused_by_xid=149, kind="sxid"), None, id="another kind's 45 with a cause"),
        pytest.param(verdict(0), SkipReason.RECOVERED, id="a verdict that asks for nothing"),
        pytest.param(verdict(1), None, id="a verdict that asks for something"),
        pytest.param(node_fault(node="", lookup=Lookup.UNNAMED), SkipReason.NODE_UNNAMED, id="a line without a host"),
        pytest.param(node_fault(lookup=Lookup.AMBIGUOUS), SkipReason.NODE_AMBIGUOUS, id="a host that is two nodes"),
        pytest.param(node_fault(labels=OFF), SkipReason.NODE_OFFLINE, id="a node that was taken out for good"),
        pytest.param(node_fault(opted_out=True), SkipReason.OPTED_OUT, id="a node that somebody has opted out"),
        pytest.param(
            at(NOON - timedelta(days=1), opted_out=True), SkipReason.OPTED_OUT, id="an old line of such a node"
        ),
        pytest.param(node_fault(lookup=Lookup.UNKNOWN), None, id="an unknown node is for policies without labels"),
        pytest.param(node_fault(lookup=Lookup.NOT_READY), None, id="so is one whose cache is not ready"),
        pytest.param(of_line(inferred=True), None, id="an inferred fault alone is a fault"),
        pytest.param(of_line(from_kernel=False), SkipReason.NOT_FROM_KERNEL, id="a line of another program"),
        pytest.param(
            replace(of_line(from_kernel=False), fault=fault(1, kind="daemon", line=line(from_kernel=False))),
            None,
            id="a line of the program that an operator's rule is about",
        ),
        pytest.param(of_line(from_kernel=None), None, id="a line that nobody says is the kernel's, where that may be"),
    ],
)
def test_the_gate_says(found: NodeFault, expected: SkipReason | None) -> None:
    assert reason(found) == expected


@pytest.mark.parametrize(
    ("from_kernel", "expected"),
    [
        pytest.param(True, None, id="the kernel's"),
        pytest.param(False, SkipReason.NOT_FROM_KERNEL, id="another facility's"),
        pytest.param(None, SkipReason.NOT_FROM_KERNEL, id="an envelope that does not tell"),
    ],
)
def test_where_only_the_kernel_counts(from_kernel: bool | None, expected: SkipReason | None) -> None:
    assert reason(of_line(from_kernel=from_kernel), KERNEL_ONLY) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(at(NOON, boot_id="b", booted_at=NOON), None, id="in the moment of the boot"),
        pytest.param(
            at(NOON, boot_id="b", booted_at=NOON + MICROSECOND), SkipReason.OLDER_THAN_BOOT, id="before the boot"
        ),
        pytest.param(at(NOON, booted_at=NOON + MICROSECOND), None, id="a boot that nobody knows"),
        pytest.param(at(NOON, boot_id="b"), None, id="a line that names no boot"),
        pytest.param(replace(of_line(boot_id="b"), boot_id="b"), None, id="a line of this boot"),
        pytest.param(
            replace(of_line(boot_id="a"), boot_id="b"), SkipReason.OLDER_THAN_BOOT, id="a line of another boot"
        ),
        pytest.param(replace(of_line(boot_id="a"), boot_id=None), None, id="a line's boot and none known of the node"),
        pytest.param(
            replace(of_line(boot_id="AB12cd"), boot_id="ab-12-cd"),
            None,
            id="the journal writes boot ids without dashes",
        ),
        pytest.param(
            replace(of_line(boot_id="b"), boot_id="b", booted_at=NOON + SECOND),
            None,
            id="a line of this boot, before the boot was noticed",
        ),
    ],
)
def test_the_gate_looks_at_the_boot(found: NodeFault, expected: SkipReason | None) -> None:
    assert reason(found) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(rebooted(NOON - MICROSECOND), None, id="after its new boot was seen"),
        pytest.param(rebooted(NOON), SkipReason.OLDER_THAN_RESCUE, id="in the moment in which it was seen"),
        pytest.param(rebooted(NOON + MICROSECOND), SkipReason.OLDER_THAN_RESCUE, id="before it was seen"),
        pytest.param(rebooted(NOON + SECOND, Status.FAILED), None, id="a reboot without proof cures nothing"),
        pytest.param(rescue("earlier", now=NOON - SECOND), None, id="a rescue that did not reboot"),
    ],
)
def test_the_gate_looks_at_the_last_rescue(last: Rescue, expected: SkipReason | None) -> None:
    assert reason(node_fault(), last=last) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            replace(injected(True), time=NOON - timedelta(days=1)), SkipReason.DRILL, id="an old drill is a drill"
        ),
        pytest.param(
            replace(of_line(companion=True), lookup=Lookup.AMBIGUOUS),
            SkipReason.COMPANION,
            id="a companion of two nodes",
        ),
        pytest.param(
            at(NOON - timedelta(days=1), node="", lookup=Lookup.UNNAMED),
            SkipReason.NODE_UNNAMED,
            id="an old unnamed line",
        ),
        pytest.param(
            at(NOON - timedelta(days=1), boot_id="b", booted_at=NOON), SkipReason.STALE, id="an old line of an old boot"
        ),
        pytest.param(
            at(NOON - timedelta(days=1), labels=OFF), SkipReason.NODE_OFFLINE, id="an old line of a node that is out"
        ),
        pytest.param(replace(injected(True), labels=OFF), SkipReason.DRILL, id="a drill on a node that is out"),
    ],
)
def test_what_a_line_is_comes_before_when_it_was(found: NodeFault, expected: SkipReason) -> None:
    assert reason(found) == expected


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        pytest.param(
            replace(of_line(from_kernel=True), time=NOON - timedelta(minutes=25)),
            "gpu-1: xid 79 is not acted on: it is 25min old, more than 10min (max_age)",
            id="stale",
        ),
        pytest.param(
            replace(of_line(from_kernel=True), time=NOON + timedelta(hours=8)),
            "gpu-1: xid 79 is not acted on: it is 8h ahead of the clock: a clock or a time zone is wrong",
            id="in the future",
        ),
        pytest.param(
            replace(of_line(from_kernel=True, boot_id="a"), boot_id="b"),
            "gpu-1: xid 79 is not acted on: its line is of boot a, the node gpu-1 is in boot b",
            id="another boot",
        ),
        pytest.param(
            of_line(from_kernel=False),
            "gpu-1: xid 79 is not acted on: its envelope says that another program or a container wrote it",
            id="not from the kernel",
        ),
        pytest.param(
            of_line(from_kernel=None),
            "gpu-1: xid 79 is not acted on: its envelope does not tell whether it came from the kernel "
            "(require_kernel)",
            id="nobody knows from where",
        ),
        pytest.param(
            node_fault(node="", lookup=Lookup.UNNAMED, fault=fault(line=line(from_kernel=True))),
            "unnamed node: xid 79 is not acted on: the line names no node; decode.node, or a source's node, can",
            id="no node",
        ),
        pytest.param(
            replace(of_line(from_kernel=True), labels=OFF),
            "gpu-1: xid 79 is not acted on: the node was taken out for good, and only a person brings it back",
            id="a node that is out",
        ),
    ],
)
def test_a_skip_tells_people_why(found: NodeFault, detail: str) -> None:
    skip = gate(found, KERNEL_ONLY, NOON, None)
    assert skip is not None
    assert skip.detail == detail


def test_a_skip_tells_people_which_rescue_came_in_between() -> None:
    skip = gate(node_fault(), GuardSettings(), NOON, rebooted(NOON + SECOND))
    assert skip is not None
    assert skip.detail == (
        "gpu-1: xid 79 is not acted on: it is not later than 2026-11-20T12:00:01+00:00, "
        "when the node was first seen in the boot that rescue earlier had led to"
    )


def test_the_defaults_are_the_promised_ones() -> None:
    assert GuardSettings().model_dump() == {
        "max_age": "10min",
        "max_hold": "2h",
        "max_nodes": 5,
        "max_percent": 10,
        "groups": (),
        "breaker_window": "1h",
        "cool_down": "10min",
        "windows": {"allow": (), "deny": ()},
        "foreign_cordon": ForeignCordon.ACT,
        "fabric": {"labels": ("nvidia.com/gpu.clique",), "nodes": 4, "window": "2min"},
        "max_reboots": 3,
        "reboot_window": "1day",
        "require_kernel": False,
        "unknown_codes": UnknownCodes.RECORD,
        "incident_window": "10min",
    }


@pytest.mark.parametrize(
    "setting",
    [
        {"max_age": "0s"},
        {"max_age": 600},
        {"max_hold": "0s"},
        {"window": "1h"},
        {"breaker_window": "0s"},
        {"cool_down": "-1s"},
        {"max_percent": 0},
        {"max_percent": 101},
        {"groups": [{"label": "rack"}]},
        {"groups": [{"label": "", "max_nodes": 1}]},
        {"groups": [{"label": "rack", "max_nodes": -1}]},
        {"groups": [{"label": "rack", "max_percent": 0}]},
        {"groups": [{"label": "rack", "max_percent": 101}]},
        {"fabric": {"nodes": 1}},
        {"fabric": {"window": "0s"}},
        {"reboot_window": "0s"},
        {"max_reboots": 0},
        {"incident_window": "0s"},
        {"max_nodes": -1},
        {"unknown_codes": "ignore"},
        {"max_ages": "1min"},
    ],
)
def test_a_setting_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GuardSettings.model_validate(setting)


def test_the_least_settings_are_taken() -> None:
    least = dict.fromkeys(("max_age", "max_hold", "breaker_window", "incident_window", "reboot_window"), "1s")
    groups = [{"label": "rack", "max_nodes": 0}, {"label": "rack", "max_percent": 1}]
    fabric = {"labels": [], "nodes": 2, "window": "1s"}
    numbers = {"max_nodes": 0, "max_percent": 1, "max_reboots": 1, "cool_down": "0s"}
    settings = GuardSettings.model_validate({**least, **numbers, "groups": groups, "fabric": fabric})
    assert (settings.max_nodes, settings.max_percent, settings.cool_down) == (0, 1, timedelta(0))
    assert reason(at(NOON - SECOND), settings) is None
    assert reason(at(NOON - SECOND - MICROSECOND), settings) is SkipReason.STALE


def test_the_greatest_shares_are_taken() -> None:
    settings = GuardSettings.model_validate({"max_percent": 100, "groups": [{"label": "a", "max_percent": 100}]})
    assert (settings.max_percent, settings.groups[0].max_percent) == (100, 100)


PASSES = {
    Guard.ORIGIN: "nothing says that it did not come from the kernel",
    Guard.DRILL: "it is no drill",
    Guard.LINE: "it tells of a fault of its own",
    Guard.NODE: "the cluster has the node, and it was not taken out for good",
    Guard.OPT_OUT: "nobody has opted the node out",
    Guard.AGE: "it is 0s old, at most 10min (max_age)",
    Guard.BOOT: "nothing says that the node has rebooted since",
    Guard.LAST_RESCUE: "no rescue that is known has rebooted the node",
}


def states(found: NodeFault, settings: GuardSettings | None = None, last: Rescue | None = None) -> dict[Guard, str]:
    """What each guard tells, in their order; what it has against the fault is marked."""
    asked = gate_states(found, settings or GuardSettings(), NOON, last)
    return {one.guard: one.told if one.verdict is Verdict.PASSED else f"{one.verdict}: {one.told}" for one in asked}


def test_every_guard_tells_in_order_why_it_lets_a_fault_through() -> None:
    assert list(states(node_fault()).items()) == list(PASSES.items())


@pytest.mark.parametrize(
    ("found", "guard", "told"),
    [
        pytest.param(of_line(from_kernel=True), Guard.ORIGIN, "it came from the kernel", id="the kernel's"),
        pytest.param(
            node_fault(fault=fault(1, kind="daemon", line=line(from_kernel=False))),
            Guard.ORIGIN,
            "it is of a program that a rule of the operator's own is about",
            id="an operator's own",
        ),
        pytest.param(
            of_line(from_kernel=False, kind="sxid"),
            Guard.ORIGIN,
            "skips: its envelope says that another program or a container wrote it",
            id="an SXid of another program",
        ),
        pytest.param(
            injected(True),
            Guard.DRILL,
            "skips: the driver marks it as injected, which makes it a drill",
            id="injected into the driver",
        ),
        pytest.param(
            of_line(drill=Drill.DRY), Guard.DRILL, "it is a drill, to be rehearsed and not done", id="a dry drill"
        ),
        pytest.param(
            of_line(drill=Drill.REAL),
            Guard.DRILL,
            "it is a drill that was asked for with real effects",
            id="a drill that is meant",
        ),
        pytest.param(
            of_line(companion=True),
            Guard.LINE,
            "skips: the line only goes with another one of the same code",
            id="a companion",
        ),
        pytest.param(
            of_line(45, caused_by_xid=149), Guard.LINE, "skips: it is a consequence of xid 149", id="a consequence"
        ),
        pytest.param(
            verdict(0),
            Guard.LINE,
            "skips: the driver says that no recovery action is needed any more",
            id="a recovery",
        ),
        pytest.param(
            node_fault(lookup=Lookup.AMBIGUOUS),
            Guard.NODE,
            "skips: more than one node answers to that name",
            id="two nodes",
        ),
        pytest.param(
            node_fault(lookup=Lookup.NOT_READY),
            Guard.NODE,
            "the line names a node, which the cluster may get to know yet (node not-ready)",
            id="a node to come",
        ),
        pytest.param(
            node_fault(opted_out=True),
            Guard.OPT_OUT,
            "skips: somebody has opted the node out (annotation rescue.ksyun.com/ignore): nothing is done to it",
            id="a node that was opted out",
        ),
        pytest.param(at(NOON - SECOND), Guard.AGE, "it is 1s old, at most 10min (max_age)", id="fresh"),
        pytest.param(
            at(NOON + SECOND), Guard.AGE, "it is 1s ahead of the clock, at most 10min (max_age)", id="a fast clock"
        ),
    ],
)
def test_a_guard_tells(found: NodeFault, guard: Guard, told: str) -> None:
    assert states(found)[guard] == told


def test_the_guard_of_the_last_rescue_tells_which_it_was() -> None:
    assert states(node_fault(), last=rebooted(NOON - SECOND))[Guard.LAST_RESCUE] == (
        "it is later than 2026-11-20T11:59:59+00:00, when the node was first seen in the boot that rescue earlier had "
        "led to"
    )
    assert states(node_fault(), last=rescue("earlier"))[Guard.LAST_RESCUE] == PASSES[Guard.LAST_RESCUE]


def test_a_fault_is_skipped_for_what_its_first_guard_against_it_says() -> None:
    found = replace(of_line(companion=True), opted_out=True, time=NOON - timedelta(days=1))
    against = [guard for guard, told in states(found).items() if told.startswith("skips: ")]
    assert against == [Guard.LINE, Guard.OPT_OUT, Guard.AGE]
    assert reason(found) is SkipReason.COMPANION
