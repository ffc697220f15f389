"""A rescue as a custom resource reads back as it was, from its spec alone when it is new, and else with its status."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.cluster.kube.api import Object
from pipeline.execute.progress import cancelled, held, started
from pipeline.execute.saved import FORMAT, LaterFormatError, UnreadableError
from pipeline.execute.store_kube_form import (
    new_rescue,
    object_name,
    occurrence_object,
    occurrence_of,
    rescue_of,
    with_status,
)
from pipeline.model.occurrence import Occurrence
from pipeline.model.rescue import CancelReason, HoldReason, Rescue, StepState
from tests.fakes.faults import NOON, node_fault, rescue

st.register_type_strategy(type(NOON), st.datetimes(timezones=st.just(UTC)))
# What JSON of Kubernetes holds exactly.
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(timedelta, st.timedeltas(timedelta(0), timedelta(days=36_500)))

_NEW: Object = {"state": "Pending"}


def _stored(created: Rescue, saved: Rescue | None = None, revision: int = 7, status: Object | None = None) -> Object:
    """What the server holds after a create, and after a save if there was one; it shows its default status at first."""
    made = new_rescue(created, "ns")
    told = with_status(saved, "ns")["status"] if saved is not None else (status or _NEW)
    return {**made, "metadata": {**made["metadata"], "resourceVersion": str(revision)}, "status": told}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.from_type(Rescue))
def test_every_new_rescue_reads_back_from_its_spec(one: Rescue) -> None:
    assert rescue_of(_stored(one)) == replace(one, revision=7)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.from_type(Rescue), st.from_type(Rescue))
def test_every_rescue_reads_back_from_its_status_whatever_it_was_at_first(first: Rescue, then: Rescue) -> None:
    steps = then.steps[: len(then.plan.actions)]
    saved = replace(then, name=first.name, node=first.node, created=first.created, dry_run=first.dry_run, steps=steps)
    assert rescue_of(_stored(first, saved)) == replace(saved, revision=7)


@settings(max_examples=60, deadline=None)
@given(st.from_type(Occurrence))
def test_every_occurrence_reads_back_as_it_was(one: Occurrence) -> None:
    assert occurrence_of(occurrence_object(one, "ns")) == one


def _keys(value: Any, place: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{place}.{key}".lstrip(".")
            yield from _keys(inner, f"{place}.{key}")
    if isinstance(value, list):
        for inner in value:
            yield from _keys(inner, place)


def test_keys_are_those_of_kubernetes_and_data_keeps_its_own() -> None:
    cause = node_fault(labels={"my_team": "a_b"}, boot_id="b-1")
    running = started(rescue(cause=cause), 0, NOON).with_step(0, StepState(memo={"boot_id": "b-1"}))
    told = held(running, NOON, HoldReason.COOL_DOWN, "it waits", details={"free_at": 1})
    found = set(_keys(_stored(told, told)))
    assert {"spec.cause.labels.my_team", "status.steps.memo.boot_id", "status.journal.details.free_at"} <= found
    assert {"spec.cause.bootId", "spec.dryRun", "status.firstSeen", "status.steps.state", "status.state"} <= found
    data = (".labels.", ".memo.", ".details.")
    assert [key for key in found if "_" in key and not any(part in key for part in data)] == []


def test_what_never_changes_is_in_the_spec_only() -> None:
    status = with_status(rescue(), "ns")["status"]
    assert {"name", "node", "created", "dryRun", "revision"}.isdisjoint(status)


def test_what_was_there_at_first_and_is_no_more_is_not_read_from_the_spec() -> None:
    first = replace(rescue(), reason="cool-down", folded=("other",))
    assert rescue_of(_stored(first, replace(first, reason=None, folded=()))).folded == ()


@pytest.mark.parametrize(
    ("state", "step"),
    [
        pytest.param(rescue(), None, id="nothing has begun"),
        pytest.param(started(rescue(), 0, NOON), "cordon", id="a step is under way"),
        pytest.param(
            cancelled(started(rescue(), 0, NOON), NOON, CancelReason.DELETED, "gone"), None, id="it has ended"
        ),
    ],
)
def test_the_dashboard_names_the_step_that_is_under_way(state: Rescue, step: str | None) -> None:
    assert with_status(state, "ns")["status"].get("step") == step


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        pytest.param("gpu-1-xid-79-1a2b3c4d", True, id="a rescue's own"),
        pytest.param("10.0.2.193-xid-79-1a2b3c4d", True, id="with the dots of a node's"),
        pytest.param("a" * 253, True, id="as long as may be"),
        pytest.param("a" * 254, False, id="too long"),
        pytest.param("Order 66", False, id="a third party's, with capitals and spaces"),
        pytest.param("-a", False, id="a hyphen first"),
        pytest.param("中文", False, id="no letter that may be"),
        pytest.param("a\n", False, id="a line's end"),
    ],
)
def test_the_object_is_called_as_the_rescue_where_that_may_be(name: str, kept: bool) -> None:
    called = object_name(name)
    assert (called == name) is kept
    assert object_name(called) == called
    assert object_name(name) == called


def test_two_names_that_read_alike_are_two_objects() -> None:
    assert object_name("Order 66") != object_name("order 66")


def _damaged(**changes: Any) -> Object:
    return {**_stored(rescue(), rescue()), **changes}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(_damaged(spec=None), "spec and status are not both objects", id="no spec"),
        pytest.param(_damaged(status=[1]), "spec and status are not both objects", id="a status that is none"),
        pytest.param(_damaged(status={"format": FORMAT, "state": "Resting"}), "cannot be read", id="an unknown word"),
        pytest.param(_damaged(spec={"format": FORMAT, "name": "a"}, status=_NEW), "node: Field", id="a lack"),
        pytest.param(
            _damaged(metadata={"name": "another", "resourceVersion": "1"}), "it is of another rescue", id="a copy"
        ),
    ],
)
def test_what_somebody_has_damaged_says_so(found: Object, told: str) -> None:
    with pytest.raises(UnreadableError, match=told):
        rescue_of(found)


def test_what_a_later_version_has_saved_says_so() -> None:
    found = _stored(rescue(), rescue())
    found["status"]["format"] = FORMAT + 1
    with pytest.raises(LaterFormatError, match="a later version"):
        rescue_of(found)
