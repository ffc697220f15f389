"""A trial: one set of policies, over a simulated cluster of its own, on the log's own time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.backtest.ledger import Ledger
from pipeline.backtest.outcome import outcome
from pipeline.backtest.report import Outcome
from pipeline.cluster.memory import SimulatedCluster
from pipeline.enrich.labels import Enricher
from pipeline.execute.replay import Replay
from pipeline.model.fault import Fault, Sighting
from pipeline.model.line import LogLine


@dataclass(slots=True)
class Trial:
    """The parts of one trial; `policies` are the paths it was made from, `nodes` is how many its cluster began with."""

    policies: Sequence[str]
    replay: Replay
    enricher: Enricher
    cluster: SimulatedCluster
    ledger: Ledger
    nodes: int

    async def take(self, line: LogLine, found: Fault | Sighting) -> None:
        """Do all that follows from a line; what it tells of a GPU's identity is learned and moves no time."""
        if isinstance(found, Fault):
            await self.replay.take(line)
        else:
            self.enricher.learn(found)

    async def finish(self) -> datetime | None:
        """Bring every rescue as far as it goes; return when the last one that had begun came to its end."""
        for rescue in await self.replay.finish():
            self.ledger.note(rescue)
        begun = (rescue for rescue in self.ledger.rescues.values() if rescue.out_from is not None)
        return max((rescue.ended for rescue in begun if rescue.ended is not None), default=None)

    def outcome(self, until: datetime) -> Outcome:
        """Return what would have come of the policies, up to *until*."""
        return outcome(self.ledger, self.policies, len(self.cluster.nodes()) - self.nodes, until)
