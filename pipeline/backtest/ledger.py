"""The ledger of a trial: what became of each rescue and each skipped fault, and no more than is told of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from pipeline.backtest.journal import told
from pipeline.backtest.report import RescueTold
from pipeline.model.rescue import EventAction, Rescue
from sinks.base import Query, Record


@dataclass(slots=True)
class Skipped:
    """Faults of one code that led to no rescue for one reason."""

    incidents: int = 0
    lines: int = 0
    nodes: set[str] = field(default_factory=set)


class Ledger:
    """A sink that keeps counts instead of records, and takes rescues as they end; it grows with these, not with lines.

    `skips` are by reason and fault, `reasons` tells by incident why it was skipped.
    """

    def __init__(self) -> None:
        self.rescues: dict[str, RescueTold] = {}
        self.skips: dict[tuple[str, str], Skipped] = {}
        self.reasons: dict[str, str] = {}
        self._counts: dict[str, tuple[Skipped, int]] = {}

    def note(self, rescue: Rescue) -> None:
        """Take a rescue as it stands; again when more has come of it."""
        self.rescues[rescue.name] = told(rescue)

    async def write(self, records: Sequence[Record]) -> None:
        """Count the skipped faults, and how often they were seen."""
        for record in records:
            name, _, number = record.id.partition("/")
            match record.document["event"]["action"]:
                case EventAction.FAULT_SKIPPED:
                    self._skip(name, record)
                case EventAction.FAULT_REPEATED if number.startswith("repeated/"):
                    self._repeat(name, int(record.document["gpu_rescue"]["fault"]["count"]))

    async def reach(self) -> str:
        """Tell how many rescues there are."""
        return f"a ledger, {len(self.rescues)} rescues"

    async def read(self, query: Query) -> AsyncIterator[Record]:
        """Yield nothing: no record is kept."""
        nothing: Sequence[Record] = ()
        for record in nothing:
            yield record

    async def close(self) -> None:
        """There is nothing to close."""

    def _skip(self, name: str, record: Record) -> None:
        body = record.document
        reason, fault = str(body["event"]["reason"]), body["gpu_rescue"]["fault"]
        skipped = self.skips.setdefault((reason, f"{fault['kind']} {fault['code']}"), Skipped())
        skipped.incidents += 1
        skipped.lines += 1
        skipped.nodes.add(body.get("host", {}).get("name", ""))
        self.reasons[name] = reason
        self._counts[name] = skipped, 1

    def _repeat(self, name: str, count: int) -> None:
        if name in self._counts:
            skipped, known = self._counts[name]
            skipped.lines += count - known
            self._counts[name] = skipped, count
