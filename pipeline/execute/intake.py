"""Intake: from a delivered message to a rescue in the store, or to a record of why there is none."""

import asyncio
from datetime import timedelta

import structlog

from pipeline.clock import Clock
from pipeline.decide.decision import decide
from pipeline.decide.gate import gate
from pipeline.decide.guards import GuardSettings
from pipeline.decide.incidents import Companion, Incident, Incidents, New, Repeat
from pipeline.errors import NotFoundError
from pipeline.execute import progress
from pipeline.execute.patience import Patience
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.records import repeat_record, skip_records
from pipeline.execute.store import RescueStore, update
from pipeline.model.fault import NodeFault
from pipeline.model.line import LogLine
from pipeline.model.plan import Plan, Skip
from pipeline.model.rescue import Rescue
from pipeline.sources.port import Delivery
from pipeline.telemetry import FAULTS, RESCUES, SKIPS

_log = structlog.get_logger()


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
        self._recorder = recorder
        self._guards = guards
        self._clock = clock
        self._settle = settle
        self._patience = patience or Patience()
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
        skip = gate(fault, self._guards, now, self._last_reboot(fault.node))
        placement = self._incidents.place(fault, skip, now)
        FAULTS.labels(fault.fault.kind, type(placement).__name__.lower()).inc()
        match placement:
            case New(incident):
                await self._open(incident, skip)
            case Repeat(incident):
                if incident.due():
                    await self._recount(incident)
            case Companion():
                pass

    def _last_reboot(self, node: str) -> Rescue | None:
        """The newest rescue that has rebooted the node; the incidents are told how each of its rescues stands."""
        last = None
        for rescue in self._store.on_node(node):
            self._incidents.close(rescue)
            if rescue.rebooted_at is not None:
                last = rescue
        return last

    async def _open(self, incident: Incident, skip: Skip | None) -> None:
        fault, of_node = incident.lead, self._store.on_node(incident.lead.node)
        decision = skip or decide(fault, self._policies.current, self._guards, of_node, self._clock.now())
        try:
            match decision:
                case Plan():
                    await self._plan(incident, decision)
                case Skip():
                    await self._skip(incident, decision)
        except BaseException:
            self._incidents.discard(incident)
            raise

    async def _plan(self, incident: Incident, plan: Plan) -> None:
        new = progress.planned(incident.name, incident.lead, plan, self._clock.now(), self._settle)
        rescue = await self._patience.insist("save a rescue", lambda: self._store.create(new))
        incident.decided(rescue.name)
        RESCUES.labels(plan.policy).inc()
        await self._recorder.write_journal(rescue)

    async def _skip(self, incident: Incident, skip: Skip) -> None:
        incident.decided(skip)
        SKIPS.labels(skip.reason).inc()
        await self._recorder.write(skip_records(incident.name, incident.lead, skip, self._clock.now()))

    async def _recount(self, incident: Incident) -> None:
        count, first, last = incident.count, incident.first_seen, incident.last_seen
        if isinstance(incident.decision, str):
            name = incident.decision
            try:
                rescue = await self._patience.insist(
                    "save a count",
                    lambda: update(self._store, name, lambda stored: progress.repeated(stored, count, first, last)),
                )
                await self._recorder.write_journal(rescue)
            except NotFoundError:
                _log.warning("rescue.gone", rescue=name)
                self._incidents.discard(incident)
        else:
            await self._recorder.write([repeat_record(incident.name, incident.lead, count, first, last)])
        incident.reported_at(count)
