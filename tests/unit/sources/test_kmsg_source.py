"""The kernel's log, played by a device of the test's own: records, gaps, times, and where reading goes on."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import ManualClock
from pipeline.errors import BadInputError
from pipeline.sources.kmsg import KmsgSource, KmsgSourceConfig
from pipeline.sources.port import Delivery

START = datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC)

NOTHING_YET = BlockingIOError()
OVERWRITTEN = BrokenPipeError()


class ScriptedDevice:
    """Gives records, or raises errors, as its script says; at its end the stream ends."""

    def __init__(self, script: Iterable[bytes | OSError]) -> None:
        self.script = list(script)
        self.waits = 0
        self.closed = False

    def read(self) -> bytes:
        item = self.script.pop(0) if self.script else b""
        if isinstance(item, OSError):
            raise item
        return item

    async def ready(self) -> None:
        self.waits += 1

    def close(self) -> None:
        self.closed = True


def source(*script: bytes | OSError, clock: ManualClock | None = None, **settings: Any) -> KmsgSource:
    return KmsgSource(
        KmsgSourceConfig(**settings),
        lambda record: b"noise" not in record,
        clock or ManualClock(START),
        ScriptedDevice(script),
    )


def record(sequence: int, text: str = "NVRM: x", microseconds: int = 1_000_000) -> bytes:
    return f"4,{sequence},{microseconds},-;{text}\n".encode()


async def deliveries(source: KmsgSource) -> list[Delivery]:
    return [delivery async for delivery in source.deliveries()]


def sequences(found: list[Delivery]) -> list[int]:
    return [int(delivery.position.rsplit(":", 1)[1]) for delivery in found]


async def test_each_record_is_a_message() -> None:
    lines = b"6,1,5,-;pci 0000:03:00.0: x\n SUBSYSTEM=pci\n DEVICE=+pci:0000:03:00.0\n"
    kernel = source(lines, record(2, "noise"), record(3), node="gpu-01")
    found = await deliveries(kernel)
    assert [delivery.payload for delivery in found] == [lines.rstrip(b"\n"), b"4,3,1000000,-;NVRM: x"]
    assert {delivery.key for delivery in found} == {"gpu-01"}
    assert (kernel.read, kernel.wanted, kernel.overwritten, kernel.live) == (3, 2, 0, True)


BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


async def test_a_position_names_the_boot_and_the_record() -> None:
    assert [delivery.position for delivery in await deliveries(source(record(4472)))] == [f"kmsg:{BOOT_ID}:4472"]


async def test_records_that_were_overwritten_are_counted_and_reading_goes_on() -> None:
    kernel = source(record(1), OVERWRITTEN, record(5), record(6), OVERWRITTEN, record(9))
    assert sequences(await deliveries(kernel)) == [1, 5, 6, 9]
    assert kernel.overwritten == 5


async def test_what_the_kernel_dropped_before_anybody_read_is_not_counted() -> None:
    kernel = source(record(4472))
    await deliveries(kernel)
    assert kernel.overwritten == 0


async def test_a_record_without_a_header_is_delivered_and_hides_none_after_it() -> None:
    found = await deliveries(source(record(1), b"no header\n", b"4,x,y;z\n", record(2), record(3)))
    assert [delivery.payload.split(b";")[0] for delivery in found] == [
        b"4,1,1000000,-",
        b"no header",
        b"4,x,y",
        b"4,2,1000000,-",
        b"4,3,1000000,-",
    ]


async def test_a_record_that_was_waited_for_is_of_this_moment() -> None:
    clock = ManualClock(START)
    kernel = source(NOTHING_YET, record(1, microseconds=10_000_000), clock=clock)
    assert [delivery.time for delivery in await deliveries(kernel)] == [START]


async def test_a_record_that_lay_there_is_as_old_as_its_distance_from_the_last_one_waited_for() -> None:
    """However long the reader was held up in between."""
    clock = ManualClock(START)
    kernel = source(NOTHING_YET, record(1, microseconds=10_000_000), record(2, microseconds=12_500_000), clock=clock)
    found = []
    async for delivery in kernel.deliveries():
        found.append(delivery.time)
        clock.move_to(START + timedelta(hours=1))
    assert found == [START, START + timedelta(seconds=2.5)]


async def test_the_kernels_clock_may_drift() -> None:
    clock = ManualClock(START)
    kernel = source(
        NOTHING_YET, record(1, microseconds=0), NOTHING_YET, record(2, microseconds=60_000_000), clock=clock
    )
    found = []
    async for delivery in kernel.deliveries():
        found.append(delivery.time)
        clock.move_to(START + timedelta(seconds=61))
    assert found == [START, START + timedelta(seconds=61)]


async def test_what_was_logged_before_is_dated_by_the_time_since_the_boot() -> None:
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    an_hour_ago = int((since_boot - 3600) * 1_000_000)
    (delivery,) = await deliveries(source(record(1, microseconds=an_hour_ago)))
    assert delivery.time is not None
    assert abs(delivery.time - (START - timedelta(hours=1))) < timedelta(seconds=30)


async def test_reading_goes_on_after_the_last_acknowledged_record(tmp_path: Path) -> None:
    positions = tmp_path / "positions"
    first = source(record(1), record(2), record(3), record(4, "noise"), positions=positions)
    found = await deliveries(first)
    await found[0].ack()
    await found[2].ack()
    await first.close()
    second = source(*map(record, range(1, 7)), positions=positions)
    again = await deliveries(second)
    assert sequences(again) == [2, 3, 4, 5, 6]
    for delivery in again:
        await delivery.ack()
    await second.close()
    assert sequences(await deliveries(source(*map(record, range(1, 8)), positions=positions))) == [7]


async def test_records_overwritten_between_two_runs_are_counted(tmp_path: Path) -> None:
    first = source(record(1), positions=tmp_path / "positions")
    for delivery in await deliveries(first):
        await delivery.ack()
    await first.close()
    second = source(record(10), positions=tmp_path / "positions")
    await deliveries(second)
    assert second.overwritten == 8


async def test_after_a_reboot_every_record_is_new(tmp_path: Path) -> None:
    positions = tmp_path / "positions"
    positions.write_text('{"stream": "/dev/kmsg", "position": {"boot_id": "another", "sequence": 4472}}')
    assert sequences(await deliveries(source(record(0), record(1), positions=positions))) == [0, 1]


async def test_closing_lets_go_of_the_device() -> None:
    device = ScriptedDevice([record(1)])
    kernel = KmsgSource(KmsgSourceConfig(), lambda _: True, ManualClock(START), device)
    await deliveries(kernel)
    await kernel.close()
    await kernel.close()
    assert device.closed


async def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    missing = KmsgSource(KmsgSourceConfig(path=tmp_path / "kmsg"), lambda _: True)
    with pytest.raises(BadInputError, match=r"kmsg: cannot be opened: No such file or directory; it takes root"):
        await deliveries(missing)


async def test_a_file_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "kmsg").touch()
    with pytest.raises(BadInputError, match=r"is not the kernel's log device; use a source of type file"):
        await deliveries(KmsgSource(KmsgSourceConfig(path=tmp_path / "kmsg"), lambda _: True))
