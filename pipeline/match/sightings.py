"""What the driver says beside its faults: a GPU's UUID and serial, that it was loaded, and what no pattern knows."""

import re

from pipeline.match.bus import begins_fall
from pipeline.match.message import Driver, Message
from pipeline.match.xid import PCI, normalised
from pipeline.model.fault import DriverLoaded, GpuSeen, SerialSeen, Sighting, UnknownDriverLine

_FLAGS = re.IGNORECASE | re.ASCII
_GPU = re.compile(r"GPU\s+at\s+" + PCI + r"\s*:\s*(?P<uuid>GPU-[0-9a-f]{8}[0-9a-f-]*)", _FLAGS)
_SERIAL = re.compile(r"GPU Board Serial Number\s*:\s*(?P<serial>\w[\w-]{0,63})", _FLAGS)
_SXID = re.compile(r"SXid\b", _FLAGS)
_LOADED = re.compile(r"loading NVIDIA UNIX [^\n]{0,100}\bKernel Module\b", _FLAGS)


def read_sighting(message: Message) -> Sighting | None:
    """Return what a line that is no fault tells of the driver, None if it tells nothing."""
    body = message.body
    if message.driver is None:
        return UnknownDriverLine(message.line) if message.quoted else None
    if message.driver is Driver.NVSWITCH:
        return UnknownDriverLine(message.line) if _SXID.match(body) else None
    if gpu := _GPU.match(body):
        return GpuSeen(normalised(gpu), "GPU-" + gpu["uuid"][4:].lower(), message.line)
    if serial := _SERIAL.match(body):
        return SerialSeen(serial["serial"], message.line)
    if _LOADED.match(body):
        return DriverLoaded(message.line)
    return None if begins_fall(body) else UnknownDriverLine(message.line)
