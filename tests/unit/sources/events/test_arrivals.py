"""What is new of the events that are followed."""

from datetime import UTC, datetime

import pytest

from pipeline.sources.events.arrivals import Arrivals, Followed
from pipeline.sources.events.lines import NodeEventSeen
from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.events.source import EventsSource

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SEED = "NVRM: Xid (PCI:0000:03:00): 62, Channel 00000001"


def _at(count: int, uid: str = "u", minute: int = 0) -> NodeEventSeen:
    return NodeEventSeen(uid, f"default/{uid}", "gpu-1", SEED, count, NOON.replace(minute=minute))


def _taken(arrivals: Arrivals) -> list[tuple[str, int]]:
    found = []
    while (event := arrivals.take()) is not None:
        found.append((event.uid, event.count))
    return found


def test_each_time_an_event_happens_is_taken_once() -> None:
    arrivals = Arrivals()
    followed = Followed(arrivals)
    followed.listed([_at(1)])
    assert _taken(arrivals) == [("u", 1)]
    for count, expected in ((1, []), (2, [("u", 2)]), (2, []), (5, [("u", 5)]), (4, [])):
        followed.changed(_at(count))
        assert _taken(arrivals) == expected
    followed.listed([_at(5), _at(1, "new")])
    assert _taken(arrivals) == [("new", 1)]


def test_what_is_listed_comes_in_the_order_of_time() -> None:
    arrivals = Arrivals()
    Followed(arrivals).listed([_at(1, "a", 9), _at(1, "b", 3), _at(1, "c", 3)])
    assert _taken(arrivals) == [("b", 1), ("c", 1), ("a", 1)]


def test_while_nobody_reads_the_first_and_the_last_are_kept() -> None:
    arrivals = Arrivals()
    followed = Followed(arrivals)
    for count in range(1, 1000):
        followed.changed(_at(count))
    assert _taken(arrivals) == [("u", 1), ("u", 999)]


def test_an_event_that_comes_anew_after_the_server_forgot_it_is_new() -> None:
    arrivals = Arrivals()
    followed = Followed(arrivals)
    followed.changed(_at(4))
    followed.deleted(_at(4))
    followed.changed(_at(1, "later"))
    assert _taken(arrivals) == [("u", 4), ("later", 1)]
    followed.listed([])
    followed.changed(_at(1, "later"))
    assert _taken(arrivals) == [("later", 1)]


class Broken:
    """What follows the events, and meets what it was not made for."""

    async def run(self) -> None:
        raise ValueError("no time in this event")


async def test_what_ends_the_following_ends_the_stream_and_is_told() -> None:
    source = EventsSource(EventsSourceConfig(type="events"), lambda _: True)
    source._reflectors = [Broken()]  # type: ignore[list-item]
    with pytest.raises(ValueError, match="no time"):
        await anext(source.deliveries())
    await source.close()
