"""Intake: from a delivered message to a rescue in the store, or to a record of why there is none."""

from pipeline.clock import Clock
from pipeline.decide.decision import decide
from pipeline.decide.guards import GuardSettings, gate
from pipeline.decide.incidents import Companion, Incident, Incidents, New, Repeat
from pipeline.decode.envelopes import Decoder
from pipeline.enrich.labels import Enricher
from pipeline.execute import progress
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recorder import Recorder
from pipeline.execute.records import repeat_record, skip_records
from pipeline.execute.store import RescueStore, update
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Fault, NodeFault, UnknownDriverLine
from pipeline.model.line import LogLine
from pipeline.model.plan import Plan, Skip
from pipeline.model.rescue import Rescue
from pipeline.sources.port import Delivery
from pipeline.telemetry import FAULTS, LINES, PROBLEMS, RESCUES, SKIPS, UNKNOWN_DRIVER_LINES


class Intake:
    """Takes lines through match, enrich and decide; returns from each only when what followed is saved and recorded."""

    def __init__(
        self,
        decoder: Decoder,
        matcher: Matcher,
        enricher: Enricher,
        policies: PolicyBook,
        incidents: Incidents,
        store: RescueStore,
        recorder: Recorder,
        guards: GuardSettings,
        clock: Clock,
    ) -> None:
        self._decoder = decoder
        self._matcher = matcher
        self._enricher = enricher
        self._policies = policies
        self._incidents = incidents
        self._store = store
        self._recorder = recorder
        self._guards = guards
        self._clock = clock

    def lines(self, delivery: Delivery) -> tuple[LogLine, ...]:
        """Take a delivery out of its envelope."""
        decoded = self._decoder.decode(
            delivery.payload,
            delivery.position,
            received=self._clock.now(),
            stamp=delivery.time,
            key=delivery.key,
        )
        LINES.inc(len(decoded.lines))
        for problem in decoded.problems:
            PROBLEMS.labels(problem).inc()
        return decoded.lines

    async def handle(self, line: LogLine) -> None:
        """Do all that follows from one line."""
        found = self._matcher.match(line)
        if found is None:
            return
        if isinstance(found, Fault):
            await self._place(self._enricher.enrich(found, self._clock.now()))
        else:
            if isinstance(found, UnknownDriverLine):
                UNKNOWN_DRIVER_LINES.inc()
            self._enricher.learn(found)

    def restore(self) -> None:
        """Remember the incidents whose rescues are in the store: call it once, before the first line."""
        self._incidents.restore(self._store.all(), self._clock.now())

    async def sweep(self) -> None:
        """Record the counts of incidents that have grown and gone quiet."""
        for incident in self._incidents.sweep(self._clock.now()):
            await self._recount(incident)

    async def flush(self) -> None:
        """Record every count that has grown, quiet or not: the end of the stream."""
        for incident in self._incidents.flush():
            await self._recount(incident)

    async def _place(self, fault: NodeFault) -> None:
        now = self._clock.now()
        last = self._last_reboot(fault.node)
        skip = gate(fault, self._guards, now, last)
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
        fault, now = incident.lead, self._clock.now()
        decision = skip or decide(fault, self._policies.current, self._guards)
        match decision:
            case Plan():
                rescue = await self._store.create(progress.planned(incident.name, fault, decision, now))
                incident.decided(rescue.name)
                RESCUES.labels(decision.policy).inc()
                await self._recorder.write_journal(rescue)
            case Skip():
                incident.decided(decision)
                SKIPS.labels(decision.reason).inc()
                await self._recorder.write(skip_records(incident.name, fault, decision, now))

    async def _recount(self, incident: Incident) -> None:
        count, first, last = incident.count, incident.first_seen, incident.last_seen
        if isinstance(incident.decision, str):
            rescue = await update(
                self._store, incident.decision, lambda stored: progress.repeated(stored, count, first, last)
            )
            await self._recorder.write_journal(rescue)
        else:
            await self._recorder.write([repeat_record(incident.name, incident.lead, count, first, last)])
        incident.reported_at(count)
