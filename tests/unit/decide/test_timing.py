"""Whether it is time for a step: after the node's last reboot, and in the site's maintenance windows."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.decide.admission import Hold
from pipeline.model.guard import Guard
from pipeline.model.plan import Cordon, Drain, EnableWarmStandby, Offline, Reboot, Uncordon
from pipeline.model.rescue import HoldReason, Rescue, Status, StepState
from tests.fakes.asking import answer, ask, cluster, done, over, states
from tests.fakes.faults import NOON, plan, rescue

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
COOL = 10 * MINUTE


def rebooted(ago: timedelta, name: str = "earlier", on: str = "gpu-1", status: Status = Status.SUCCEEDED) -> Rescue:
    """A rescue whose reboot led to a new boot that was first seen so long before noon."""
    one = done(4, rescue(name, on, NOON - HOUR))
    memo = {"rebooted_at": (NOON - ago).isoformat()}
    return over(one.with_step(2, StepState(status, NOON - HOUR, NOON - ago, memo=memo)))


BEFORE_REBOOT = done(2)


@pytest.mark.parametrize(
    ("one", "others", "expected"),
    [
        pytest.param(BEFORE_REBOOT, [], "go", id="no reboot is known"),
        pytest.param(BEFORE_REBOOT, [rebooted(COOL)], "go", id="long enough ago"),
        pytest.param(BEFORE_REBOOT, [rebooted(COOL - MICROSECOND)], HoldReason.COOL_DOWN, id="not long enough ago"),
        pytest.param(BEFORE_REBOOT, [rebooted(-MINUTE)], HoldReason.COOL_DOWN, id="ahead of the clock"),
        pytest.param(BEFORE_REBOOT, [rebooted(MINUTE, on="gpu-2")], "go", id="another node's"),
        pytest.param(BEFORE_REBOOT, [rebooted(MINUTE, status=Status.FAILED)], "go", id="without proof"),
        pytest.param(BEFORE_REBOOT, [over(done(2, rescue("earlier")))], "go", id="a rescue that did not reboot"),
        pytest.param(
            BEFORE_REBOOT, [rebooted(HOUR), rebooted(MINUTE, "later")], HoldReason.COOL_DOWN, id="the last counts"
        ),
        pytest.param(
            BEFORE_REBOOT, [rebooted(MINUTE, "later"), rebooted(HOUR)], HoldReason.COOL_DOWN, id="in any order"
        ),
        pytest.param(rescue(), [rebooted(MINUTE)], "go", id="a cordon does not wait"),
        pytest.param(done(1), [rebooted(MINUTE)], "go", id="nor a drain"),
        pytest.param(done(3), [rebooted(MINUTE)], "go", id="nor unCordon"),
    ],
)
def test_a_reboot_waits_after_a_reboot(one: Rescue, others: list[Rescue], expected: str) -> None:
    assert answer(ask(one, others)) == expected


def test_without_a_cool_down_none_waits() -> None:
    assert answer(ask(BEFORE_REBOOT, [rebooted(timedelta(0))], cool_down="0s")) == "go"


def test_who_waits_after_a_reboot_is_told_for_how_long() -> None:
    others = [rebooted(3 * MINUTE), rebooted(HOUR, "long-ago")]
    assert ask(BEFORE_REBOOT, others) == Hold(
        HoldReason.COOL_DOWN,
        "gpu-1: rescue earlier has rebooted the node 3min ago: its next reboot waits until "
        "2026-11-20T12:07:00+00:00 (cool_down)",
    )
    told = states(BEFORE_REBOOT, [rebooted(HOUR)])[Guard.COOL_DOWN].told
    assert told == "rescue earlier has rebooted the node 1h ago, at least 10min (cool_down)"
    assert states(BEFORE_REBOOT)[Guard.COOL_DOWN].told == "no rescue that is known has rebooted the node"


STANDBY = plan(Cordon(), EnableWarmStandby(), Drain(), Reboot(), Uncordon())
OUT = plan(Cordon(), Drain(), Offline())
CLOSED: dict[str, Any] = {"windows": {"allow": [{"from": "22:00", "to": "06:00", "timezone": "Asia/Shanghai"}]}}


@pytest.mark.parametrize(
    ("one", "waits"),
    [
        pytest.param(rescue(), False, id="a cordon"),
        pytest.param(done(1), True, id="a drain"),
        pytest.param(done(2), False, id="the reboot of a node that is drained"),
        pytest.param(done(3), False, id="unCordon"),
        pytest.param(done(1, rescue(plan=STANDBY)), True, id="a warm standby, whose node's jobs are moved next"),
        pytest.param(done(2, rescue(plan=OUT)), False, id="offline"),
    ],
)
def test_what_disturbs_running_jobs_waits_for_a_window(one: Rescue, waits: bool) -> None:
    assert answer(ask(one, **CLOSED)) == (HoldReason.MAINTENANCE_WINDOW if waits else "go")


def test_no_reboot_is_asked_for_where_a_window_denies_it() -> None:
    denied: dict[str, Any] = {"windows": {"allow": [{"from": "22:00"}], "deny": [{"from": "11:00", "to": "13:00"}]}}
    assert answer(ask(done(2), **denied)) == HoldReason.MAINTENANCE_WINDOW
    assert answer(ask(done(2), now=NOON + HOUR, **denied)) == "go"


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(2 * HOUR - MICROSECOND, HoldReason.MAINTENANCE_WINDOW, id="before it opens"),
        pytest.param(2 * HOUR, "go", id="when it opens"),
        pytest.param(10 * HOUR - MICROSECOND, "go", id="until it closes"),
        pytest.param(10 * HOUR, HoldReason.MAINTENANCE_WINDOW, id="when it closes"),
    ],
)
def test_it_goes_on_when_the_window_opens(after: timedelta, expected: str) -> None:
    assert answer(ask(done(1), now=NOON + after, **CLOSED)) == expected


def test_who_waits_for_a_window_is_told_until_when() -> None:
    assert ask(done(1), **CLOSED) == Hold(
        HoldReason.MAINTENANCE_WINDOW,
        "gpu-1: drain waits for a maintenance window until 2026-11-20T22:00+08:00 (windows)",
    )
    never = ask(done(2), windows={"deny": [{}]})
    assert never == Hold(
        HoldReason.MAINTENANCE_WINDOW, "gpu-1: no maintenance window opens for reboot within a year (windows)"
    )
    assert states(done(1))[Guard.WINDOWS].told == "no maintenance window keeps drain from going now (windows)"


def test_a_node_that_waits_for_a_window_is_out_of_service_meanwhile() -> None:
    waiting = replace(done(1), status=Status.HELD)
    other = rescue("other", "gpu-2")
    nodes = {**cluster(), **{"gpu-2": replace(cluster()["gpu-1"], name="gpu-2")}}
    assert answer(ask(other, [waiting], nodes, max_nodes=1)) == HoldReason.MAX_NODES


def test_a_rescue_that_has_not_begun_is_given_up_as_any_other() -> None:
    assert answer(ask(rescue(), now=NOON + 2 * HOUR + MICROSECOND, **CLOSED)) == "stale"
