"""A record is worth at most one event at the node."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.cluster.announcer import AnnouncedReason, Announcement, Level
from pipeline.execute.announce import announced
from pipeline.execute.progress import cancelled, done, failed, held, repeated, started
from pipeline.execute.records import records, repeat_record, skip_records
from pipeline.model.fault import Drill, Lookup
from pipeline.model.plan import (
    ActionName,
    Cordon,
    Drain,
    EnableWarmStandby,
    Offline,
    Plan,
    Reboot,
    Skip,
    SkipReason,
    Uncordon,
)
from pipeline.model.rescue import CancelReason, FailReason, HoldReason, Member, Rescue
from sinks.base import Record
from tests.fakes.faults import NOON, fault, node_fault, plan, rescue

SEED = node_fault(62, fault=fault(62, pci="0000:03:00", message="Channel 00000001"))
LATER = NOON + timedelta(minutes=1)
SKIP = Skip(SkipReason.NO_RESCUE_NEEDED, "it is the application's fault")


def told(found: list[Record]) -> list[Announcement]:
    return [event for record in found if (event := announced(record, "zh")) is not None]


def reasons(found: list[Record]) -> list[str]:
    return [event.reason for event in told(found)]


@pytest.mark.parametrize(
    ("changes", "zh", "en"),
    [
        pytest.param(
            {},
            "当前实例发生GPU Xid错误,pci:0000:03:00,xid:62,日志: Channel 00000001",
            "GPU Xid error on this instance,pci:0000:03:00,xid:62,log: Channel 00000001",
            id="the seed's line",
        ),
        pytest.param(
            {"kind": "sxid", "code": 20034, "pci": None, "device": "nvswitch0"},
            "当前实例发生GPU SXid错误,device:nvswitch0,sxid:20034,日志: Channel 00000001",
            "GPU SXid error on this instance,device:nvswitch0,sxid:20034,log: Channel 00000001",
            id="a switch by its name",
        ),
        pytest.param(
            {"kind": "ib", "code": 1, "pci": None},
            "当前实例发生GPU ib错误,ib:1,日志: Channel 00000001",
            "GPU ib error on this instance,ib:1,log: Channel 00000001",
            id="an operator's own kind, of no device",
        ),
    ],
)
def test_a_fault_is_told_in_the_words_of_the_origin(changes: dict[str, object], zh: str, en: str) -> None:
    found = replace(SEED, fault=replace(SEED.fault, **changes))  # type: ignore[arg-type]
    detected, _ = skip_records("gpu-1-xid-62-a", found, SKIP)
    for language, message in (("zh", zh), ("en", en)):
        event = announced(detected, language)  # type: ignore[arg-type]
        assert event is not None
        assert event.message == message


def test_a_fault_that_leads_to_nothing_is_one_series_with_its_repeats() -> None:
    repeats = repeat_record(Member("gpu-1-xid-62-a", SEED, 4, NOON, LATER))
    first, again = told([*skip_records("gpu-1-xid-62-a", SEED, SKIP), repeats])
    assert first == Announcement(
        "gpu-1",
        "fault/gpu-1-xid-62-a",
        Level.WARNING,
        AnnouncedReason.XID_ERROR,
        "当前实例发生GPU Xid错误,pci:0000:03:00,xid:62,日志: Channel 00000001",
        1,
        NOON,
        NOON,
    )
    assert again == replace(first, count=4, last=LATER)


def test_a_fault_that_leads_to_a_rescue_is_one_series_with_its_repeats() -> None:
    after = repeated(rescue(), "gpu-1-xid-79-abc", 8, NOON, LATER)
    events = [event for event in told(records(after)) if event.reason == "XidError"]
    assert [(event.count, event.last) for event in events] == [(1, NOON), (8, LATER)]
    assert {event.series for event in events} == {"fault/gpu-1-xid-79-abc"}


def _whole(made: Plan) -> Rescue:
    after = rescue(plan=made)
    for index in range(len(made.actions)):
        after = done(started(after, index, LATER), index, LATER, "done", {})
    return after


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(
            _whole(plan(Cordon(), EnableWarmStandby(), Drain(), Reboot(), Uncordon())),
            [
                "RescuePlanned",
                "NodeCordoned",
                "WarmStandbyEnabled",
                "NodeDrained",
                "NodeRebooted",
                "NodeUncordoned",
                "RescueSucceeded",
            ],
            id="what was done to the node, each once",
        ),
        pytest.param(
            _whole(plan(Cordon(), Offline())),
            ["RescuePlanned", "NodeCordoned", "NodeOffline", "RescueSucceeded"],
            id="a node that goes offline",
        ),
        pytest.param(
            failed(started(rescue(), 0, LATER), 0, LATER, FailReason.REFUSED, "no right"),
            ["RescuePlanned", "RescueFailed"],
            id="a failure, once",
        ),
        pytest.param(
            held(rescue(), LATER, HoldReason.MAX_NODES, "5 are out"), ["RescuePlanned", "RescueHeld"], id="a hold"
        ),
        pytest.param(
            cancelled(rescue(), LATER, CancelReason.UNCORDONED, "a person did it"),
            ["RescuePlanned", "RescueCancelled"],
            id="a rescue that is given up",
        ),
    ],
)
def test_of_a_rescue_is_told(now: Rescue, expected: list[str]) -> None:
    assert reasons(records(now)) == ["XidError", *expected]


def test_only_a_hold_and_a_failure_are_warnings_beside_the_fault() -> None:
    after = failed(
        started(held(rescue(), NOON, HoldReason.COOL_DOWN, "wait"), 0, LATER), 0, LATER, FailReason.REFUSED, "no right"
    )
    warnings = {event.reason for event in told(records(after)) if event.level is Level.WARNING}
    assert warnings == {"XidError", "RescueHeld", "RescueFailed"}


def test_each_thing_that_was_done_is_an_event_of_its_own_and_the_same_whenever_it_is_told() -> None:
    events = told(records(_whole(plan())))
    assert len({event.series for event in events}) == len(events)
    assert events == told(records(_whole(plan())))


def test_of_a_rehearsal_only_the_fault_is_told_which_was_real() -> None:
    assert reasons(records(rescue(plan=replace(plan(), dry_run=True)))) == ["XidError"]


@pytest.mark.parametrize(("drill", "expected"), [(Drill.DRY, []), (Drill.REAL, ["XidError", "RescuePlanned"])])
def test_of_a_drill_is_told_what_is_for_real(drill: Drill, expected: list[str]) -> None:
    dry_run = drill is Drill.DRY
    drilled = rescue(cause=node_fault(fault=fault(drill=drill)), plan=replace(plan(), dry_run=dry_run))
    assert reasons(records(drilled)) == expected


@pytest.mark.parametrize("lookup", [lookup for lookup in Lookup if lookup is not Lookup.FOUND])
def test_a_fault_on_no_node_of_the_cluster_is_not_told(lookup: Lookup) -> None:
    node = "" if lookup is Lookup.UNNAMED else "gpu-1"
    found = replace(SEED, node=node, lookup=lookup)
    assert told(skip_records("gpu-1-xid-62-a", found, SKIP)) == []


def test_of_a_node_that_came_after_its_fault_is_told_what_was_done_to_it() -> None:
    late = rescue(cause=replace(SEED, lookup=Lookup.NOT_READY), plan=plan(Cordon()))
    after = done(started(held(late, NOON, HoldReason.NODE_UNKNOWN, "no such node"), 0, LATER), 0, LATER, "done", {})
    assert reasons(records(after)) == ["NodeCordoned", "RescueSucceeded"]


@pytest.mark.parametrize("action", ActionName)
def test_the_end_of_each_action_is_told(action: ActionName) -> None:
    (ended,) = [r for r in records(_whole(plan(Cordon()))) if r.document["event"]["action"] == "step-ended"]
    own = ended.document["gpu_rescue"]
    changed = {**ended.document, "gpu_rescue": {**own, "step": {**own["step"], "action": action}}}
    assert announced(replace(ended, document=changed), "zh") is not None


def test_every_event_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
    documented = re.findall(r"^\| (\w+) \| (?:Normal|Warning) \|", page, re.MULTILINE)
    assert sorted(documented) == sorted(AnnouncedReason)
