"""A rescue that has become large is saved lighter, and loses nothing that is acted on or has still to be recorded."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from pipeline.cluster.kube.api import Object
from pipeline.decide.escalation import join
from pipeline.decide.family import LARGEST as MOST_MEMBERS
from pipeline.errors import PermanentError
from pipeline.execute.progress import held
from pipeline.execute.records import records
from pipeline.execute.store_kube_form import with_status
from pipeline.execute.store_kube_objects import RescueObjects
from pipeline.execute.store_kube_size import LARGEST, LARGEST_NEW, lighter
from pipeline.model.guard import Guard, GuardState, Verdict
from pipeline.model.plan import Considered
from pipeline.model.rescue import HoldReason, Member, Rescue
from tests.fakes.faults import NOON, node_fault, plan, rescue

ETCD = 1_572_864
"""Bytes of a request that etcd takes."""

_RULES = tuple(
    Considered("policy-of-a-team", rule, 10, False, "it speaks of other codes: 13, 31" * 2) for rule in range(50)
)
_GUARDS = tuple(
    GuardState(guard, Verdict.PASSED, "nothing speaks against it here, as far as is known") for guard in Guard
)
_LABELS = {f"node.example.com/label-{number}": "a-value-of-some-length" for number in range(40)}


def _largest() -> Rescue:
    """The same after a day of holds."""
    return _flapped(_crowded(), 1_000)


def _crowded() -> Rescue:
    """As many members as there may be, on a node of many labels, decided by many rules."""
    told = replace(plan(), considered=_RULES, guards=_GUARDS)
    one = rescue(plan=told, cause=node_fault(labels=_LABELS))
    for number in range(MOST_MEMBERS - 1):
        cause = node_fault(74, time=NOON + timedelta(milliseconds=number), labels=_LABELS)
        one = join(one, Member(f"m-{number}", cause, 1, NOON, NOON, replace(told, priority=11 + number)), NOON)
    return one


def _flapped(one: Rescue, times: int) -> Rescue:
    for number in range(times):
        reason = (HoldReason.COOL_DOWN, HoldReason.MAX_NODES)[number % 2]
        one = held(one, NOON, reason, "gpu-1: it waits until others have come back: 4 of 4", _GUARDS)
    return one


def _size(one: Rescue) -> int:
    return len(orjson.dumps(with_status(one, "ns")))


class _Server:
    """Takes a status, and shows what it was given."""

    def __init__(self) -> None:
        self.given: Object = {}

    async def create(self, path: str, body: Object) -> Object:
        self.given = body
        return {"metadata": {"resourceVersion": "8"}}

    async def replace(self, path: str, body: Object) -> Object:
        self.given = body
        return {"metadata": {"resourceVersion": "8"}}


async def _saved(one: Rescue) -> tuple[Rescue, Object]:
    server = _Server()
    return await RescueObjects(server, "ns").save(one), server.given  # type: ignore[arg-type]


def test_the_largest_plausible_rescue_is_over_the_limit_by_itself() -> None:
    assert _size(_largest()) > ETCD


@pytest.mark.parametrize("recorded", [0, 1_000], ids=["no sink takes records", "records are safe"])
async def test_it_is_saved_all_the_same_and_fits(recorded: int) -> None:
    one = replace(_largest(), recorded=recorded)
    saved, given = await _saved(one)
    assert len(orjson.dumps(given)) <= LARGEST
    assert LARGEST + LARGEST_NEW < ETCD
    assert [(entry.action, entry.reason, entry.time) for entry in saved.journal] == [
        (entry.action, entry.reason, entry.time) for entry in one.journal
    ]
    assert (saved.plan, saved.steps, saved.cause, saved.revision) == (one.plan, one.steps, one.cause, 8)


async def test_one_that_is_large_from_the_start_is_created_all_the_same_and_fits() -> None:
    server, one = _Server(), _crowded()
    created = await RescueObjects(server, "ns").create(one)  # type: ignore[arg-type]
    assert len(orjson.dumps(server.given)) <= LARGEST_NEW
    assert created is not None
    assert (created.plan, len(created.members), len(created.journal)) == (one.plan, MOST_MEMBERS, len(one.journal))


async def test_a_rescue_of_usual_size_is_saved_as_it_is() -> None:
    one = _flapped(rescue(), 20)
    saved, _ = await _saved(one)
    assert saved == replace(one, revision=8)


def test_what_has_still_to_be_recorded_keeps_all_that_its_record_tells() -> None:
    one = replace(_flapped(_largest(), 3), recorded=1_000)
    lightest_first = next(lighter(one))
    assert _size(lightest_first) < _size(one)
    assert records(lightest_first)[one.recorded :] == records(one)[one.recorded :]


async def test_one_that_is_too_large_all_the_same_says_so() -> None:
    with pytest.raises(PermanentError, match="too large to be saved: 20002 entries"):
        await _saved(_flapped(rescue(), 20_000))
