"""An intake over a world, and lines for it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline.deadletters import Keep, kept_nowhere
from pipeline.decide.incidents import Incidents
from pipeline.decide.policy import read_policies
from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.documents import parse_documents
from pipeline.enrich.labels import Enricher, EnrichSettings
from pipeline.execute.intake import Intake
from pipeline.execute.patience import Patience
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Recognition
from pipeline.execute.recorder import Recorder
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.line import LogLine
from pipeline.model.rescue import Rescue, Status
from pipeline.settings import shipped
from tests.fakes.faults import line as log_line
from tests.fakes.world import World, gpu_node

PATTERNS = load_patterns([shipped() / "patterns"])
REBOOT_79 = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: reboot}
spec:
  rules:
  - priority: 10
    errorCode: ["79"]
    actions: [{name: cordon}, {name: drain}, {name: reboot, attribute: {unCordon: "true"}}]
"""
OFF_THE_BUS = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
COMPANION = "NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus."
APPLICATION = "NVRM: Xid (PCI:0000:3b:00): 13, pid=7, name=python3, Graphics Exception"


class Inside:
    """An intake over a world."""

    def __init__(
        self,
        policies: str = REBOOT_79,
        world: World | None = None,
        settle: timedelta = timedelta(0),
        keep: Keep = kept_nowhere,
    ) -> None:
        self.text, self.settle = policies, settle
        self.world = world or World([gpu_node("gpu-1"), gpu_node("gpu-2")])
        if self.world.settle != settle:
            self.world.settles(settle)
        self.policies = PolicyBook(read_policies(parse_documents(policies, "p.yaml")), self.world.cluster)
        self.pauses: list[float] = []
        self.incidents = Incidents(self.world.guards)
        self.policies.on_change(self.incidents.forget_skipped)
        patience = Patience(self._pause)
        enricher = Enricher(self.world.cluster, PATTERNS.catalogue, EnrichSettings())
        self.recognition = Recognition(Decoder(DecodeSettings()), Matcher(PATTERNS), enricher, self.world.clock, keep)
        self.intake = Intake(
            self.recognition,
            self.policies,
            self.incidents,
            self.world.store,
            Recorder(self.world.sink, self.world.store, patience=patience),
            self.world.guards,
            self.world.clock,
            settle,
            patience,
        )

    async def _pause(self, seconds: float) -> None:
        """Wait for the sink, which comes back at the third time."""
        self.pauses.append(seconds)
        self.world.sink.away = len(self.pauses) < 3

    async def take(self, text: str, at: datetime | None = None, node: str | None = "gpu-1") -> None:
        """Let a line of that text come in, stamped and received at *at* (now, if not given)."""
        moment = at or self.world.clock.now()
        self.world.clock.move_to(moment)
        await self.intake.handle(self.line(text, moment, node))

    def line(self, text: str, at: datetime, node: str | None = "gpu-1") -> LogLine:
        """A line that was written at *at*, whenever it comes in."""
        return log_line(text, time=at, node=node, position=f"log:{at.isoformat()}")

    def told(self, field: str) -> list[Any]:
        """One field of every record's event."""
        return [record.document["event"].get(field) for record in self.world.sink.records]

    @property
    def statuses(self) -> Sequence[Status]:
        """The status of every rescue."""
        return [rescue.status for rescue in self.world.store.all()]

    def rescue(self) -> Rescue:
        """The only rescue that there is."""
        (found,) = self.world.store.all()
        return found

    def restarted(self) -> "Inside":
        """Another process over the same world, which has read the store."""
        again = Inside(self.text, self.world, self.settle)
        again.intake.restore()
        return again
