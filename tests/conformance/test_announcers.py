"""What every announcer promises: one event for each series, whoever tells of it and however often."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from pipeline.cluster.announcer import AnnouncedReason, Announcement, Announcer, Level
from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.events import KubeAnnouncer
from pipeline.cluster.memory.events import KeptEvents

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Told = tuple[str, str, str, str, int, datetime, datetime]


class Board(Protocol):
    """Where two replicas put events, and what people see there: of each its node, type, reason, message and count."""

    @property
    def replicas(self) -> Sequence[Announcer]: ...

    async def seen(self) -> Sequence[Told]: ...


class MemoryBoard:
    def __init__(self) -> None:
        self.events = KeptEvents()
        self.replicas = (self.events, self.events)

    async def seen(self) -> Sequence[Told]:
        return [(e.node, e.level, e.reason, e.message, e.count, e.first, e.last) for e in self.events.all()]


class KubeBoard:
    def __init__(self, api: KubeApi, namespace: str) -> None:
        self.api = api
        self.path = f"/api/v1/namespaces/{namespace}/events"
        self.replicas = (KubeAnnouncer(api, namespace), KubeAnnouncer(api, namespace))

    async def seen(self) -> Sequence[Told]:
        items = (await self.api.get(self.path))["items"]
        return [
            (
                item["involvedObject"]["name"],
                item["type"],
                item["reason"],
                item["message"],
                item["count"],
                datetime.fromisoformat(item["firstTimestamp"]),
                datetime.fromisoformat(item["lastTimestamp"]),
            )
            for item in sorted(items, key=lambda item: int(item["metadata"]["resourceVersion"]))
        ]


@pytest.fixture(params=["memory", "kubernetes"])
def board(request: pytest.FixtureRequest) -> Board:
    if request.param == "memory":
        return MemoryBoard()
    api: KubeApi = request.getfixturevalue("kube_api")
    return KubeBoard(api, request.getfixturevalue("namespace"))


def fault(count: int = 1, last: datetime = NOON, **given: str) -> Announcement:
    values = {"node": "gpu-1", "series": "fault/a", "message": "日志: Channel 00000001", **given}
    return Announcement(
        level=Level.WARNING, reason=AnnouncedReason.XID_ERROR, count=count, first=NOON, last=last, **values
    )


async def test_an_event_is_seen_as_it_was_told(board: Board) -> None:
    await board.replicas[0].announce(fault(3, NOON + MINUTE))
    seen = ("gpu-1", "Warning", "XidError", "日志: Channel 00000001", 3, NOON, NOON + MINUTE)
    assert await board.seen() == [seen]


async def _twice(board: Board, told: Announcement) -> None:
    for replica in board.replicas:
        await replica.announce(told)


async def test_told_twice_it_is_one(board: Board) -> None:
    await _twice(board, fault())
    await _twice(board, fault())
    assert [event[4] for event in await board.seen()] == [1]


async def test_a_count_grows_and_never_falls(board: Board) -> None:
    for count in (1, 8, 4, 1):
        await board.replicas[count % 2].announce(fault(count, NOON + count * MINUTE))
    assert [event[4:] for event in await board.seen()] == [(8, NOON, NOON + 8 * MINUTE)]


async def test_what_is_told_late_moves_the_beginning_only(board: Board) -> None:
    await board.replicas[0].announce(fault(8, NOON + MINUTE))
    await board.replicas[1].announce(replace(fault(1), first=NOON - MINUTE, last=NOON - MINUTE))
    assert [event[4:] for event in await board.seen()] == [(8, NOON - MINUTE, NOON + MINUTE)]


async def test_series_and_nodes_are_kept_apart(board: Board) -> None:
    long = "gpu-" + "a" * 240 + ".example"
    for told in (fault(), fault(series="fault/b"), fault(node=long, series="fault/c")):
        await board.replicas[0].announce(told)
    assert [event[0] for event in await board.seen()] == ["gpu-1", "gpu-1", long]


async def test_a_very_long_message_is_told_in_part(kube_api: KubeApi, namespace: str) -> None:
    board = KubeBoard(kube_api, namespace)
    await _twice(board, fault(message="错" * 5000))
    assert [event[3] for event in await board.seen()] == ["错" * 1024]


async def test_what_the_memory_keeps_is_bounded() -> None:
    events = KeptEvents(most=3)
    for name in "abcde":
        await events.announce(fault(series=name))
    assert [event.series for event in events.all()] == ["c", "d", "e"]


async def test_an_event_that_the_server_has_forgotten_comes_anew(kube_api: KubeApi, namespace: str) -> None:
    board = KubeBoard(kube_api, namespace)
    await board.replicas[0].announce(fault())
    (item,) = (await kube_api.get(board.path))["items"]
    await kube_api.delete(f"{board.path}/{item['metadata']['name']}")
    await board.replicas[0].announce(fault(8, NOON + MINUTE))
    assert [event[4] for event in await board.seen()] == [8]
