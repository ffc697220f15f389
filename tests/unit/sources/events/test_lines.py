"""The kernel's line in an event of an agent's."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.sources.events.lines import kernel_line, seen

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
