"""The kernel's line in an event of an agent's, and what tells one occurrence from the next."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.sources.events.arrivals import Arrivals, Followed
from pipeline.sources.events.lines import NodeEventSeen, kernel_line, seen

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SEED = "NVRM: Xid (PCI:0000:03:00): 62, Channel 00000001"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        pytest.param("当前实例发生GPU Xid错误,pci:0000:03:00,xid:62,日志: Channel 00000001", SEED, id="the origin's"),
        pytest.param("GPU Xid error on this instance,pci:0000:03:00,xid:62,log: Channel 00000001", SEED, id="English"),
        pytest.param(SEED, SEED, id="node-problem-detector's, which is the line"),
        pytest.param("(combined from similar events): " + SEED, SEED, id="what a recorder has counted as one"),
        pytest.param(
            "当前实例发生GPU Xid错误,pci:0000:03:00,xid:45,日志: pid=7, name=a,xid:79,日志: b, Ch 00000008",
            "NVRM: Xid (PCI:0000:03:00): 45, pid=7, name=a,xid:79,日志: b, Ch 00000008",
            id="a process that is called like a fault",
        ),
        pytest.param(
            "当前实例发生GPU Xid错误,xid:79,日志: lost", "当前实例发生GPU Xid错误,xid:79,日志: lost", id="no GPU"
        ),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_message_is_the_kernels_line(message: str, line: str) -> None:
    assert kernel_line(message) == line


def _event(**given: Any) -> dict[str, Any]:
    return {
        "metadata": {"uid": "u", "namespace": "default", "name": "e", "creationTimestamp": "2026-11-20T11:59:00Z"},
        "involvedObject": {"kind": "Node", "name": "gpu-1"},
        "message": SEED,
        **given,
    }


@pytest.mark.parametrize(
    ("given", "count", "time"),
    [
        pytest.param(
            {"count": 3, "firstTimestamp": "2026-11-20T11:00:00Z", "lastTimestamp": "2026-11-20T12:00:00Z"},
            3,
            NOON,
            id="the old recorder's",
        ),
        pytest.param(
            {"eventTime": "2026-11-20T12:00:00.000000Z", "lastTimestamp": None, "count": None, "series": None},
            1,
            NOON,
            id="the new recorder's",
        ),
        pytest.param(
            {
                "eventTime": "2026-11-20T11:00:00.000000Z",
                "series": {"count": 4, "lastObservedTime": "2026-11-20T12:00:00.000000Z"},
            },
            4,
            NOON,
            id="the new recorder's, again",
        ),
        pytest.param({}, 1, NOON.replace(hour=11, minute=59), id="no time but that of its creation"),
    ],
)
def test_an_event_has_happened_so_often_and_last_then(given: dict[str, Any], count: int, time: datetime) -> None:
    found = seen(_event(**given))
    assert (found.count, found.time) == (count, time)
    assert found.position == f"events:default/e:{count}@u"


def test_it_is_decoded_as_the_kernels_word_of_the_node_at_that_time() -> None:
    found = seen(_event(lastTimestamp="2026-11-20T12:00:00Z"))
    (line,) = Decoder(DecodeSettings()).decode(found.envelope(), found.position, received=NOON).lines
    assert (line.text, line.node, line.time, line.from_kernel) == (SEED, "gpu-1", NOON, True)


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
