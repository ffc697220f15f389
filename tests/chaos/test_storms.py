"""Storms are counted exactly and cost nothing, over the whole way from a file to the records.

The numbers are a tenth of those of the incidents they are modelled on, 800,000 copies of one line and 300,000 lines
over 288 nodes; `python -m benchmarks.storm` runs those.
"""

from collections import Counter
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path

from prometheus_client import REGISTRY

from tests.fakes.storms import run, shipped_line, xid

_COPIES = 80_000
_LINES = 30_000
_NODES, _GPUS = 288, 8
_BROKEN = ("gpu-003", "gpu-070", "gpu-141", "gpu-287")
_MS = timedelta(milliseconds=1)
_OFF_THE_BUS = xid(79, "GPU has fallen off the bus.")


def placed() -> int:
    """How many lines have been placed by now, in this process."""
    samples = (
        sample for metric in REGISTRY.collect() if metric.name == "gpu_rescue_faults" for sample in metric.samples
    )
    return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))


def _told_at(count: int) -> list[int]:
    """The counts that are recorded of an incident that was seen so often: each power of two, and the last one."""
    powers = [1 << power for power in range(1, count.bit_length())]
    return powers if count == powers[-1] else [*powers, count]


async def test_copies_of_one_line_are_one_rescue_with_a_count(tmp_path: Path) -> None:
    copies = repeat(shipped_line("gpu-000", _OFF_THE_BUS, timedelta(0)), _COPIES)
    told = await run(tmp_path, copies, placed)
    repeated = [one for one in told.documents if one["event"]["action"] == "fault-repeated"]
    assert [one["gpu_rescue"]["fault"]["count"] for one in repeated] == _told_at(_COPIES)
    assert told.actions - Counter({"fault-repeated": len(repeated)}) == Counter(
        ["fault-detected", "rescue-planned", "step-started", "step-ended", "rescue-succeeded"]
    )
    assert len({one["event"]["id"] for one in told.documents}) == len(told.documents)


async def test_a_storm_of_45s_over_the_whole_cluster_is_one_incident_a_gpu(tmp_path: Path) -> None:
    lines: list[bytes] = []
    expected = Counter[tuple[str, str, int, str, str]]()
    for node in _BROKEN:
        lines.append(shipped_line(node, _OFF_THE_BUS, len(lines) * _MS))
        expected[node, "xid", 79, "0000:00:00", ""] += 1
    companions = 0
    for number in range(_LINES):
        node, gpu, caused = f"gpu-{number % _NODES:03}", number // _NODES % _GPUS, number % 7 == 0
        text = xid(45, "Ch 00000008" + (" caused by previous Xid 79" if caused else ""), gpu)
        lines.append(shipped_line(node, text, len(lines) * _MS))
        if caused and node in _BROKEN and gpu == 0:
            companions += 1
        else:
            expected[node, "xid", 45, f"0000:{gpu:02x}:00", "79" if caused else ""] += 1
    told = await run(tmp_path, lines, placed)
    assert companions > 0
    assert told.counts() == expected
    assert sum(expected.values()) == len(lines) - companions
    assert told.actions["rescue-planned"] == told.actions["rescue-succeeded"] == len(_BROKEN)
    assert told.actions["fault-detected"] + told.actions["fault-joined"] == len(expected)
    assert told.actions["fault-repeated"] == sum(len(_told_at(count)) for count in expected.values() if count > 1)
    assert told.actions["step-ended"] == len(_BROKEN)


async def test_a_fault_in_the_middle_of_a_storm_is_rescued_before_its_next_line(tmp_path: Path) -> None:
    """Counted in lines, not in time: a fault without a storm waits for none, and neither does one within."""
    half = 5_000
    storm = xid(45, "Ch 00000008")
    lines = chain(
        (shipped_line("gpu-000", storm, number * _MS) for number in range(half)),
        [shipped_line("gpu-001", _OFF_THE_BUS, half * _MS)],
        (shipped_line("gpu-000", storm, number * _MS) for number in range(half + 1, 2 * half)),
    )
    before = placed()
    told = await run(tmp_path, lines, placed, "execute.settle=0s")
    assert told.when("gpu-001", "fault-detected") - before == half + 1
    assert {told.when("gpu-001", action) for action in ("fault-detected", "step-started", "rescue-succeeded")} == {
        before + half + 1
    }
