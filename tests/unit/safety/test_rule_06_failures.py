"""Rule 6: a failed rescue stays visible and is not retried for ever; what reboots have not cured goes offline.

Visible here are status, record and the marks on the node; a metric and a notification of failures are not built yet.
Broken by taking out the guard, the limit and the records.
"""

from datetime import timedelta

import pytest

from pipeline.execute.recorder import Recorder
from pipeline.model.guard import Guard
from pipeline.model.ownership import CORDONED_BY, OFFLINE
from pipeline.model.plan import Plan
from pipeline.model.rescue import FailReason, HoldReason, Status
from tests.fakes.breaking import take_out
from tests.fakes.intake import OFF_THE_BUS, Inside

HOUR = timedelta(hours=1)


async def _never_comes_back(*later: str) -> Inside:
    """A machine that no reboot brings back, and faults of the same node, each an hour after the one before."""
    inside = Inside()
    inside.world.cluster.troubles.never_returns.add("gpu-1")
    await inside.take(OFF_THE_BUS)
    await inside.world.run(until=inside.world.clock.now() + HOUR)
    for text in later:
        await inside.take(text)
        await inside.world.run(until=inside.world.clock.now() + HOUR)
    return inside


def _failures_told(inside: Inside) -> list[object]:
    bodies = [record.document for record in inside.world.sink.records]
    return [body["event"]["reason"] for body in bodies if body["event"]["action"] == "rescue-failed"]


async def test_a_reboot_that_fails_is_told_and_leaves_the_node_to_a_person() -> None:
    inside = await _never_comes_back()
    node = inside.world.cluster.nodes()["gpu-1"]
    assert (inside.rescue().status, inside.rescue().reason) == (Status.FAILED, FailReason.REBOOT_TIMEOUT)
    assert _failures_told(inside) == [FailReason.REBOOT_TIMEOUT]
    assert (node.unschedulable, node.annotations[CORDONED_BY]) == (True, inside.rescue().name)


async def test_a_recorder_that_skips_it_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> bool:
        return True

    monkeypatch.setattr(Recorder, "try_journal", never)
    assert _failures_told(await _never_comes_back()) == []


async def test_the_next_fault_waits_for_a_person_and_reboots_nothing() -> None:
    inside = await _never_comes_back(OFF_THE_BUS)
    _, second = inside.world.store.all()
    assert (second.status, second.reason) == (Status.HELD, HoldReason.NODE_FAILED)
    assert len(inside.world.cluster.reboots) == 1


async def test_without_the_guard_it_reboots_what_a_reboot_has_not_brought_back(monkeypatch: pytest.MonkeyPatch) -> None:
    take_out(monkeypatch, Guard.FAILED_REBOOT)
    inside = await _never_comes_back(OFF_THE_BUS)
    assert len(inside.world.cluster.reboots) == 2


async def _comes_back_each_time(times: int) -> Inside:
    inside = Inside()
    for _ in range(times):
        await inside.take(OFF_THE_BUS, inside.world.clock.now() + HOUR)
        await inside.world.run()
    return inside


async def test_a_fault_that_three_reboots_have_not_cured_takes_the_node_offline() -> None:
    inside = await _comes_back_each_time(6)
    assert len(inside.world.cluster.reboots) == 3
    assert inside.world.cluster.nodes()["gpu-1"].labels[OFFLINE] == "true"


async def test_without_the_limit_it_is_rebooted_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def unlimited(plan: Plan, *_: object) -> Plan:
        return plan

    monkeypatch.setattr("pipeline.decide.decision.limited", unlimited)
    inside = await _comes_back_each_time(6)
    assert len(inside.world.cluster.reboots) == 6
    assert OFFLINE not in inside.world.cluster.nodes()["gpu-1"].labels
