"""The memory behind rules with `repeat`: which occurrences are saved, and what was saved of a GPU."""

from collections.abc import Sequence
from datetime import datetime

from pipeline.decide.guards import GuardSettings
from pipeline.decide.incident import Incident
from pipeline.decide.repeat import LONGEST, adds, counts, occurrence_of
from pipeline.execute.patience import Patience
from pipeline.execute.policies import PolicyBook
from pipeline.execute.store import RescueStore
from pipeline.model.fault import NodeFault
from pipeline.model.occurrence import Gpu, Occurrence


class Occurrences:
    """Notes in the store what some rule with `repeat` speaks of, from the time on that there is such a rule."""

    def __init__(self, store: RescueStore, policies: PolicyBook, guards: GuardSettings, patience: Patience) -> None:
        self._store = store
        self._policies = policies
        self._guards = guards
        self._patience = patience

    def of(self, fault: NodeFault) -> Sequence[Occurrence]:
        """Return what was noted of the fault's GPU."""
        return self._store.occurrences(Gpu.of(fault))

    async def note(self, incident: Incident, now: datetime) -> None:
        """Save what was seen of an incident if it is to be counted and tells more than what was saved of it.

        Returns when it is safe, however long that takes; of a storm, only one line in half of `incident_window` is
        saved, and of the others nothing else is asked.
        """
        fault, reason = incident.lead, incident.key.reason
        if not adds(incident, self._store.occurrence(incident.name), self._guards.incident_window):
            return
        if not self._policies.current.counted(fault, self._guards.unknown_codes) or not counts(fault, reason):
            return
        if now - incident.last_seen > LONGEST:
            return
        occurrence = occurrence_of(incident.as_member(), reason)
        await self._patience.insist("save an occurrence", lambda: self._store.note(occurrence))
