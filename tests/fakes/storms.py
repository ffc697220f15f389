"""Log files of storms, and the run of the whole pipeline over one."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.app import build
from pipeline.settings import read_settings, shipped
from sinks.base import Record
from tests.fakes.faults import NOON

CORDON = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: cordon}
spec:
  rules: [{priority: 10, errorCode: ["79"], actions: [{name: cordon}]}]
"""


def shipped_line(node: str, text: str, after: timedelta) -> bytes:
    """One line as a shipper delivers it, so long after noon."""
    fields = {"@timestamp": (NOON + after).isoformat(), "hostname": node, "msg": text}
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def xid(code: int, message: str, gpu: int = 0) -> str:
    """What the driver prints."""
    return f"NVRM: Xid (PCI:0000:{gpu:02x}:00): {code}, pid=7, name=python3, {message}"


@dataclass
class Told:
    """What the records told, and how many lines had been placed when each of them was safe."""

    placed: Callable[[], int]
    documents: list[dict[str, Any]] = field(default_factory=list)
    at: list[int] = field(default_factory=list)

    def watch(self, batch: Sequence[Record]) -> None:
        """Take in records that are safe."""
        self.documents += [dict(record.document) for record in batch]
        self.at += [self.placed()] * len(batch)

    @property
    def actions(self) -> Counter[str]:
        """How often each thing has happened."""
        return Counter(str(document["event"]["action"]) for document in self.documents)

    def counts(self) -> dict[tuple[str, str, int, str, str], int]:
        """How often each fault was seen in the end: by node, kind, code and device, and the reason why none follows."""
        counts: dict[tuple[str, str, int, str, str], int] = {}
        for document in self.documents:
            if str(document["event"]["action"]).startswith("fault-"):
                fault = document["gpu_rescue"]["fault"]
                cause = str(fault.get("caused_by_xid", ""))
                key = (document["host"]["name"], fault["kind"], fault["code"], fault["pci"], cause)
                counts[key] = max(counts.get(key, 0), fault["count"])
        return counts

    def when(self, node: str, action: str) -> int:
        """How many lines had been placed when this was told of a node for the first time."""
        return next(
            at
            for at, document in zip(self.at, self.documents, strict=True)
            if document["host"]["name"] == node and document["event"]["action"] == action
        )


async def run(folder: Path, lines: Iterable[bytes], placed: Callable[[], int], *options: str) -> Told:
    """Write the lines into a log, and run the pipeline over it as `gpu-rescue run --source` does."""
    log, policies = folder / "storm.log", folder / "cordon.yaml"
    with log.open("wb") as file:
        file.writelines(lines)
    policies.write_text(CORDON)
    told = Told(placed)
    given = (
        f"sources=[{{type: file, path: {log}}}]",
        "cluster={type: simulated}",
        f"policies=[{policies}]",
        f"sinks=[{{type: file, path: {folder / 'records.ndjson'}, fsync: never}}]",
        *options,
    )
    async with AsyncExitStack() as stack:
        app = build(read_settings(shipped() / "pipeline.yaml", given, {}), _no_pause, told.watch, stack)
        await app.loop.run()
    return told


async def _no_pause(_: timedelta) -> None:
    """Nobody watches."""
