"""The real /dev/kmsg: a fault that is written to it is read from it."""

import asyncio
import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.sources.kmsg import KmsgSource, KmsgSourceConfig
from pipeline.sources.port import Delivery

DEVICE = Path("/dev/kmsg")
SEED = "NVRM: Xid (0000:03:00): 62, Channel 00000001"


def refusal(flags: int) -> str | None:
    """Why this machine does not let us open the device; None where it does."""
    try:
        os.close(os.open(DEVICE, flags))
    except OSError as error:
        return f"{DEVICE} cannot be opened on this machine: {error.strerror}"
    return None


UNREADABLE = refusal(os.O_RDONLY)
UNWRITABLE = UNREADABLE or refusal(os.O_WRONLY)


def log(text: str) -> None:
    """Write one record, as `echo` does: without the line feed the kernel would wait for its continuation."""
    descriptor = os.open(DEVICE, os.O_WRONLY)
    try:
        os.write(descriptor, f"<4>{text}\n".encode())
    finally:
        os.close(descriptor)


async def next_of(source: KmsgSource) -> Delivery:
    async with asyncio.timeout(30):
        return await anext(source.deliveries())


@pytest.mark.skipif(UNWRITABLE is not None, reason=str(UNWRITABLE))
@pytest.mark.parametrize("start", ["beginning", "end"])
async def test_the_seed_line_is_read_back(start: str, tmp_path: Path) -> None:
    mark = f"{SEED} {uuid.uuid4()}"
    settings = KmsgSourceConfig.model_validate({"start": start, "positions": tmp_path / "p", "node": "gpu-01"})
    source = KmsgSource(settings, lambda record: mark.encode() in record)
    waiting = asyncio.ensure_future(next_of(source))
    # One turn of the loop takes the source to its start, before the line is written.
    await asyncio.sleep(0)
    log(mark)
    delivery = await waiting
    assert delivery.payload.split(b";", 1)[1] == mark.encode()
    assert delivery.key == "gpu-01"
    assert delivery.time is not None
    assert abs(delivery.time - datetime.now(UTC)) < timedelta(seconds=30)
    await delivery.ack()
    await source.close()

    log(f"{mark} again")
    second = KmsgSource(settings, lambda record: mark.encode() in record)
    assert (await next_of(second)).payload.endswith(b" again")
    await second.close()
