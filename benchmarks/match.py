"""How fast noise is thrown away and faults are read, beside a plain `re` search over the same lines.

Run with `python -m benchmarks.match`. The ratio is taken within the run, so that it can be compared between machines.
`wanted` is the cheap test that every message passes, `match` reads a decoded line. The plain search knows one form of
the Xid and one of the SXid, case-sensitive: it finds less.
"""

import json
import re
import timeit
from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.line import LogLine

_ROOT = Path(__file__).parents[1]
_LINES, _REPEAT = 2_000, 9
_PLAIN = r"NVRM: Xid \((?:PCI:)?([0-9a-f:.]+)\): (\d+), |SXid \(PCI:([0-9a-f:.]+)\): (\d+), "
_NOISE = (
    "IPv6: ADDRCONF(NETDEV_CHANGE): calib2a3b4c5d6: link becomes ready",
    "docker0: port 1(veth0a1b2c) entered blocking state",
    'audit: type=1400 audit(1701517127.123:45): apparmor="STATUS" operation="profile_load" profile="unconfined"',
    "pcieport 0000:00:01.0: AER: Corrected error received: 0000:3b:00.0",
    "perf: interrupt took too long (2613 > 2500), lowering kernel.perf_event_max_sample_rate to 76000",
)


def _envelope(text: str, number: int) -> bytes:
    """Return a line as rsyslog ships it, filled up to 350 bytes if it is shorter."""
    record = {
        "timestamp": "2026-11-20T08:00:05.100000+00:00",
        "hostname": f"gpu-a100-{number % 100:02}",
        "syslogfacility-text": "kern",
        "syslogseverity-text": "info",
        "syslogtag": "kernel:",
        "msg": f" [{900_000 + number}.100000] {text}",
    }
    message = json.dumps(record, separators=(",", ":"))
    return f'{message[:-1]},"cluster":"{"production-cn-beijing-6 " * 9}"'.encode()[:349] + b"}"


def _microseconds(calls: Callable[[], None]) -> float:
    return min(timeit.repeat(calls, number=1, repeat=_REPEAT)) / _LINES * 1e6


def _over(call: Callable[..., object], lines: Iterable[object]) -> Callable[[], None]:
    def calls() -> None:
        for line in lines:
            call(line)

    return calls


def main() -> None:
    """Print one row for noise, and one for each thing that is done to a fault."""
    matcher = Matcher(load_patterns([_ROOT / "config" / "patterns"]))
    corpus = [json.loads(line)["line"] for line in (_ROOT / "tests/data/xid_lines.jsonl").read_text().splitlines()]
    faults = [line for line in corpus if re.search(_PLAIN, line) and not line.startswith(("{", "[{"))]
    texts = [faults[number % len(faults)] for number in range(_LINES)]
    noise = [_envelope(_NOISE[number % len(_NOISE)], number) for number in range(_LINES)]
    shipped = [_envelope(text, number) for number, text in enumerate(texts)]
    lines = [LogLine(text, str(number), node="gpu-a100-01") for number, text in enumerate(texts)]
    plain, plain_bytes = re.compile(_PLAIN).search, re.compile(_PLAIN.encode()).search
    print(f"{'':<36}{'µs a line':>12}{'lines/s':>14}{'plain re µs':>14}{'ratio':>8}")
    for name, ours, theirs in (
        ("noise in its envelope: wanted", _over(matcher.wanted, noise), _over(plain_bytes, noise)),
        ("faults in their envelope: wanted", _over(matcher.wanted, shipped), _over(plain_bytes, shipped)),
        ("faults decoded: match", _over(matcher.match, lines), _over(plain, texts)),
    ):
        cost, base = _microseconds(ours), _microseconds(theirs)
        print(f"{name:<36}{cost:>12.2f}{1e6 / cost:>14,.0f}{base:>14.2f}{cost / base:>8.2f}")


if __name__ == "__main__":
    main()
