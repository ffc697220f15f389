"""Asking for admission: before each disruptive step of a rescue, one rescue after the other."""

import asyncio
from datetime import datetime

from pipeline.cluster.port import NodeCache
from pipeline.decide.admission import Admission, Cancel, Fold, Go, Hold, admission_states, admit
from pipeline.decide.breaker import holds_others
from pipeline.decide.escalation import escalate
from pipeline.decide.guards import GuardSettings
from pipeline.execute import progress
from pipeline.execute.company import Company, FleetCopy
from pipeline.execute.store import RescueStore, update
from pipeline.model.guard import GuardState
from pipeline.model.rescue import CancelReason, Rescue, Status


class Admissions:
    """Saves what admission answers. A round is all that is asked at one time, with most of what it takes in common."""

    def __init__(self, store: RescueStore, nodes: NodeCache, guards: GuardSettings, now: datetime) -> None:
        self._store = store
        self._nodes = nodes
        self._guards = guards
        self._fleet = FleetCopy(nodes)
        self._turn = asyncio.Lock()
        # Those that were let through, and count although the store does not show it yet.
        self._starting: dict[str, Rescue] = {}
        # Why the breaker has held rescues in this round: those behind them in the queue need not ask.
        self._full: set[tuple[bool, str | None]] = set()
        self.begin_round(now)

    def begin_round(self, now: datetime) -> None:
        """Look at everything anew."""
        self._company = Company(self._store, self._fleet, self._guards, now, self._starting)
        self._full.clear()

    async def ask(self, rescue: Rescue, index: int, now: datetime) -> bool:
        """Ask whether a step may start, and save the answer; return whether the rescue is held.

        One at a time: a rescue that was let through must count before the next one asks. It does so while that is
        being saved; of many that fail at the same moment, none waits for the saves of the others. Where somebody else
        has taken the rescue further while it waited for its turn, or has ended it, there is nothing to ask any more.
        """
        async with self._turn:
            rescue = await self._gathered(rescue, now)
            if not _waits(rescue, index):
                return False
            if self._queues(rescue):
                return True
            answer = self._admit(rescue, now)
            if not isinstance(answer, Go):
                return await self._refused(rescue, answer, now)
            started = progress.started(rescue, index, now, () if rescue.begun else answer.guards)
            self._starting[rescue.name] = started
        try:
            await self._store.save(started)
        finally:
            del self._starting[rescue.name]
        return False

    async def _gathered(self, rescue: Rescue, now: datetime) -> Rescue:
        """Before the first step, take over what else has come up on the node: a family of faults is rescued as one."""
        if rescue.begun:
            return rescue
        for other in self._store.on_node(rescue.node):
            waits = other.name != rescue.name and not other.status.ended and not other.begun
            if waits and self._admit(other, now) == Fold(rescue.name):
                await self._fold(other, rescue.name, now)
        return self._store.get(rescue.name) or rescue

    async def _refused(self, rescue: Rescue, answer: Hold | Cancel | Fold, now: datetime) -> bool:
        match answer:
            case Hold(reason, message, details) as hold:
                if rescue.status is not Status.HELD or rescue.reason != reason:
                    guards = self._states(rescue, now)
                    await self._store.save(progress.held(rescue, now, reason, message, guards, details))
                if holds_others(hold):
                    self._full.add((rescue.dry_run, reason))
                return True
            case Cancel(reason, message):
                await self._store.save(progress.cancelled(rescue, now, reason, message, self._states(rescue, now)))
            case Fold(into):
                await self._fold(rescue, into, now)
        return False

    def _admit(self, rescue: Rescue, now: datetime) -> Admission:
        company, nodes, census = self._company.of(rescue), self._nodes.nodes(), self._company.census(rescue.dry_run)
        return admit(rescue, company, nodes, now, self._guards, census)

    def _states(self, rescue: Rescue, now: datetime) -> tuple[GuardState, ...]:
        company, nodes, census = self._company.of(rescue), self._nodes.nodes(), self._company.census(rescue.dry_run)
        return admission_states(rescue, company, nodes, now, self._guards, census)

    def _queues(self, rescue: Rescue) -> bool:
        """Whether the breaker would hold the rescue once more, as it has held those before it.

        Not for one whose own node is cordoned: that one may count without it, and so be let through before others.
        """
        node = self._nodes.nodes().get(rescue.node)
        cordoned = node is not None and node.unschedulable
        return rescue.status is Status.HELD and (rescue.dry_run, rescue.reason) in self._full and not cordoned

    async def _fold(self, rescue: Rescue, into: str, now: datetime) -> None:
        guards = self._states(rescue, now)
        await update(self._store, into, lambda target: escalate(target, rescue, now))
        message = f"{rescue.node}: folded into rescue {into}, which is under way on the same node"

        def folded(newest: Rescue) -> Rescue:
            # What somebody else has begun or ended meanwhile is theirs to bring to its end.
            if newest.begun or newest.status.ended:
                return newest
            return progress.cancelled(newest, now, CancelReason.FOLDED, message, guards)

        await update(self._store, rescue.name, folded)


def _waits(rescue: Rescue, index: int) -> bool:
    """Whether that step is what comes next, and has not started."""
    return not rescue.status.ended and rescue.current == index and rescue.steps[index].started is None
