"""The whole intake over a file: 200,000 lines, 1 % faults, as `gpu-rescue run --source` reads them.

Run with `python -m benchmarks.pipeline`. The baseline, in the same run, is a loop that reads the file line by line and
does a plain `re` search on each. Then the same over 200,000 copies of one fault: what a storm costs, and what memory.
"""

import asyncio
import json
import re
import resource
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.app import build
from pipeline.settings import read_settings, shipped

_LINES = 200_000
_PLAIN = re.compile(rb"NVRM: Xid \((?:PCI:)?([0-9a-f:.]+)\): (\d+), ").search
_START = datetime(2026, 11, 20, tzinfo=UTC)
_NOISE = "mlx5_core 0000:9d:00.0 ens3f0np0: Link up, and then some more text as long as a kernel line usually is"
_FAULT = "NVRM: Xid (PCI:0000:3b:00): 13, pid=7, name=python3, Graphics Exception: ChID 000c, Class 0000cbc0"


def _line(number: int, text: str, node: int) -> str:
    stamp = (_START + timedelta(milliseconds=10 * number)).isoformat()
    fields = {"@timestamp": stamp, "hostname": f"gpu-{node:04}", "priority": 3, "cluster": "x" * 120, "msg": text}
    return json.dumps(fields, separators=(",", ":"))


def _write(path: Path, faults_every: int, nodes: int) -> None:
    with path.open("w") as file:
        for number in range(_LINES):
            text = _FAULT if number % faults_every == 0 else _NOISE
            file.write(_line(number, text, number // 100 % nodes) + "\n")


def _plain(path: Path) -> float:
    began = time.process_time()
    with path.open("rb") as file:
        found = sum(_PLAIN(line) is not None for line in file)
    assert found
    return time.process_time() - began


async def _no_pause(_: timedelta) -> None:
    """Nobody watches."""


async def _intake(path: Path) -> tuple[float, int]:
    options = [f"sources=[{{type: file, path: {path}}}]", "cluster={type: simulated}"]
    records = path.with_suffix(".records")
    options += [f"sinks=[{{type: file, path: {records}, fsync: never}}]"]
    async with AsyncExitStack() as stack:
        app = build(read_settings(shipped() / "pipeline.yaml", options), _no_pause, lambda _: None, stack)
        began = time.process_time()
        await app.loop.run()
        took = time.process_time() - began
    return took, len(records.read_bytes().splitlines())


def main() -> None:
    """Print a row for the mixed log and one for the storm."""
    print(f"{'':<24}{'µs a line':>11}{'lines/s':>12}{'plain µs':>10}{'ratio':>7}{'records':>9}{'peak MiB':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name, faults_every, nodes in (("1 % faults, 1000 nodes", 100, 1000), ("a storm on one node", 1, 1)):
            path = Path(folder) / f"every-{faults_every}.log"
            _write(path, faults_every, nodes)
            took, records = asyncio.run(_intake(path))
            base = _plain(path)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            ours, plain = took / _LINES * 1e6, base / _LINES * 1e6
            print(
                f"{name:<24}{ours:>11.2f}{1e6 / ours:>12,.0f}{plain:>10.2f}{ours / plain:>7.1f}{records:>9}{peak:>10}"
            )


if __name__ == "__main__":
    main()
