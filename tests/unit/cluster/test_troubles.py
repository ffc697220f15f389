"""Troubles come when they were ordered, before the effect or after it, and the same order gives the same troubles."""

from datetime import UTC, datetime

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.memory import Call, SimulatedCluster, Trouble
from pipeline.cluster.memory.watch import BACKLOG
from pipeline.cluster.port import EventType
from pipeline.errors import ConflictError, PermanentError, TemporaryError
from pipeline.model.node import Node, NodePatch


def _cluster() -> SimulatedCluster:
    return SimulatedCluster(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), [Node("a", "")])


async def _cordon(cluster: SimulatedCluster) -> None:
    await cluster.patch_node("a", NodePatch(unschedulable=True), (await cluster.get_node("a")).resource_version)


@pytest.mark.parametrize(
    ("trouble", "error", "delay", "took_effect"),
    [
        pytest.param(Trouble.CONFLICT, ConflictError, None, False, id="a conflict"),
        pytest.param(Trouble.TIMEOUT, TemporaryError, None, False, id="a timeout before the effect"),
        pytest.param(Trouble.LOST_ANSWER, TemporaryError, None, True, id="a timeout after the effect"),
        pytest.param(Trouble.THROTTLED, TemporaryError, 10, False, id="throttling names a delay"),
        pytest.param(Trouble.SERVER_ERROR, TemporaryError, None, False, id="a server error"),
        pytest.param(Trouble.REFUSED, PermanentError, None, False, id="a refusal"),
    ],
)
async def test_trouble(trouble: Trouble, error: type[Exception], delay: int | None, took_effect: bool) -> None:
    cluster = _cluster()
    cluster.troubles.next(Call.PATCH_NODE, trouble)
    with pytest.raises(error) as raised:
        await _cordon(cluster)
    assert cluster.nodes()["a"].unschedulable == took_effect
    if isinstance(raised.value, TemporaryError):
        assert (raised.value.delay.total_seconds() if raised.value.delay else None) == delay
    assert cluster.troubles.met == [(Call.PATCH_NODE, trouble)]


async def test_troubles_come_in_the_order_they_were_ordered_and_then_end() -> None:
    cluster = _cluster()
    cluster.troubles.next(Call.GET_NODE, Trouble.TIMEOUT, times=2)
    cluster.troubles.next(Call.GET_NODE, Trouble.REFUSED)
    met: list[type[Exception] | None] = []
    for _ in range(4):
        try:
            await cluster.get_node("a")
        except (TemporaryError, PermanentError) as error:
            met.append(type(error))
        else:
            met.append(None)
    assert met == [TemporaryError, TemporaryError, PermanentError, None]


async def test_random_troubles_are_drawn_from_their_seed() -> None:
    async def met(seed: int) -> list[bool]:
        cluster = _cluster()
        cluster.troubles.sometimes(0.5, seed, [Trouble.TIMEOUT])
        outcomes = []
        for _ in range(50):
            try:
                outcomes.append(bool(await cluster.get_node("a")))
            except TemporaryError:
                outcomes.append(False)
        return outcomes

    assert await met(1) == await met(1)
    assert await met(1) != await met(2)
    assert True in await met(1)


def test_a_cache_that_lags_shows_what_it_showed_until_it_catches_up() -> None:
    cluster = _cluster()
    before = cluster.nodes()
    cluster.troubles.cache_lags = True
    cluster.cordon_by_hand("a")
    assert cluster.nodes() is before
    generation = cluster.generation
    cluster.troubles.cache_lags = False
    assert cluster.nodes()["a"].unschedulable
    assert cluster.generation > generation


def test_a_cache_that_is_not_synced_shows_nothing() -> None:
    cluster = _cluster()
    cluster.troubles.cache_synced = False
    assert (cluster.synced, dict(cluster.nodes())) == (False, {})


async def test_a_watch_that_falls_behind_ends_after_what_was_kept() -> None:
    cluster = _cluster()
    watch = cluster.watch()
    for number in range(BACKLOG + 5):
        cluster.edit_node("a", NodePatch(labels={"n": str(number)}))
    events = [await anext(watch) for _ in range(BACKLOG + 1)]
    assert (events[0].type, events[-1].node.labels["n"]) == (EventType.ADDED, str(BACKLOG - 1))
    with pytest.raises(TemporaryError):
        await anext(watch)
