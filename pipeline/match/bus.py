"""The three lines in which the driver says that a GPU has fallen off the bus; shippers deliver them as three records.

    NVRM: The NVIDIA GPU 0000:b3:00.0
    NVRM: (PCI ID: 10de:26b5) installed in this system has
    NVRM: fallen off the bus and is not responding to commands.

Only the third is a fault, and only the first names the GPU. It is counted as Xid 79, inferred. Source of the text:
nv-pci.c of open-gpu-kernel-modules.
"""

import re
from collections import OrderedDict, deque
from datetime import datetime, timedelta

from pipeline.match.message import Driver, Message
from pipeline.match.xid import PCI, normalised
from pipeline.model.fault import Fault
from pipeline.model.line import LogLine

_FLAGS = re.IGNORECASE | re.ASCII
_BETWEEN = r"(?:\s|\\n|#012|\\x0a|NVRM:){0,9}"
"""What is left of the line breaks where a shipper delivers the three lines as one."""

_FIRST = re.compile(r"The NVIDIA GPU " + PCI, _FLAGS)
_SECOND = re.compile(r"(?:\(PCI ID:[^()]*\)\s*)?installed in this system\b", _FLAGS)
_THIRD = re.compile(r"fallen off the bus\b", _FLAGS)
_WHOLE = re.compile(
    _BETWEEN + r"(?:\(PCI ID:[^()]*\))?" + _BETWEEN + r"installed in this system has" + _BETWEEN + _THIRD.pattern,
    _FLAGS,
)
_MESSAGE = "GPU has fallen off the bus."


class Falls:
    """Remembers, per node, the GPUs that a first line named until a third line says what became of them.

    Two GPUs of a node may fall at once: the first named is the first fallen. Nothing is kept for longer than *window*
    of the lines' own time, nor for more than *max_nodes* nodes and *max_gpus* GPUs of each; the oldest are forgotten.
    `uses` is how often lines have had to do with it: what a line tells then may be told otherwise the next time.
    """

    def __init__(self, max_nodes: int = 1024, max_gpus: int = 32, window: timedelta = timedelta(seconds=10)) -> None:
        self._nodes: OrderedDict[str | None, deque[tuple[str, datetime | None]]] = OrderedDict()
        self._max_nodes, self._max_gpus, self._window = max_nodes, max_gpus, window
        self.uses = 0

    def named(self, line: LogLine, pci: str) -> None:
        """Note that a first line named *pci*."""
        self.uses += 1
        self._nodes.setdefault(line.node, deque(maxlen=self._max_gpus)).append((pci, line.time))
        self._nodes.move_to_end(line.node)
        if len(self._nodes) > self._max_nodes:
            self._nodes.popitem(last=False)

    def taken(self, line: LogLine) -> str | None:
        """Return and forget the GPU that was named first on the line's node; None if none was, or too long ago."""
        self.uses += 1
        waiting = self._nodes.get(line.node, deque())
        found = None
        while waiting and found is None:
            pci, time = waiting.popleft()
            if time is None or line.time is None or abs(line.time - time) <= self._window:
                found = pci
        if not waiting:
            self._nodes.pop(line.node, None)
        return found


def read_fall(message: Message, falls: Falls) -> Fault | None:
    """Return the fault that a third line (or all three in one) reports; a third line alone has no address."""
    body = message.body
    if message.driver is not Driver.GPU:
        return None
    if first := _FIRST.match(body):
        if _WHOLE.match(body, first.end()):
            return _fall(message.line, normalised(first))
        falls.named(message.line, normalised(first))
    elif _SECOND.match(body):
        if "not supported" in body:
            falls.taken(message.line)
    elif _THIRD.match(body):
        return _fall(message.line, falls.taken(message.line))
    return None


def begins_fall(body: str) -> bool:
    """Tell whether a message of the driver is the first or second of the three lines, which say nothing alone."""
    return (_FIRST.match(body) or _SECOND.match(body)) is not None


def _fall(line: LogLine, pci: str | None) -> Fault:
    return Fault(kind="xid", code=79, pci=pci, message=_MESSAGE, rule="bus", line=line, inferred=True)
