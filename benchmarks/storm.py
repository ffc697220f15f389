"""Storms at full size, from file to records: 800,000 copies of one line, and 300,000 lines of 45s over 288 nodes.

Run with `python -m benchmarks.storm`. Lines a second are told beside those of a mixed log in the same run (1 % faults),
memory when 131,072, 524,288 and 800,000 copies are counted beside each other, and what CPU time goes by between a
fault of another node and its cordon in a storm beside the same without one. Counts are checked, not only printed.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.app import build
from pipeline.settings import read_settings, shipped
from sinks.base import Record

_COPIES, _MARKS = 800_000, (131_072, 524_288, 800_000)
_LINES, _NODES, _GPUS = 300_000, 288, 8
_MIXED, _OTHERS, _BETWEEN = 200_000, 200, 500
_START = datetime(2026, 11, 20, tzinfo=UTC)
_NOISE = "mlx5_core 0000:9d:00.0 ens3f0np0: Link up, and then some more text as long as a kernel line usually is"
_POLICY = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: cordon}
spec: {rules: [{priority: 10, errorCode: ["79"], actions: [{name: cordon}]}]}
"""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class _Run:
    """What one run has cost and told."""

    cpu: float = 0.0
    memory: list[int] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)

    def watch(self, batch: Sequence[Record]) -> None:
        for record in batch:
            action = str(record.document["event"]["action"])
            self.actions[action] += 1
            fault, node = record.document["gpu_rescue"]["fault"], record.document["host"]["name"]
            if fault["count"] in _MARKS:
                self.memory.append(_memory())
            incident = f"{node} {fault['code']} {fault['pci']} {fault.get('caused_by_xid')}"
            self.counts[incident] = max(self.counts.get(incident, 0), fault["count"])
            if action == "fault-detected":
                self.began[node] = time.process_time()
            elif action == "step-ended":
                self.waited.append(time.process_time() - self.began[node])


def _line(number: int, node: int, text: str) -> bytes:
    fields = {
        "@timestamp": (_START + timedelta(milliseconds=number)).isoformat(),
        "hostname": f"gpu-{node:04}",
        "cluster": "x" * 120,
        "msg": text,
    }
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _xid(code: int, message: str, gpu: int = 0x3B) -> str:
    return f"NVRM: Xid (PCI:0000:{gpu:02x}:00): {code}, pid=7, name=python3, {message}"


def _mixed() -> Iterator[bytes]:
    fault = _xid(13, "Graphics Exception: ChID 000c, Class 0000cbc0")
    return (_line(number, number // 100 % 1000, _NOISE if number % 100 else fault) for number in range(_MIXED))


def _copies() -> Iterator[bytes]:
    line = _line(0, 0, _xid(79, "GPU has fallen off the bus."))
    return (line for _ in range(_COPIES))


def _45s() -> Iterator[bytes]:
    for node in range(4):
        yield _line(0, node * 70, _xid(79, "GPU has fallen off the bus.", 0))
    for number in range(_LINES):
        caused = " caused by previous Xid 13" if number % 7 == 0 else ""
        yield _line(number, number % _NODES, _xid(45, f"Ch 00000008{caused}", number // _NODES % _GPUS))


def _others(between: int) -> Iterator[bytes]:
    storm, number = _xid(45, "Ch 00000008"), 0
    for other in range(_OTHERS):
        for _ in range(between):
            number += 1
            yield _line(number, 0, storm)
        number += 1
        yield _line(number, other + 1, _xid(79, "GPU has fallen off the bus."))


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


async def _no_pause(_: timedelta) -> None:
    """Nobody watches."""


async def _run(folder: Path, lines: Iterable[bytes]) -> _Run:
    log, policy, records = folder / "storm.log", folder / "cordon.yaml", folder / "records.ndjson"
    with log.open("wb") as file:
        file.writelines(lines)
    policy.write_text(_POLICY)
    options = [
        f"sources=[{{type: file, path: {log}}}]",
        "cluster={type: simulated}",
        f"policies=[{policy}]",
        f"sinks=[{{type: file, path: {records}, fsync: never}}]",
        "guards.max_nodes=1000",
        "execute.settle=0s",
    ]
    run = _Run()
    async with AsyncExitStack() as stack:
        app = build(read_settings(shipped() / "pipeline.yaml", options, {}), _no_pause, run.watch, stack)
        began = time.process_time()
        await app.loop.run()
        run.cpu = time.process_time() - began
    records.unlink()
    return run


def main() -> None:
    """Print a row for each log, then what memory and waiting were."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mixed, copies, over_all, storm, calm = (
            asyncio.run(_run(folder, lines)) for lines in (_mixed(), _copies(), _45s(), _others(_BETWEEN), _others(0))
        )
    base = _MIXED / mixed.cpu
    print(f"{'':<32}{'lines':>9}{'µs a line':>11}{'to mixed':>10}{'incidents':>11}{'rescues':>9}{'counted':>9}")
    rows = (("1 % faults, 1000 nodes", _MIXED, mixed), ("copies of one line", _COPIES, copies))
    for told, lines, run in (*rows, ("45s over 288 nodes", _LINES + 4, over_all)):
        counted, speed = sum(run.counts.values()), lines / run.cpu
        row = f"{told:<32}{lines:>9,}{1e6 / speed:>11.2f}{speed / base:>10.3f}{len(run.counts):>11,}"
        print(f"{row}{run.actions['rescue-planned']:>9}{counted:>9,}")
    assert sum(copies.counts.values()) == _COPIES
    assert (len(copies.counts), copies.actions["rescue-planned"]) == (1, 1)
    assert sum(over_all.counts.values()) == _LINES + 4
    assert over_all.actions["rescue-planned"] == 4
    after = ", ".join(
        f"{mark:,}: {memory / copies.memory[0]:.2f}" for mark, memory in zip(_MARKS, copies.memory, strict=True)
    )
    print(f"\nmemory of the process after so many copies, to that after {_MARKS[0]:,}: {after}")
    within, without = statistics.median(storm.waited), statistics.median(calm.waited)
    assert len(storm.waited) == len(calm.waited) == _OTHERS
    print(f"from a fault's first record to its cordon, in a storm to without: {within / without:.2f}")


if __name__ == "__main__":
    main()
