"""The simulated rebooter reboots once for each request, remembers, and meets the troubles that were ordered."""

from datetime import UTC, datetime

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.memory import Call, SimulatedCluster, Trouble
from pipeline.errors import NotFoundError, PermanentError, TemporaryError
from pipeline.model.node import Node
from pipeline.rebooters.port import Asked, Rebooter
from pipeline.rebooters.simulated import SimulatedRebooter


def _cluster() -> SimulatedCluster:
    return SimulatedCluster(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), [Node("a", "")])


async def test_a_request_reboots_once_however_often_it_is_made() -> None:
    cluster = _cluster()
    node, rebooter = await cluster.get_node("a"), SimulatedRebooter(cluster)
    for request in ("one", "one", "two", "one"):
        await rebooter.reboot(node, request)
    assert [reboot.request for reboot in cluster.reboots] == ["one", "two"]


async def test_the_memory_is_the_clusters_and_outlives_the_rebooter() -> None:
    cluster = _cluster()
    node = await cluster.get_node("a")
    await SimulatedRebooter(cluster).reboot(node, "one")
    after_a_crash: Rebooter = SimulatedRebooter(cluster)
    assert [await after_a_crash.asked(node, request) for request in ("one", "two")] == [Asked.YES, Asked.NO]


@pytest.mark.parametrize(
    ("trouble", "error", "accepted"),
    [
        pytest.param(Trouble.TIMEOUT, TemporaryError, Asked.NO, id="not accepted for now"),
        pytest.param(Trouble.THROTTLED, TemporaryError, Asked.NO, id="too many at a time"),
        pytest.param(Trouble.REFUSED, PermanentError, Asked.NO, id="refused"),
        pytest.param(Trouble.LOST_ANSWER, TimeoutError, Asked.YES, id="accepted, and the answer is lost"),
    ],
)
async def test_trouble(trouble: Trouble, error: type[Exception], accepted: Asked) -> None:
    cluster = _cluster()
    node, rebooter = await cluster.get_node("a"), SimulatedRebooter(cluster)
    cluster.troubles.next(Call.REBOOT, trouble)
    with pytest.raises(error):
        await rebooter.reboot(node, "one")
    assert await rebooter.asked(node, "one") is accepted
    assert len(cluster.reboots) == (accepted is Asked.YES)


async def test_a_lost_answer_is_not_said_to_be_a_reboot_that_was_not_accepted() -> None:
    """TemporaryError promises that the reboot was certainly not accepted."""
    cluster = _cluster()
    cluster.troubles.next(Call.REBOOT, Trouble.LOST_ANSWER)
    with pytest.raises(TimeoutError) as raised:
        await SimulatedRebooter(cluster).reboot(await cluster.get_node("a"), "one")
    assert not isinstance(raised.value, TemporaryError)


async def test_a_road_without_memory_says_that_it_does_not_know() -> None:
    cluster = _cluster()
    node, rebooter = await cluster.get_node("a"), SimulatedRebooter(cluster)
    cluster.troubles.reboots_forgotten = True
    await rebooter.reboot(node, "one")
    assert await rebooter.asked(node, "one") is Asked.UNKNOWN


async def test_a_machine_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        await SimulatedRebooter(_cluster()).reboot(Node("b", "1"), "one")
