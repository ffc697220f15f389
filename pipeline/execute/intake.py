"""Intake: from a delivered message to a rescue in the store, or to a record of why there is none."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from pipeline.clock import Clock
from pipeline.decide.decision import decide
from pipeline.decide.gate import gate, gate_states
from pipeline.decide.guards import GuardSettings
from pipeline.decide.incidents import Companion, Incident, Incidents, Joins, New, Repeat
from pipeline.decide.recovery import tells_of_recovery
from pipeline.execute.consequences import Consequences, Recording, in_turn, nothing
from pipeline.execute.lanes import Lanes
from pipeline.execute.occurrences import Occurrences
from pipeline.execute.patience import Patience
from pipeline.execute.policies import PolicyBook
from pipeline.execute.reboots import LastReboots
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
    """Takes lines through match, enrich and decide; what follows from each is saved, then recorded.

    Of a repeat, only the count follows; it is saved and recorded at growing intervals, and when it has gone quiet. That
    the fault goes on is saved as well, a few times in the length of an incident's window.
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
        """*settle* is how long a new rescue waits before anything but a cordon."""
        self._recognition = recognition
        self._policies = policies
        self._incidents = incidents
        self._store = store
        self._reboots = LastReboots(store, incidents)
        self._guards = guards
        self._clock = clock
        self._rush = recorder.rush
        patience = patience or Patience()
        self._occurrences = Occurrences(store, policies, guards, patience)
        self._consequences = Consequences(store, recorder, clock, settle, patience)
        # A fault may repeat before what follows from its first line is saved: one line of a node at a time. What is
        # remembered of a node, its incidents, their families and their rescues, concerns no other. None waits for the
        # record of another, or all that came in during an outage of the sinks would be too old when that is over.
        self._lanes = Lanes()

    def restore(self) -> None:
        """Remember the incidents whose rescues are in the store: call it once, before the first line."""
        self._incidents.restore(self._store.all(), self._clock.now())

    def lines(self, delivery: Delivery) -> tuple[LogLine, ...]:
        """Take a delivery out of its envelope."""
        return self._recognition.lines(delivery)

    async def handle(self, line: LogLine) -> None:
        """Do all that follows from one line, and return when it is recorded."""
        placed = self.take(line, self._clock.now())
        if placed is not None:
            record = await placed
            await record()

    def take(self, line: LogLine, read: datetime) -> "asyncio.Task[Recording] | None":
        """Begin to decide on a line by its age when it was *read* and to save what follows; None if that is nothing.

        The task returns what records it. Lines are to be given in the order of their stream; those of one node are
        decided in that order, and none waits for those of other nodes. If either is broken off, the line can be taken
        again.
        """
        fault = self._recognition.recognise(line, self._clock)
        return None if fault is None else self._lanes.begin(fault.node, partial(self._place, fault, read))

    async def sweep(self) -> None:
        """Record the counts of incidents that have grown and gone quiet."""
        await self._recount_all(self._incidents.sweep(self._clock.now()))

    async def flush(self) -> None:
        """Record every count that has grown, quiet or not: the end of the stream."""
        await self._recount_all(self._incidents.flush())

    async def _place(self, fault: NodeFault, read: datetime) -> Recording:
        last = self._reboots.last(fault.node, rehearsed=self._policies.current.dry_run)
        skip = gate(fault, self._guards, read, last)
        # Before it is placed: broken off, it is taken again and means the same.
        given_up = await self._recovered(fault, read, last)
        placement = self._incidents.place(fault, skip, self._clock.now())
        FAULTS.labels(fault.fault.kind, type(placement).__name__.lower()).inc()
        match placement:
            case New(incident) | Joins(incident):
                self._reboots.forget(fault.node)
                record = await self._open(incident, skip, gate_states(fault, self._guards, read, last))
            case Repeat(incident):
                record = await self._repeat(incident)
            case Companion():
                record = nothing
        return partial(in_turn, (record, *given_up)) if given_up else record

    async def _recovered(self, fault: NodeFault, read: datetime, last: Rescue | None) -> list[Recording]:
        """Give up what a recovery leaves without cause; that is judged by what is saved, so the counts are saved first.

        Lines come in any order: a verdict may have been seen again since.
        """
        if not tells_of_recovery(fault, self._guards, read, last):
            return []
        counts = await self._recounted(self._incidents.grown_beside(fault))
        return counts + await self._consequences.recover(fault)

    async def _open(self, incident: Incident, skip: Skip | None, guards: tuple[GuardState, ...]) -> Recording:
        try:
            await self._note(incident)
            decision = replace(skip or self._decide(incident.lead), guards=guards)
            with self._rush.hurrying():
                record = await self._consequences.follow(incident, decision)
        except BaseException:
            self._incidents.discard(incident)
            raise
        return partial(self._record_opening, incident, record)

    async def _record_opening(self, incident: Incident, record: Recording) -> None:
        try:
            await record()
        except BaseException:
            self._incidents.discard(incident)
            raise

    async def _repeat(self, incident: Incident) -> Recording:
        await self._note(incident)
        if incident.due():
            return await self._recount(incident)
        if incident.outgrown(self._guards.incident_window):
            if await self._consequences.prolong(incident):
                incident.saved = incident.last_seen
            else:
                self._incidents.discard(incident)
        return nothing

    async def _note(self, incident: Incident) -> None:
        await self._occurrences.note(incident, self._clock.now())

    def _decide(self, fault: NodeFault) -> Decision:
        of_node, occurrences = self._store.on_node(fault.node), self._occurrences.of(fault)
        return decide(fault, self._policies.current, self._guards, of_node, self._clock.now(), occurrences)

    async def _recount_all(self, incidents: Iterable[Incident]) -> None:
        begun = [self._lanes.begin(one.key.node, partial(self._recount, one)) for one in incidents]
        await in_turn(await asyncio.gather(*begun))

    async def _recounted(self, incidents: Iterable[Incident]) -> list[Recording]:
        return [await self._recount(incident) for incident in incidents]

    async def _recount(self, incident: Incident) -> Recording:
        record = await self._consequences.recount(incident)
        if record is None:
            self._incidents.discard(incident)
        incident.reported_at(incident.count)
        return record or nothing
