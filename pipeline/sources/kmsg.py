"""The kernel's own log, /dev/kmsg, a record at a time.

Format and behaviour of the device: Documentation/ABI/testing/dev-kmsg of the Linux kernel. A record is
`PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,...];TEXT` and lines ` KEY=VALUE`; one read returns one record.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

import structlog
from pydantic import Field

from pipeline.clock import Clock, WallClock
from pipeline.documents import Strict
from pipeline.sources.kmsg_device import Device, Kmsg
from pipeline.sources.outstanding import Outstanding, Ticket
from pipeline.sources.port import Delivery, Wanted
from pipeline.sources.positions import PositionFile

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_log = structlog.get_logger()


class KmsgSourceConfig(Strict):
    """The log of the kernel that this machine runs, a message per record."""

    type: Literal["kmsg"] = "kmsg"
    path: Path = Field(Path("/dev/kmsg"), description="The device.")
    start: Literal["beginning", "end"] = Field(
        "beginning",
        description="Where to start without a saved position of this boot: with all that the kernel still holds, or "
        "with what comes. At the beginning nothing is missed, and what is stale is recorded and skipped.",
    )
    positions: Path | None = Field(
        None,
        description="File that keeps the position over a restart. Without it reading starts as `start` says, every "
        "time.",
    )
    node: str | None = Field(
        None,
        min_length=1,
        description="Host name to give the records. Default: this machine's, since they are its own.",
    )


@dataclass(frozen=True, slots=True)
class KmsgMark:
    """A place in the kernel's log: the boot, and the sequence number of the record that comes next."""

    boot_id: str
    sequence: int


class KmsgSource:
    """Reads the records of the kernel's log, as the kernel gives them.

    `read` counts them, `wanted` those delivered, `overwritten` those that the kernel dropped before they could be read.
    `Delivery.position` is `kmsg:BOOT-ID:SEQUENCE`.

    `Delivery.time` comes from the record's microseconds, which a clock of the kernel's own counts from the boot: it
    drifts and stands still in a suspend. Where its zero lies on the wall clock is therefore taken anew with each
    record that was waited for, and so is of this moment. For what the kernel held before the first of them it is the
    wall clock less CLOCK_BOOTTIME, which counts suspends: a record may look older than it is, so that none acts stale.
    """

    def __init__(
        self, settings: KmsgSourceConfig, wanted: Wanted, clock: Clock | None = None, device: Device | None = None
    ) -> None:
        """Read from *device*, or from the one that the settings name."""
        self.read = self.wanted = self.overwritten = 0
        self._settings = settings
        self._test = wanted
        self._clock = clock or WallClock()
        self._device = device
        self._key = settings.node or socket.gethostname()
        self._positions = (
            PositionFile(settings.positions, str(settings.path), KmsgMark, self._clock) if settings.positions else None
        )
        self._outstanding: Outstanding[KmsgMark | None] = Outstanding(None)
        self._boot_id = ""
        self._first = self._expected = 0
        self._zero: datetime | None = None
        self._closed = False

    @property
    def live(self) -> bool:
        """True: the kernel goes on."""
        return True

    async def reach(self) -> str:
        """Open the device; raise BadInputError if that fails."""
        Kmsg(self._settings.path, from_end=True).close()
        return str(self._settings.path)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield the wanted records; raise BadInputError if the device, or the position's file, cannot be used."""
        device = self._begin()
        waited = False
        while not self._closed:
            try:
                record = device.read()
            except BlockingIOError:
                waited = True
                await self._wait(device)
                continue
            except BrokenPipeError:
                _log.warning("kmsg.overwritten", path=str(self._settings.path), next=self._expected)
                await asyncio.sleep(0)
                continue
            if not record:
                return
            delivery = self._take(record, waited)
            waited = False
            if delivery:
                yield delivery
            elif self.read % 100 == 0:
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Save the position and close the device."""
        if not self._closed:
            self._closed = True
            if self._positions and self._outstanding.safe:
                await self._positions.save(self._outstanding.safe)
            if self._device:
                self._device.close()

    def _begin(self) -> Device:
        self._boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
        saved = self._positions.load() if self._positions else None
        if saved and saved.boot_id != self._boot_id:
            # Everything of a boot that came after the saved position is new.
            saved = KmsgMark(self._boot_id, 0)
        if self._device is None:
            self._device = Kmsg(self._settings.path, from_end=saved is None and self._settings.start == "end")
        if self._positions and saved:
            self._positions.create(saved)
        self._outstanding = Outstanding(saved)
        self._expected = self._first = saved.sequence if saved else 0
        return self._device

    def _take(self, record: bytes, waited: bool) -> Delivery | None:
        sequence, since_boot = _header(record, self._expected)
        if sequence < self._first:
            return None
        self.overwritten += max(sequence - self._expected, 0) if self._expected else 0
        self._expected = sequence + 1
        self.read += 1
        moment = self._time(since_boot, waited)
        wanted = self._test(record)
        ticket = self._outstanding.hand_out(KmsgMark(self._boot_id, sequence)) if wanted else None
        self._outstanding.reached = KmsgMark(self._boot_id, sequence + 1)
        if ticket is None:
            return None
        self.wanted += 1
        position = f"kmsg:{self._boot_id}:{sequence}"
        return Delivery(record.rstrip(b"\n"), position, partial(self._acknowledge, ticket), moment, self._key)

    def _time(self, since_boot: timedelta | None, waited: bool) -> datetime:
        now = self._clock.now()
        if since_boot is None:
            return now
        if waited:
            self._zero = now - since_boot
        elif self._zero is None:
            self._zero = now - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
        return self._zero + since_boot

    async def _acknowledge(self, ticket: Ticket[KmsgMark | None]) -> None:
        self._outstanding.acknowledge(ticket)
        await self._save_when_due()

    async def _wait(self, device: Device) -> None:
        """Wait for a record, and look up once a second for a position that is due to be saved."""
        await self._save_when_due()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await device.ready()

    async def _save_when_due(self) -> None:
        if self._positions and self._outstanding.safe:
            await self._positions.offer(self._outstanding.safe)


def _header(record: bytes, expected: int) -> tuple[int, timedelta | None]:
    """Return sequence number and time since the boot; for a record without them the expected number and None."""
    try:
        _, sequence, microseconds = record[: record.index(b";")].split(b",")[:3]
        return int(sequence), timedelta(microseconds=int(microseconds))
    except (ValueError, OverflowError):
        return expected, None
