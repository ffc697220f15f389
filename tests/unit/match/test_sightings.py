"""What the driver says beside its faults."""

import pytest

from pipeline.model.fault import DriverLoaded, GpuSeen, SerialSeen, Sighting, UnknownDriverLine
from pipeline.model.line import LogLine
from tests.unit.match.conftest import Read

GPU = "NVRM: GPU at PCI:0000:26:00: GPU-b50e4ccf-0000-0000-0000-000000000000"
SERIAL = "NVRM: GPU Board Serial Number: 1650423013443"
LOADED = "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024"
OPEN = "[ 5.1] NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build"
ODD = "NVRM: nvAssertFailedNoLog: Assertion failed: 0 @ kern_bus.c:123"

SIGHTINGS: dict[str, tuple[str, Sighting | None]] = {
    "a UUID": (GPU, GpuSeen("0000:26:00", "GPU-b50e4ccf-0000-0000-0000-000000000000", LogLine(GPU, "1"))),
    "a serial number": (SERIAL, SerialSeen("1650423013443", LogLine(SERIAL, "1"))),
    "a load of the driver": (LOADED, DriverLoaded(LogLine(LOADED, "1"))),
    "a load of the open driver": (OPEN, DriverLoaded(LogLine(OPEN, "1"))),
    "a line that no pattern knows": (ODD, UnknownDriverLine(LogLine(ODD, "1"))),
    "a switch that is opened": ("nvidia-nvswitch0: open (major=510)", None),
    "half of a fall": ("NVRM: The NVIDIA GPU 0000:b3:00.0", None),
    "noise": ("usb 1-1: new device", None),
    "a word about Xids": ("[  219.4] myapp: printing NVRM Xid docs: see Xid 79 table", None),
}


@pytest.mark.parametrize(("text", "sighting"), SIGHTINGS.values(), ids=SIGHTINGS)
def test_a_sighting(text: str, sighting: Sighting | None, read: Read) -> None:
    assert read(text) == sighting
