"""Who bears on a rescue that asks for admission: looked up for all who ask, and again when something has changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pipeline.cluster.port import NodeCache
from pipeline.decide.census import Census, Fleet, Sharing
from pipeline.decide.fabric import reach
from pipeline.decide.guards import GuardSettings
from pipeline.decide.out_of_service import CACHE_LAG
from pipeline.execute.store import RescueStore
from pipeline.model.rescue import Rescue


class FleetCopy:
    """The nodes, counted; after a change only those that have changed are counted anew."""

    def __init__(self, nodes: NodeCache) -> None:
        self._nodes = nodes
        self._generation = nodes.generation
        self._fleet = Fleet(nodes.nodes())

    def now(self) -> Fleet:
        """Return the fleet; the same object as long as no node has changed."""
        generation = self._nodes.generation
        if generation != self._generation:
            changed = self._nodes.changed_since(self._generation)
            self._fleet, self._generation = self._fleet.changed(changed, self._nodes.nodes()), generation
        return self._fleet


class Company:
    """The rescues of one round: the open ones and those that ended lately as they are, and earlier ones as they were.

    What has ended before the round shows only what was seen, which does not change any more.
    """

    def __init__(
        self,
        store: RescueStore,
        fleet: FleetCopy,
        guards: GuardSettings,
        now: datetime,
        starting: Mapping[str, Rescue],
    ) -> None:
        """*now* is when the round begins; *starting* are those that were let through, as they are about to be saved."""
        self._store = store
        self._starting = starting
        self._fleet = fleet
        self._guards = guards
        self._now = now
        self._past: dict[bool, Sharing] = {}
        self._present: tuple[object, Sequence[Rescue]] | None = None
        self._censuses: dict[bool, tuple[Sequence[Rescue], Fleet, Census]] = {}

    def of(self, rescue: Rescue) -> list[Rescue]:
        """Return the open rescues, those that ended lately, and all of the rescue's node."""
        together = (*self._store.on_node(rescue.node), *self._rescues())
        return list({other.name: other for other in together}.values())

    def census(self, dry_run: bool) -> Census:
        """Return what is counted for rescues that are rehearsed, or for those that are not."""
        rescues, fleet = self._rescues(), self._fleet.now()
        known = self._censuses.get(dry_run)
        if known is None or known[0] is not rescues or known[1] is not fleet:
            alike = [other for other in rescues if other.dry_run == dry_run]
            past = self._past_of(dry_run, alike, fleet)
            known = rescues, fleet, Census(alike, fleet, self._now, self._guards.breaker_window, past)
            self._censuses[dry_run] = known
        return known[2]

    def _rescues(self) -> Sequence[Rescue]:
        moment = self._store.generation, frozenset(self._starting)
        if self._present is None or self._present[0] != moment:
            lately = self._store.ended_since(self._now - CACHE_LAG)
            rescues = (self._starting.get(rescue.name, rescue) for rescue in self._store.open())
            self._present = moment, (*rescues, *lately)
        return self._present[1]

    def _past_of(self, dry_run: bool, rescues: Sequence[Rescue], fleet: Fleet) -> Sharing:
        if dry_run not in self._past:
            window, on_node = self._guards.fabric.window, self._store.on_node
            since = min((reach(one, on_node(one.node), window) for one in rescues), default=self._now)
            ended = [other for other in self._store.ended_since(since) if other.dry_run == dry_run]
            self._past[dry_run] = Sharing(ended, fleet.nodes)
        return self._past[dry_run]
