"""The whole pipeline behind its sources, put together as `app` does it: what is done, what is rehearsed, and drills."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.app import executions
from pipeline.cluster.memory import twin
from pipeline.decide.guards import GuardSettings
from pipeline.decide.incidents import Incidents
from pipeline.decide.policy import PolicySet, read_policies
from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.documents import parse_documents
from pipeline.enrich.labels import Enricher, EnrichSettings
from pipeline.execute.intake import Intake
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.store import RescueStore
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.node import Node, Pod
from pipeline.model.rescue import Rescue
from pipeline.settings import Settings, SimulatedClusterConfig, shipped
from pipeline.sources.stdin import StdinSourceConfig
from sinks.file import FileSinkConfig
from tests.fakes.faults import line as log_line
from tests.fakes.loops import simulated_site
from tests.fakes.world import World, gpu_node

PATTERNS = load_patterns([shipped() / "patterns"])
_LONGEST = timedelta(hours=6)


def policy(name: str, code: str, actions: str, *, dry_run: bool = False, priority: int = 10) -> str:
    """A manifest of one rule, to be joined with others by `---`."""
    return f"""
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {{name: {name}}}
spec:
  dryRun: {str(dry_run).lower()}
  rules: [{{priority: {priority}, errorCode: ["{code}"], actions: [{actions}]}}]
"""


CORDON = "{name: cordon}"
REBOOT = '{name: cordon}, {name: drain}, {name: reboot, attribute: {unCordon: "true"}}'
OFFLINE = "{name: offline}"


class Theatre:
    """A world with an intake, and all who execute over it."""

    def __init__(
        self,
        *policies: str,
        nodes: Sequence[Node] = (),
        pods: Sequence[Pod] = (),
        store: RescueStore | None = None,
        dry_run: bool = False,
        **guards: Any,
    ) -> None:
        nodes = nodes or [gpu_node("gpu-1"), gpu_node("gpu-2")]
        self.world = World(nodes, pods, store=store, guards=GuardSettings.model_validate(guards))
        world = self.world
        settings = Settings(
            sources=[StdinSourceConfig(type="stdin")],
            cluster=SimulatedClusterConfig(type="simulated"),
            sinks=[FileSinkConfig(type="file", path=Path("unused"))],
            guards=world.guards,
            dry_run=dry_run,
        )
        self.stage = twin(world.cluster, world.clock)
        self.dry_run = dry_run
        self.policies = PolicyBook(self._read(policies), world.cluster)
        self.incidents = Incidents(world.guards)
        self.policies.on_change(self.incidents.forget_skipped)
        recorder = Recorder(world.sink, world.store)
        enricher = Enricher(world.cluster, PATTERNS.catalogue, EnrichSettings())
        recognition = Recognition(Decoder(DecodeSettings()), Matcher(PATTERNS), enricher, world.clock)
        self.intake = Intake(
            recognition, self.policies, self.incidents, world.store, recorder, world.guards, world.clock
        )
        self.execution = executions(
            settings, simulated_site(world.cluster, world.store), self.stage, world.clock, self.policies, recorder
        )

    def decree(self, *policies: str) -> None:
        """Put other policies in force."""
        self.policies.replace(self._read(policies))

    async def take(self, text: str, node: str = "gpu-1", after: timedelta = timedelta(0), position: str = "") -> Rescue:
        """Let a line come in, *after* that much time; return the newest rescue of its node."""
        moment = self.now() + after
        self.world.clock.move_to(moment)
        place = position or f"log:{moment.isoformat()}"
        await self.intake.handle(log_line(text, time=moment, node=node, position=place))
        return max(self.world.store.on_node(node), key=lambda rescue: (rescue.created, rescue.name))

    async def run(self, until: datetime | None = None) -> None:
        """Let time pass until nothing is open any more, or until *until*."""
        end = until or self.now() + _LONGEST
        while (due := await self.execution.tick()) is not None and due <= end:
            self.world.clock.move_to(due)
        if until is not None:
            self.world.clock.move_to(until)

    def now(self) -> datetime:
        """The time it is there."""
        return self.world.clock.now()

    def rescue(self, name: str) -> Rescue:
        """How a rescue stands."""
        return self.world.rescue(name)

    def _read(self, policies: Sequence[str]) -> PolicySet:
        found = read_policies(parse_documents("---".join(policies), "p.yaml"))
        return found.rehearsed() if self.dry_run else found
