"""The simulated cluster's policies keep their status as resources do."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster
from pipeline.errors import NotFoundError


def _policy(name: str, priority: int = 1) -> dict[str, Any]:
    return {"kind": "RescuePolicy", "metadata": {"name": name}, "spec": {"rules": [{"priority": priority}]}}


def _cluster() -> SimulatedCluster:
    return SimulatedCluster(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), policies=[_policy("one"), _policy("two")])


async def test_a_status_outlives_new_specs_but_not_the_policy() -> None:
    cluster = _cluster()
    await cluster.set_policy_status("RescuePolicy", "one", {"ties": ["two"]})
    cluster.set_policies([_policy("one", 7)])
    assert cluster.policies() == ({**_policy("one", 7), "status": {"ties": ["two"]}},)
    cluster.set_policies([])
    cluster.set_policies([_policy("one")])
    assert cluster.policies() == (_policy("one"),)


async def test_policies_are_the_same_object_until_one_changes() -> None:
    cluster = _cluster()
    before = cluster.policies()
    assert cluster.policies() is before
    await cluster.set_policy_status("RescuePolicy", "two", {})
    assert cluster.policies() is not before


async def test_another_kind_of_the_same_name_is_another_policy() -> None:
    with pytest.raises(NotFoundError):
        await _cluster().set_policy_status("WarmStandbyPolicy", "one", {})
