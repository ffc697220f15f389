"""What it costs to open an envelope: µs per message, and how many times that of only parsing its JSON, or its UTF-8.

Run with `python -m benchmarks.decode`. The ratio is taken within the run, so that it can be compared between machines.
"""

import json
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import orjson

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings

_NUMBER, _REPEAT = 1_000, 5
_TEXT = (
    "NVRM: Xid (PCI:0000:3b:00): 31, pid=1234, name=python3, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS "
    "GPCCLIENT_T1_0 faulted @ 0x7f45_16e00000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ"
)
_STAMP = "2024-07-04T03:09:40.802301Z"
_SYSLOG = f"Jul  4 11:09:40 gpu-1 kernel: [ 3023.054882] {_TEXT}"

_RECORDS: dict[str, object] = {
    "rsyslog": {"timestamp": _STAMP, "hostname": "gpu-1", "syslogtag": "kernel:", "msg": f" [ 3023.054882] {_TEXT}"},
    "fluent-bit in_kmsg": {"@timestamp": 1720062580.0, "sec": 3023, "usec": 54890, "msg": _TEXT, "host": "gpu-1"},
    "fluent-bit in_systemd": {
        "@timestamp": 1720062580.12,
        "_TRANSPORT": "kernel",
        "SYSLOG_FACILITY": "0",
        "SYSLOG_IDENTIFIER": "kernel",
        "_HOSTNAME": "gpu-1",
        "_BOOT_ID": "b03ed610f21d46ab8243a495ba5a0058",
        "MESSAGE": _TEXT,
    },
    "filebeat": {
        "@timestamp": _STAMP,
        "message": _SYSLOG,
        "log": {"file": {"path": "/var/log/messages"}, "offset": 88213},
        "host": {"name": "gpu-1"},
    },
    "vector": {"host": "gpu-1", "message": _TEXT, "source_type": "file", "timestamp": _STAMP},
    "journal, bytes": {
        "__REALTIME_TIMESTAMP": "1720062580802301",
        "_HOSTNAME": "gpu-1",
        "MESSAGE": list(_TEXT.encode()),
    },
    "loki push": {"streams": [{"stream": {"hostname": "gpu-1"}, "values": [["1720062580802301000", _TEXT]]}]},
    "array of 100 records": [{"hostname": "gpu-1", "msg": _TEXT}] * 100,
}
_LINES: dict[str, str] = {
    "bare text": _TEXT,
    "dmesg": f"[ 3023.054882] {_TEXT}",
    "kmsg": f"3,4472,3023054890,-;{_TEXT}",
    "syslog RFC 3164": _SYSLOG,
    "syslog RFC 5424": f"<3>1 {_STAMP} gpu-1 kernel - - - [ 3023.054882] {_TEXT}",
    "container log": f"{_STAMP} stdout F {_TEXT}",
    "broken JSON": json.dumps({"hostname": "gpu-1", "msg": _TEXT})[:-10],
}


def _microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=_NUMBER, repeat=_REPEAT)) / _NUMBER * 1e6


def main() -> None:
    """Print one row per envelope."""
    decoder = Decoder(DecodeSettings())
    received = datetime(2024, 7, 4, 12, 0, tzinfo=UTC)
    messages = {name: orjson.dumps(record) for name, record in _RECORDS.items()}
    messages |= {name: line.encode() for name, line in _LINES.items()}
    print(f"{'envelope':<24}{'bytes':>8}{'decode µs':>12}{'parse µs':>12}{'ratio':>8}")
    for name, message in messages.items():
        parse: Callable[[bytes], object] = orjson.loads if name in _RECORDS else bytes.decode
        cost = _microseconds(partial(decoder.decode, message, "p", received=received))
        base = _microseconds(partial(parse, message))
        print(f"{name:<24}{len(message):>8}{cost:>12.2f}{base:>12.2f}{cost / base:>8.1f}")


if __name__ == "__main__":
    main()
