"""Intake: from a delivered message to a rescue in the store, or to a record of why there is none."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from pipeline.clock import Clock
from pipeline.decide.decision import decide
from pipeline.decide.gate import gate, gate_states
from pipeline.decide.guards import GuardSettings
from pipeline.decide.incidents import Companion, Incident, Incidents, Member, New, Repeat
from pipeline.execute.consequences import Consequences
from pipeline.execute.occurrences import Occurrences
from pipeline.execute.patience import Patience
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.store import RescueStore
from pipeline.model.fault import NodeFault
from pipeline.model.guard import GuardState
from pipeline.model.line import LogLine
from pipeline.model.plan import Decision, Skip
from pipeline.model.rescue import Rescue
from pipeline.sources.port import Delivery
from pipeline.telemetry import FAULTS


class Intake:
    """Takes lines through match, enrich and decide; returns from each when what followed is saved and recorded.

    Of a repeat, only the count follows; it is saved and recorded at growing intervals, and when it has gone quiet.
    """

    def __init__(
        self,
        recognition: Recognition,
        policies: PolicyBook,
        incidents: Incidents,
        store: RescueStore,
        recorder: Recorder,
        guards: GuardSettings,
        clock: Clock,
        settle: timedelta = timedelta(0),
        patience: Patience | None = None,
    ) -> None:
        """*settle* is how long a new rescue waits before its first step."""
        self._recognition = recognition
        self._policies = policies
        self._incidents = incidents
        self._store = store
        self._guards = guards
        self._clock = clock
        patience = patience or Patience()
        self._occurrences = Occurrences(store, policies, guards, patience)
        self._consequences = Consequences(store, recorder, clock, settle, patience)
        # A fault may repeat before what follows from its first line is saved: one line at a time.
        self._turn = asyncio.Lock()

    def restore(self) -> None:
        """Remember the incidents whose rescues are in the store: call it once, before the first line."""
        self._incidents.restore(self._store.all(), self._clock.now())

    def lines(self, delivery: Delivery) -> tuple[LogLine, ...]:
        """Take a delivery out of its envelope."""
        return self._recognition.lines(delivery)

    async def handle(self, line: LogLine) -> None:
        """Do all that follows from one line; if that is broken off, the line can be handled again."""
        async with self._turn:
            fault = self._recognition.recognise(line, self._clock)
            if fault is not None:
                await self._place(fault)

    async def sweep(self) -> None:
        """Record the counts of incidents that have grown and gone quiet."""
        async with self._turn:
            for incident in self._incidents.sweep(self._clock.now()):
                await self._recount(incident)

    async def flush(self) -> None:
        """Record every count that has grown, quiet or not: the end of the stream."""
        async with self._turn:
            for incident in self._incidents.flush():
                await self._recount(incident)

    async def _place(self, fault: NodeFault) -> None:
        now = self._clock.now()
        last = self._last_reboot(fault.node)
        skip = gate(fault, self._guards, now, last)
        placement = self._incidents.place(fault, skip, now)
        FAULTS.labels(fault.fault.kind, type(placement).__name__.lower()).inc()
        match placement:
            case New(incident) | Member(incident):
                await self._open(incident, skip, gate_states(fault, self._guards, now, last))
            case Repeat(incident):
                await self._note(incident)
                if incident.due():
                    await self._recount(incident)
            case Companion():
                pass

    def _last_reboot(self, node: str) -> Rescue | None:
        """The newest rescue that has rebooted the node; the incidents are told how each of its rescues stands.

        A reboot that was only rehearsed counts where everything is; that of a drill not even there.
        """
        last = None
        for rescue in self._store.on_node(node):
            self._incidents.close(rescue)
            rehearsed = self._policies.current.dry_run and rescue.cause.fault.drill is None
            if rescue.rebooted_at is not None and (rehearsed or not rescue.dry_run):
                last = rescue
        return last

    async def _open(self, incident: Incident, skip: Skip | None, guards: tuple[GuardState, ...]) -> None:
        try:
            await self._note(incident)
            decision = replace(skip or self._decide(incident.lead), guards=guards)
            await self._consequences.follow(incident, decision)
        except BaseException:
            self._incidents.discard(incident)
            raise

    async def _note(self, incident: Incident) -> None:
        await self._occurrences.note(incident, self._clock.now())

    def _decide(self, fault: NodeFault) -> Decision:
        of_node, occurrences = self._store.on_node(fault.node), self._occurrences.of(fault)
        return decide(fault, self._policies.current, self._guards, of_node, self._clock.now(), occurrences)

    async def _recount(self, incident: Incident) -> None:
        count = incident.count
        if not await self._consequences.recount(incident):
            self._incidents.discard(incident)
        incident.reported_at(count)
