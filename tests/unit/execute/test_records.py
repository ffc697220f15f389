"""Records are a projection of the journal: deterministic, and of the shape that ships."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.execute import progress
from pipeline.execute.progress import repeated
from pipeline.execute.records import records, repeat_record, skip_records
from pipeline.model.fault import Drill, NvLink5, RecoveryAction
from pipeline.model.guard import Guard, GuardState, Verdict
from pipeline.model.node import Pod
from pipeline.model.plan import Considered, Cordon, Drain, Plan, Reboot, Skip, SkipReason
from pipeline.model.rescue import CancelReason, HoldReason, Member, Rescue
from sinks.base import Record
from sinks.schema import record_schema
from tests.fakes.faults import NOON, fault, node_fault, plan, rescue
from tests.fakes.world import World

SCHEMA = Draft202012Validator(record_schema())
NAME = rescue().name
SKIP = Skip(SkipReason.STALE, "it is an hour old", (Considered("p", 0, 10, False, "It names 48, not xid 79."),))


def _assert_valid(found: list[Record]) -> None:
    for record in found:
        problems = [f"{'.'.join(map(str, e.path))}: {e.message}" for e in SCHEMA.iter_errors(record.document)]
        assert problems == []
        assert record.document["event"]["id"] == record.id
        assert len({record.id for record in found}) == len(found)


@pytest.mark.parametrize("trouble", ["none", "drain", "reboot"])
async def test_every_record_of_a_rescue_has_the_shape_that_ships(trouble: str) -> None:
    world = World(pods=[Pod("team", "bare", "gpu-1")] if trouble == "drain" else [])
    if trouble == "reboot":
        world.cluster.troubles.never_returns.add("gpu-1")
    await world.store.create(rescue())
    await world.run()
    _assert_valid(world.sink.records)
    assert len(world.sink.records) >= 10 - 4 * (trouble == "drain")


def test_a_fault_with_every_field_has_the_shape_that_ships() -> None:
    everything = fault(
        149,
        pid=7,
        name="python3",
        device="nvswitch0",
        gpu_instance=5,
        compute_instance=1,
        caused_by_xid=48,
        recovery_action=RecoveryAction("None", "GPU Reset Required", 1),
        nvlink5=NvLink5("NETIR", True, False, False, -1, "0x1", None),
        severity_word="Fatal",
        link=30,
    )
    found = node_fault(149, fault=everything, gpu_uuid="GPU-1", board_serial="165", boot_id="b")
    _assert_valid(records(rescue(cause=found)))
    _assert_valid(skip_records("gpu-1-xid-149-a", found, SKIP))


def test_a_rehearsed_drill_has_the_shape_that_ships_and_says_what_it_is() -> None:
    drill = rescue(cause=node_fault(fault=fault(drill=Drill.DRY)), plan=replace(plan(), dry_run=True))
    found = records(drill)
    _assert_valid(found)
    assert {record.document["gpu_rescue"]["rescue"]["dry_run"] for record in found} == {True}
    assert {record.document["gpu_rescue"]["fault"]["drill"] for record in found} == {"dry"}
    detected, planned = (record.document["message"] for record in found)
    assert detected.startswith("drill: xid 79 on gpu-1")
    assert planned.endswith("it is rehearsed on a copy of the cluster")
    _assert_valid(skip_records("gpu-1-xid-79-a", drill.cause, SKIP))


def test_what_is_done_has_records_of_other_names_than_what_is_rehearsed() -> None:
    done, rehearsed = (records(rescue(plan=replace(plan(), dry_run=dry_run))) for dry_run in (False, True))
    assert "drill" not in done[0].document["gpu_rescue"]["fault"]
    assert done[0].document["gpu_rescue"]["rescue"]["dry_run"] is False
    assert done[1].id != rehearsed[1].id


def test_a_plan_that_is_not_the_rules_own_has_the_shape_that_ships() -> None:
    found = records(rescue(plan=replace(plan(), limit="3 reboots have not cured it")))
    _assert_valid(found)
    assert found[1].document["gpu_rescue"]["decision"]["limit"] == "3 reboots have not cured it"


def test_a_fault_of_no_node_has_the_shape_that_ships() -> None:
    found = node_fault(79, node="")
    _assert_valid(skip_records("unnamed-xid-79-a", found, SKIP))
    _assert_valid([repeat_record(Member("unnamed-xid-79-a", found, 4, NOON, NOON + timedelta(seconds=3)))])


def test_the_same_journal_gives_the_same_records_whatever_happened_since() -> None:
    before = rescue()
    after = replace(before, count=9, last_seen=NOON + timedelta(hours=1), folded=("other",), recorded=2)
    assert records(before) == records(after)


def test_an_id_means_one_document() -> None:
    """Whatever a line leads to when it is delivered again, and whenever that is."""
    later, found = NOON + timedelta(minutes=1), node_fault()
    again = replace(SKIP, guards=(GuardState(Guard.AGE, Verdict.PASSED, "it is 1min old"),))
    told = [
        *skip_records(NAME, found, SKIP),
        *skip_records(NAME, found, SKIP),
        *skip_records(NAME, found, again),
        *records(rescue(NAME, cause=found)),
        *records(rescue(NAME, now=later, cause=found)),
        *(repeat_record(Member(NAME, found, 2, NOON, at, SKIP)) for at in (NOON, NOON, later)),
    ]
    by_id: dict[str, list[Any]] = {}
    for record in told:
        by_id.setdefault(record.id, []).append(record.document)
    assert all(document == documents[0] for documents in by_id.values() for document in documents)
    assert len(told) - len(by_id) == 4


def test_a_line_that_is_skipped_again_for_the_same_reason_is_told_once() -> None:
    assert skip_records(NAME, node_fault(), SKIP) == skip_records(NAME, node_fault(), SKIP)
    assert {record.time for record in skip_records(NAME, node_fault(), SKIP)} == {NOON}


def test_a_record_holds_what_was_decided_and_why() -> None:
    decided = Plan((Cordon(), Drain(), Reboot()), "p", 0, 10, (Considered("p", 0, 10, True, "It names 79."),))
    (_, planned) = records(rescue(plan=decided))
    assert planned.document["gpu_rescue"]["decision"] == {
        "outcome": "plan",
        "policy": "p",
        "rule": 0,
        "priority": 10,
        "actions": ["cordon", "drain (waittime 20min, onTimeout fail)", "reboot (timeout 30min)"],
        "considered": [{"policy": "p", "rule": 0, "priority": 10, "matched": True, "why": "It names 79."}],
    }


def test_a_repeat_tells_the_count_of_its_moment() -> None:
    twice = repeated(rescue(), NAME, 4, NOON, NOON + timedelta(seconds=9))
    more = repeated(twice, NAME, 8, NOON, NOON + timedelta(seconds=20))
    begun = progress.started(more, 0, NOON + timedelta(seconds=21))
    counts = [record.document["gpu_rescue"]["fault"]["count"] for record in records(begun)]
    assert counts == [1, 1, 4, 8, 8]
    assert records(more)[2] == records(twice)[2]


def test_a_count_that_is_known_already_changes_nothing() -> None:
    known = repeated(rescue(), NAME, 4, NOON, NOON)
    assert repeated(known, NAME, 4, NOON, NOON) is known
    assert repeated(known, "of-another", 9, NOON, NOON) is known


def test_what_ended_tells_how_long_it_took() -> None:
    world_end = rescue(plan=plan(Cordon()))
    ended = progress.done(progress.started(world_end, 0, NOON), 0, NOON + timedelta(seconds=2), "done", {})
    event = records(ended)[3].document["event"]
    assert (event["duration"], event["outcome"]) == (2_000_000_000, "success")


ASKED = (GuardState(Guard.BREAKER, Verdict.PASSED, "1 of 5 nodes is out of service"),)
TOLD = [{"guard": "breaker", "verdict": "passed", "told": "1 of 5 nodes is out of service"}]


@pytest.mark.parametrize(
    ("after", "decision"),
    [
        pytest.param(progress.started(rescue(), 0, NOON, ASKED), {"outcome": "go", "guards": TOLD}, id="a start"),
        pytest.param(progress.started(rescue(), 0, NOON), None, id="a start that nobody was asked about"),
        pytest.param(
            progress.held(rescue(), NOON, HoldReason.MAX_NODES, "full", ASKED),
            {"outcome": "hold", "reason": "max-nodes", "guards": TOLD},
            id="a hold",
        ),
        pytest.param(
            progress.cancelled(rescue(), NOON, CancelReason.STALE, "old", ASKED),
            {"outcome": "cancel", "reason": "stale", "guards": TOLD},
            id="the end",
        ),
    ],
)
def test_what_was_asked_before_a_step_is_in_the_record(after: Rescue, decision: dict[str, Any] | None) -> None:
    found = records(after)
    _assert_valid(found)
    assert found[-1].document["gpu_rescue"].get("decision") == decision


def test_a_rehearsed_rescue_has_records_of_its_own() -> None:
    real, rehearsed = records(rescue()), records(replace(rescue(), dry_run=True))
    assert [record.document["gpu_rescue"]["rescue"]["dry_run"] for record in rehearsed] == [True, True]
    assert real[1].id != rehearsed[1].id


def test_a_repeat_widens_the_time_of_the_fault_and_of_the_incident() -> None:
    seen = repeated(rescue(), NAME, 2, NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    assert (seen.count, seen.first_seen, seen.last_seen) == (2, NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    told = records(seen)[-1].document["gpu_rescue"]
    assert (told["fault"]["first_seen"], told["fault"]["last_seen"]) == (
        "2026-11-20T11:00:00.000000Z",
        "2026-11-20T13:00:00.000000Z",
    )
    incident = told["incident"]
    assert (incident["name"], incident["member"], incident["lead"], incident["count"]) == (NAME, NAME, "xid 79", 2)
    assert incident["members"] == [
        {
            "name": NAME,
            "kind": "xid",
            "code": 79,
            "severity": "reboot",
            "pci": "0000:3b:00",
            "count": 2,
            "first_seen": "2026-11-20T11:00:00.000000Z",
            "last_seen": "2026-11-20T13:00:00.000000Z",
        }
    ]
    assert (incident["first_seen"], incident["last_seen"]) == (
        "2026-11-20T11:00:00.000000Z",
        "2026-11-20T13:00:00.000000Z",
    )


def test_a_step_is_told_without_the_incident() -> None:
    found = records(progress.started(rescue(), 0, NOON))
    assert ["incident" in record.document["gpu_rescue"] for record in found] == [True, True, False]
