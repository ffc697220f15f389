"""What follows from an incident: a rescue, a place in that of its family, or a record of why neither; and its count."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import structlog

from pipeline.clock import Clock
from pipeline.decide.escalation import join
from pipeline.decide.family import speaks_for
from pipeline.decide.identity import another_name
from pipeline.decide.incidents import Incident
from pipeline.decide.recovery import without_cause
from pipeline.errors import NotFoundError
from pipeline.execute import progress
from pipeline.execute.history import Known, of_family
from pipeline.execute.patience import Patience
from pipeline.execute.recorder import Recorder
from pipeline.execute.records import repeat_record, skip_records
from pipeline.execute.store import RescueStore, update
from pipeline.model.fault import NodeFault
from pipeline.model.plan import Decision, Plan, Skip
from pipeline.model.rescue import Member, Rescue
from pipeline.telemetry import RESCUES, SKIPS
from sinks.base import Record

_log = structlog.get_logger()

Recording = Callable[[], Awaitable[None]]
"""Makes the records of what is saved safe, however long the sinks are away; called again, it writes them once."""


async def nothing() -> None:
    """What is to be recorded of a line from which nothing follows."""


async def in_turn(recordings: Iterable[Recording]) -> None:
    """Record one after the other."""
    for record in recordings:
        await record()


class Consequences:
    """Each call returns when what follows is saved, with what records it; made again after a crash, it follows once.

    One failure has one rescue: what belongs to its family joins it, and merges its plan if none of its steps has
    started. What comes too late, or is one too many, has a rescue of its own, and the executor decides between the two.
    """

    def __init__(
        self, store: RescueStore, recorder: Recorder, clock: Clock, settle: timedelta, patience: Patience
    ) -> None:
        """*settle* is how long a new rescue waits before its first step."""
        self._store = store
        self._recorder = recorder
        self._clock = clock
        self._settle = settle
        self._patience = patience

    async def follow(self, incident: Incident, decision: Decision) -> Recording:
        """Do what follows from a new incident, of which *decision* is what it leads to by itself."""
        incident.decided(decision)
        rescue = await self._joined(incident)
        if rescue is None and isinstance(decision, Plan):
            rescue = await self._plan(incident, decision)
        if rescue is not None:
            return partial(self._recorder.write_journal, rescue)
        assert isinstance(decision, Skip)
        SKIPS.labels(decision.reason).inc()
        return self._recording(partial(skip_records, incident.name, incident.lead, decision, _known(incident)))

    async def recount(self, incident: Incident) -> Recording | None:
        """Save how often it was seen, to be recorded; return None if somebody has deleted its rescue."""
        member = incident.as_member()
        name = self._about(incident)
        if name is None:
            known = _known(incident)
            return self._recording(lambda: [repeat_record(member, known)])
        count, first, last = member.count, member.first_seen, member.last_seen
        rescue = await self._changed(
            name, "save a count", lambda stored: progress.repeated(stored, member.name, count, first, last)
        )
        return partial(self._recorder.write_journal, rescue) if rescue is not None else None

    async def prolong(self, incident: Incident) -> bool:
        """Save how long it has gone on, which nothing records; return False if somebody has deleted its rescue."""
        member, name = incident.as_member(), self._about(incident)
        first, last = member.first_seen, member.last_seen
        return (
            name is not None
            and await self._changed(
                name, "save how long it goes on", lambda stored: progress.prolonged(stored, member.name, first, last)
            )
            is not None
        )

    async def recover(self, recovery: NodeFault) -> list[Recording]:
        """Give up the rescues that a recovery leaves without cause; those that have begun go on."""
        now, recordings = self._clock.now(), list[Recording]()

        def given_up(stored: Rescue) -> Rescue:
            # Asked of the newest state: another process may have let it begin, or take one over, a moment ago.
            idle = without_cause(stored, recovery, self._store.on_node(stored.node))
            return progress.recovered(stored, recovery, now) if idle else stored

        for rescue in self._store.on_node(recovery.node):
            if given_up(rescue) is not rescue:
                after = await self._changed(rescue.name, "give up a rescue", given_up)
                if after is not None:
                    recordings.append(partial(self._recorder.write_journal, after))
        return recordings

    def _recording(self, make: Callable[[], Sequence[Record]]) -> Recording:
        """Make the records when they are written, and not before: a thousand faults may be in hand."""

        async def record() -> None:
            await self._recorder.write(make())

        return record

    async def _changed(self, name: str, what: str, change: Callable[[Rescue], Rescue]) -> Rescue | None:
        try:
            return await self._patience.insist(what, lambda: update(self._store, name, change))
        except NotFoundError:
            _log.warning("rescue.gone", rescue=name)
            return None

    async def _joined(self, incident: Incident) -> Rescue | None:
        """Let a rescue that is about the incident's family, or about its very line already, speak for it."""
        if incident.family is None:
            return None
        member = incident.as_member()
        on_node = {rescue.name: rescue for rescue in self._store.on_node(incident.lead.node)}
        of_line = (rescue.name for rescue in on_node.values() if rescue.member(member.name) is not None)
        of_family = (name for name in incident.family.rescues if name in on_node)
        for name in dict.fromkeys((*of_line, *of_family)):
            rescue = await self._taken_in(name, member)
            if rescue is not None:
                incident.decided(member.decision, name)
                return rescue
        return None

    async def _taken_in(self, name: str, member: Member) -> Rescue | None:
        now = self._clock.now()
        try:
            rescue = await self._patience.insist(
                "save a member", lambda: update(self._store, name, lambda stored: join(stored, member, now))
            )
        except NotFoundError:
            return None
        return rescue if speaks_for(rescue, member) else None

    async def _plan(self, incident: Incident, plan: Plan) -> Rescue:
        earlier = incident.family.undone if incident.family is not None else []
        members = [one.as_member() for one in earlier]
        new = progress.planned(incident.name, incident.lead, plan, self._clock.now(), self._settle, members)
        there = self._store.get(new.name)
        if there is not None and there.dry_run and not plan.dry_run:
            # Its very line was rehearsed, and policies have changed since: that is no rescue of it.
            new = replace(new, name=another_name(new.name))
        rescue = await self._patience.insist("save a rescue", lambda: self._store.create(new))
        incident.decided(plan, rescue.name)
        RESCUES.labels(plan.policy).inc()
        for one, member in zip(earlier, members, strict=True):
            if rescue.member(member.name) is not None:
                one.decided(one.decision, rescue.name)
                one.reported_at(member.count)
        return rescue

    def _about(self, incident: Incident) -> str | None:
        """The rescue that its count is kept in: of two replicas' rescues that were folded, the one that goes on."""
        mine = self._store.get(incident.rescue) if incident.rescue is not None else None
        if mine is None:
            return incident.rescue
        others = (rescue for rescue in self._store.on_node(mine.node) if mine.name in rescue.folded)
        into = next((rescue for rescue in others if rescue.member(incident.name) is not None), mine)
        return into.name


def _known(incident: Incident) -> Known | None:
    """What is known of the incident that a fault without rescue belongs to; None where it is all that there is."""
    family = incident.family
    if family is None or len({*family.incidents, incident}) == 1:
        return None
    members = [one.as_member() for one in (*family.incidents, incident)]
    return of_family((*family.rescues, family.name)[0], members, incident.name)
