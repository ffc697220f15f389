"""A backtest over a made-up log of 1,000 nodes: 1 % of its lines are the driver's, in bursts and storms.

Run with `python -m benchmarks.backtest [LINES]`, 5 million by default. The baseline, in the same run, is a loop over
the file's lines that only looks whether each holds `NVRM`. The time is projected to the 100 million lines of such a
cluster's day, whose density the log has, so that rescues wait and end as they would.
"""

import asyncio
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.app import build_backtest
from pipeline.backtest.backtest import Span
from pipeline.backtest.logs import past_logs
from pipeline.backtest.report import Report
from pipeline.settings import read_settings, shipped
from pipeline.telemetry import configure_logging

_LINES, _DAY = 5_000_000, 100_000_000
_START = datetime(2024, 11, 20, tzinfo=UTC)
_NODES = [f"gpu-{number:04}" for number in range(1000)]
_PCI = [f"0000:{bus:02x}:00" for bus in (0x1A, 0x3B, 0x5E, 0x86, 0xAF, 0xD8, 0xE1, 0xF3)]
_NOISE = (
    "mlx5_core 0000:9d:00.0 ens3f0np0: Link up, and then some more text as long as a kernel line usually is",
    "docker0: port 1(veth0a1b2c) entered blocking state",
    "perf: interrupt took too long (2613 > 2500), lowering kernel.perf_event_max_sample_rate to 76000",
    'audit: type=1400 audit(1701517127.123:45): apparmor="STATUS" operation="profile_load" profile="unconfined"',
)
_APPLICATION = (
    (13, "pid=7, name=python3, Graphics Exception: ChID 000c, Class 0000cbc0, Offset 00000000, Data 00000000"),
    (31, "pid=7, name=python3, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted"),
    (43, "pid=7, name=python3, Ch 00000010"),
    (45, "pid=7, name=python3, Ch 0000000c"),
)
_MACHINE = (
    (79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus."),
    (48, "pid='<unknown>', name=<unknown>, DBE (double bit error) at SBE 0x1, partition 2"),
    (119, "pid=7, name=python3, Timeout after 6s of waiting for RPC response from GPU0 GSP!"),
    (62, "pid=7, name=python3, 0000(0000) 00000000 00000000"),
)
_POLICY = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: reboots}
spec:
  rules:
  - priority: 10
    errorCode: ["48", "62", "79", "119"]
    actions:
    - name: cordon
    - name: drain
    - {name: reboot, attribute: {waittime: 1min, unCordon: "true"}}
"""
_AGAINST = _POLICY.replace('"48", "62", "79", "119"', '"79"').replace("reboots", "fewer")


def _driver_lines(chance: random.Random) -> Iterator[tuple[str, str]]:
    """Node and text of one line of the driver after the other: short bursts, and every now and then a storm."""
    while True:
        node, pci = chance.choice(_NODES), chance.choice(_PCI)
        kind = chance.random()
        if kind < 0.01:
            code, text, most = *chance.choice(_MACHINE), 3
        else:
            code, text, most = *chance.choice(_APPLICATION), 5_000 if kind < 0.012 else 20
        for _ in range(chance.randint(1, most)):
            yield node, f"NVRM: Xid (PCI:{pci}): {code}, {text}"


def write_log(path: Path, lines: int) -> None:
    """Write the log; the same for the same number of lines."""
    chance, step = random.Random(11), timedelta(days=1) / _DAY
    driver = _driver_lines(chance)
    with path.open("w", buffering=1 << 20) as file:
        for number in range(lines):
            if number % 1000 == 0:
                stamp = (_START + number * step).isoformat(timespec="microseconds")
            node, text = (
                next(driver) if chance.random() < 0.01 else (_NODES[number * 7 % 1000], _NOISE[number % len(_NOISE)])
            )
            file.write(f"{stamp} {node} kernel: [{number}.123456] {text}\n")


def _plain(path: Path) -> float:
    began = time.process_time()
    with path.open("rb") as file:
        found = sum(b"NVRM" in line for line in file)
    assert found
    return time.process_time() - began


def _backtest(path: Path, *policies: Path) -> tuple[float, Report]:
    nodes = path.with_suffix(".yaml")
    nodes.write_text("nodes:\n" + "".join(f"- {{name: {name}}}\n" for name in _NODES))
    settings = read_settings(shipped() / "pipeline.yaml", [f"cluster={{type: simulated, nodes: {nodes}}}"])
    backtest = build_backtest(settings, [[each] for each in policies], past_logs([str(path)]), Span(), lambda _: None)
    began = time.process_time()
    report = asyncio.run(backtest.run())
    return time.process_time() - began, report


def main(lines: int = _LINES) -> None:
    """Print a row for one set of policies, and one for two compared."""
    configure_logging(json=False, level="error")
    with tempfile.TemporaryDirectory() as folder:
        log, proposed, against = (Path(folder) / name for name in ("kernel.log", "proposed.yaml", "against.yaml"))
        write_log(log, lines)
        proposed.write_text(_POLICY)
        against.write_text(_AGAINST)
        base = _plain(log)
        print(
            f"{lines:,} lines, {log.stat().st_size / 1e6:,.0f} MB; a plain loop: {base / lines * 1e6:.2f} µs a line\n"
        )
        head = f"{'':<22}{'µs a line':>11}{'lines/s':>12}{'ratio':>8}{'a day, min':>12}"
        print(f"{head}{'faults':>9}{'rescues':>9}{'MiB':>7}")
        for name, policies in (("one set of policies", [proposed]), ("two sets compared", [proposed, against])):
            took, report = _backtest(log, *policies)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(
                f"{name:<22}{took / lines * 1e6:>11.2f}{lines / took:>12,.0f}{took / base:>8.2f}"
                f"{took / lines * _DAY / 60:>12.1f}{report.log.faults:>9,}{report.proposed.totals.rescues:>9}{peak:>7}"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
