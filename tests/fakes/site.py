"""A site of many nodes and the whole pipeline over it: every effect, beginning and end is judged as it happens."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog.testing

from pipeline.app import executions
from pipeline.clock import ManualClock
from pipeline.cluster.memory import twin
from pipeline.decide.guards import GuardSettings
from pipeline.decide.incidents import Incidents
from pipeline.decide.policy import read_policies
from pipeline.decide.standby import StandbySettings
from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.documents import parse_documents
from pipeline.enrich.labels import Enricher, EnrichSettings
from pipeline.execute.intake import Intake
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Recognition
from pipeline.execute.recorder import Recorder
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.node import Node, Pod
from pipeline.settings import Settings, SimulatedClusterConfig, shipped
from pipeline.sources.stdin import StdinSourceConfig
from sinks.file import FileSinkConfig
from tests.fakes.faults import NOON
from tests.fakes.faults import line as log_line
from tests.fakes.judge import Judge
from tests.fakes.judged import JudgedCluster, JudgedStore
from tests.fakes.killing import KilledError, Killer, KillingSink
from tests.fakes.loops import simulated_site

PATTERNS = load_patterns([shipped() / "patterns"])
_DEFECTS = {"action.defect", "rescue.defect"}
_MOMENT = timedelta(microseconds=1)


class Site:
    """What outlives the process is the site's; `start` has a new process take over."""

    def __init__(
        self,
        nodes: Sequence[Node],
        pods: Sequence[Pod],
        policies: str,
        guards: GuardSettings,
        standby: StandbySettings,
        settle: timedelta,
    ) -> None:
        self.clock, self.killer = ManualClock(NOON), Killer(None)
        self.guards, self.standby, self.settle, self.policies = guards, standby, settle, policies
        self.judge = Judge(guards, self.clock)
        self.cluster = JudgedCluster(self.clock, nodes, pods)
        self.store = JudgedStore(self.killer)
        self.sink = KillingSink(self.killer)
        self.judge.sit(self.cluster, self.store)
        self.cluster.judge = self.store.judge = self.judge
        self.cluster.killer = self.killer
        self.handled, self.exact, self.delivered_again = Counter[str](), True, 0
        self._loop = asyncio.Runner()
        self.start()

    def start(self) -> None:
        """Another process takes over, with what the store holds."""
        settings = Settings(
            sources=[StdinSourceConfig(type="stdin")],
            cluster=SimulatedClusterConfig(type="simulated"),
            sinks=[FileSinkConfig(type="file", path=Path("unused"))],
            guards=self.guards,
            standby=self.standby,
        )
        self.book = PolicyBook(read_policies(parse_documents(self.policies, "p.yaml")), self.cluster)
        incidents = Incidents(self.guards)
        self.book.on_change(incidents.forget_skipped)
        recorder = Recorder(self.sink, self.store)
        enricher = Enricher(self.cluster, PATTERNS.catalogue, EnrichSettings())
        recognition = Recognition(Decoder(DecodeSettings()), Matcher(PATTERNS), enricher, self.clock)
        self.incidents = incidents
        self.intake = Intake(
            recognition, self.book, incidents, self.store, recorder, self.guards, self.clock, self.settle
        )
        self.intake.restore()
        stage = twin(self.cluster, self.clock)
        self.execution = executions(
            settings, simulated_site(self.cluster, self.store), stage, self.clock, self.book, recorder
        )

    def decree(self, policies: str) -> None:
        """Put other policies in force."""
        self.policies = policies
        self.book.replace(read_policies(parse_documents(policies, "p.yaml")))

    def take(self, text: str, node: str, ago: timedelta = timedelta(0), companion: bool = False) -> None:
        """Let one line come in that was written so long ago; no two are of the same moment."""
        self.clock.move_to(self.clock.now() + _MOMENT)
        time = self.clock.now() - ago
        line = log_line(text, time=time, node=node, position=f"log:{sum(self.handled.values())}")
        while not self.do(self.intake.handle(line)):
            self.start()
            self.delivered_again += 1
        self.handled["companions" if companion else "counted"] += 1

    def run(self, length: timedelta) -> None:
        """Let so much time pass; a process that is killed on the way is followed by another."""
        end = self.clock.now() + length
        while not self.do(self._until(end)):
            self.start()
        self.clock.move_to(end)

    def leave(self) -> None:
        """Let the process come to its end in good order."""
        if not self.do(self.intake.flush()) or not self.do(self.execution.record_rest()):
            self.start()

    def do(self, work: Coroutine[Any, Any, None]) -> bool:
        """Have the process do it; return False if it was killed meanwhile."""
        with structlog.testing.capture_logs() as logs:
            alive = self._loop.run(self._alive(work))
        self.judge.wrong += [str(entry) for entry in logs if entry["event"] in _DEFECTS]
        self.exact = self.exact and alive
        return alive

    def counted(self) -> int:
        """How many lines the records and the rescues tell of, each once."""
        counts: dict[str, int] = {}
        for rescue in self.store.all():
            for member in rescue.members:
                counts[member.name] = max(member.count, counts.get(member.name, 0))
        for record in self.sink.records:
            name, what, *_ = record.id.split("/")
            # The records of a rescue are numbered, and it tells of the counts itself.
            if what in ("detected", "repeated"):
                fault = record.document["gpu_rescue"]["fault"]
                if not fault["companion"] and not fault.get("caused_by_xid"):
                    counts[name] = max(int(fault["count"]), counts.get(name, 0))
        return sum(counts.values())

    def close(self) -> None:
        """Let go of the event loop."""
        self._loop.close()

    async def _until(self, end: datetime) -> None:
        while (due := await self.execution.tick()) is not None and due <= end:
            self.clock.move_to(due)

    async def _alive(self, work: Coroutine[Any, Any, None]) -> bool:
        try:
            await work
        except KilledError:
            alive = False
        except BaseExceptionGroup as group:
            if group.split(KilledError)[1] is not None:
                raise
            alive = False
        else:
            return True
        self.killer.at = None
        # Nothing of a process goes on when it is gone.
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            if task is not None:
                task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        return alive
