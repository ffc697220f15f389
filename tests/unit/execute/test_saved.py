"""What is saved reads back as it was, today and by later versions; what cannot be read says so."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pipeline.execute.saved import FORMAT, OCCURRENCE, RESCUE, UnreadableError
from pipeline.model.fault import CodeMeaning, Drill, DriverWord, NvLink5, RecoveryAction, Severity
from pipeline.model.guard import Guard, GuardState, Verdict
from pipeline.model.occurrence import Code, Gpu, Occurrence
from pipeline.model.plan import (
    Considered,
    Cordon,
    Drain,
    EnableWarmStandby,
    NamespaceMode,
    NamespaceRule,
    Offline,
    OnTimeout,
    Plan,
    Reboot,
    Skip,
    SkipReason,
    Uncordon,
)
from pipeline.model.rescue import Entry, EventAction, Member, Rescue, Status, StepState
from tests.fakes.faults import NOON, fault, line, node_fault, rescue

GOLDEN = Path(__file__).parents[2] / "data" / "saved"
_SECOND = timedelta(seconds=1)

# Times are aware, and in UTC, everywhere in the model.
st.register_type_strategy(type(NOON), st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(timedelta, st.timedeltas(timedelta(0), timedelta(days=36_500)))


def _lived() -> Rescue:
    """A rescue in which no field that can hold something is empty."""
    states = (GuardState(Guard.AGE, Verdict.PASSED, "it is 3s old"),)
    namespaces = (NamespaceRule("x-*", NamespaceMode.DELETE_AFTER, timedelta(minutes=2)),)
    considered = (Considered("test", 0, 10, True, "it names the code"),)
    actions = (
        Cordon(),
        EnableWarmStandby(),
        Drain(timedelta(minutes=5), OnTimeout.FORCE, False, True, namespaces, gpu_pods_only=True),
        Reboot(timedelta(seconds=90), timedelta(hours=1)),
        Uncordon(),
        Offline(),
    )
    plan = Plan(actions, "test", 2, 20, considered, "3 reboots within 1day", states, dry_run=True, fallback=True)
    skip = Skip(SkipReason.CONSEQUENCE, "it follows from the other", considered, states)
    nvlink = NvLink5("NETIR", True, False, True, -1, "0x1", "0x2")
    spoken = line(kernel_time="3023.054882", boot_id="b-1", from_kernel=True, bare=True)
    full = fault(
        149,
        line=spoken,
        pid=7,
        name="python3, [x]",
        device="GPU0",
        inferred=True,
        gpu_instance=1,
        compute_instance=2,
        caused_by_xid=79,
        recovery_action=RecoveryAction("None", "Node Reboot", 2),
        nvlink5=nvlink,
        companion=True,
        severity_word="Fatal",
        link=3,
        severity=Severity.RESET,
        drill=Drill.REAL,
    )
    known: dict[str, Any] = {
        "meaning": CodeMeaning(
            "xid", 149, "NAME", "meaning", "RESET_GPU", Severity.RESET, rescue=True, catalogued=False
        ),
        "boot_id": "b-1",
        "booted_at": NOON,
        "gpu_uuid": "GPU-1a",
        "board_serial": "165042",
        "opted_out": True,
    }
    cause = node_fault(fault=full, **known)
    microsecond = NOON + timedelta(microseconds=1)
    members = (Member("a", cause, 2, NOON, microsecond, plan), Member("b", cause, 1, NOON, NOON, skip))
    steps = (StepState(Status.SUCCEEDED, NOON, microsecond, 3, {"boot_id": "b-1"}), *[StepState()] * 5)
    details: dict[str, str | int | bool] = {"count": 2, "leads": True, "member": "b"}
    told = Entry(NOON, EventAction.STEP_FAILED, "gpu-1: 中文", actions[3].name, "refused", plan, states, details)
    return replace(
        rescue(plan=plan, cause=cause),
        status=Status.HELD,
        reason="cool-down",
        count=3,
        steps=steps,
        journal=(told,),
        folded=("other",),
        recorded=1,
        ended=microsecond,
        revision=7,
        members=members,
        dry_run=True,
    )


_SEEN = Occurrence(
    "gpu-1-xid-154-abc",
    Code("xid", 154, "NETIR", 2, Severity.REBOOT, rescue=True, catalogued=False, word=DriverWord.FATAL),
    Gpu("gpu-1", "0000:3b:00", "GPU-1a", "165042"),
    NOON,
    NOON + _SECOND / 7,
    "b-1",
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.from_type(Rescue))
def test_every_rescue_reads_back_as_it_was(one: Rescue) -> None:
    again = RESCUE.read(RESCUE.write(one))
    assert again == one
    assert repr(again.plan) == repr(one.plan)


@settings(max_examples=60, deadline=None)
@given(st.from_type(Occurrence))
def test_every_occurrence_reads_back_as_it_was(one: Occurrence) -> None:
    assert OCCURRENCE.read(OCCURRENCE.write(one)) == one


def test_each_value_keeps_its_type() -> None:
    again = RESCUE.read(RESCUE.write(_lived()))
    assert [type(action) for action in again.plan.actions] == [type(action) for action in _lived().plan.actions]
    assert [type(member.decision) for member in again.members] == [Plan, Skip]
    assert {key: type(value) for key, value in again.journal[0].details.items()} == {
        "count": int,
        "leads": bool,
        "member": str,
    }
    assert type(again.status) is Status


def test_a_mapping_of_another_type_reads_back_as_a_dict() -> None:
    one = replace(rescue(), cause=node_fault(labels=MappingProxyType({"app": "train"})))
    assert RESCUE.read(RESCUE.write(one)).cause.labels == {"app": "train"}


@pytest.mark.parametrize(
    ("name", "text"), [("rescue.json", RESCUE.write(_lived())), ("occurrence.json", OCCURRENCE.write(_SEEN))]
)
def test_the_form_is_the_one_that_stores_out_there_hold(name: str, text: str) -> None:
    """If it fails, the form has changed: see the head of pipeline/execute/saved.py before the file is changed."""
    assert json.loads(text) == json.loads((GOLDEN / name).read_text())


def test_every_word_of_the_form_is_known_to_those_that_read_it() -> None:
    """If it fails, there is a new word, which older versions take for damage: the format needs its next number."""
    schemas = [TypeAdapter(kind).json_schema()["$defs"] for kind in (Rescue, Occurrence)]
    words = {name: part["enum"] for schema in schemas for name, part in schema.items() if "enum" in part}
    assert words == json.loads((GOLDEN / "words.json").read_text())


def test_what_was_saved_once_is_read_for_ever() -> None:
    assert RESCUE.read((GOLDEN / "rescue.json").read_text()) == _lived()
    assert OCCURRENCE.read((GOLDEN / "occurrence.json").read_text()) == _SEEN


def test_what_format_1_saved_is_read_with_what_drains_were_told_then() -> None:
    first, lived = RESCUE.read((GOLDEN / "rescue-1.json").read_text()), _lived()
    assert first.plan.actions[2] == Drain(timedelta(minutes=5), OnTimeout.FORCE, False, True)
    assert replace(first, plan=lived.plan, members=lived.members, journal=lived.journal) == lived
    assert OCCURRENCE.read((GOLDEN / "occurrence-1.json").read_text()) == _SEEN


def _in(value: Any) -> Iterator[Any]:
    """Every part of the model in a value, itself included."""
    if is_dataclass(value):
        yield value
        value = [getattr(value, each.name) for each in fields(value)]
    if isinstance(value, tuple | list):
        for inner in value:
            yield from _in(inner)


@pytest.mark.parametrize("example", [_lived(), _SEEN], ids=["rescue", "occurrence"])
def test_no_field_of_the_examples_is_left_as_it_is_by_itself(example: Any) -> None:
    told: dict[str, bool] = {}
    for part in _in(example):
        for each in fields(part):
            place, ever = f"{type(part).__name__}.{each.name}", get_origin(each.type) is Literal
            told[place] = told.get(place, ever) or getattr(part, each.name) not in (None, {}, (), each.default)
    assert [place for place, ever in told.items() if not ever] == []


def test_a_key_that_a_later_version_has_added_is_passed_over() -> None:
    data = json.loads(RESCUE.write(_lived()))
    data["later"] = data["cause"]["fault"]["later"] = data["plan"]["actions"][0]["later"] = {"a": [1]}
    assert RESCUE.read(json.dumps(data)) == _lived()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(f'{{"format": {FORMAT + 1}}}', "a later version has saved it, in format 3", id="a later format"),
        pytest.param("{}", "it cannot be read: format: Field required", id="no format"),
        pytest.param("", "it cannot be read: the whole: Invalid JSON", id="nothing"),
        pytest.param('{"format": 1}', "it cannot be read: name: Field required", id="a field is missing"),
        pytest.param(
            RESCUE.write(rescue()).replace('"Pending"', '"Resting"', 1), "it cannot be read: s", id="an unknown word"
        ),
    ],
)
def test_what_cannot_be_read_says_so(text: str, told: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        RESCUE.read(text)
    assert str(refused.value).startswith(told)
