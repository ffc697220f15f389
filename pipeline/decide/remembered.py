"""The incidents that are remembered: by name, by code and device, and which of them is to be forgotten first."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pipeline.decide.families import Families
from pipeline.decide.incident import Family, Incident
from pipeline.model.plan import SkipReason

Code = tuple[str, str, int]
"""Node, kind and code."""

Slot = tuple[str, SkipReason | None]


class Remembered:
    """At most *limit* incidents; `families` are theirs.

    At the limit the one that was not touched for longest is forgotten, those that led to a rescue last of all: each
    further line of theirs would open one more rescue. An earlier incident of a key is forgotten when nothing was placed
    into it for *window*: it is of use only while lines as old as its own may still come.
    """

    def __init__(self, window: timedelta, limit: int) -> None:
        self.families = Families()
        self._window = window
        self._limit = limit
        self._by_code: dict[Code, dict[str | None, list[Incident]]] = {}
        # In the order in which they were touched, longest ago first.
        self._all: OrderedDict[Slot, Incident] = OrderedDict()
        # The same, without those that were found to have led to a rescue when their turn to be forgotten came.
        self._expendable: OrderedDict[Slot, Incident] = OrderedDict()
        self._leaving: list[Incident] = []

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Incident]:
        return iter(self._all.values())

    def let_through(self, name: str) -> Incident | None:
        """Return the incident of that name, if it is remembered; not one that the gate has stopped."""
        return self._all.get((name, None))

    def of_code(self, code: Code) -> Mapping[str | None, Sequence[Incident]]:
        """Return the incidents of a code, the oldest first, by device."""
        return self._by_code.get(code, {})

    def touch(self, incident: Incident, now: datetime) -> None:
        """Take note that a line was placed into it."""
        incident.touched = now
        slot = _slot(incident)
        self._all.move_to_end(slot)
        if slot in self._expendable:
            self._expendable.move_to_end(slot)

    def add(self, incident: Incident, family: Family | None, now: datetime) -> None:
        """Remember one more; with a family, its own or the one that is given, unless the gate has stopped it."""
        key, slot = incident.key, _slot(incident)
        if slot in self._all:
            self._forget(self._all[slot])
        there = self.of_code(key[:3]).get(key.device, ())
        for earlier in [known for known in there if known.key == key and now - known.touched >= self._window]:
            self._forget(earlier)
        while len(self._all) >= self._limit:
            self._forget(self._least())
        self._by_code.setdefault(key[:3], {}).setdefault(key.device, []).append(incident)
        self._all[slot] = self._expendable[slot] = incident
        if key.reason is None:
            self.families.put(incident, family)

    def remove(self, incident: Incident) -> None:
        """Forget one; harmless if it is not remembered any more."""
        if self._all.get(_slot(incident)) is incident:
            self._forget(incident)

    def withdraw(self, incident: Incident) -> None:
        """Forget one, and that it has left."""
        self.remove(incident)
        self._leaving = [leaving for leaving in self._leaving if leaving is not incident]

    def left(self) -> list[Incident]:
        """Return those that had grown since they were reported when they were forgotten, once."""
        left, self._leaving = self._leaving, []
        return left

    def _least(self) -> Incident:
        """The incident that is to be forgotten first."""
        while self._expendable:
            slot, incident = next(iter(self._expendable.items()))
            if incident.rescue is None:
                return incident
            del self._expendable[slot]
        return next(iter(self._all.values()))

    def _forget(self, incident: Incident) -> None:
        code, device = incident.key[:3], incident.key.device
        del self._all[_slot(incident)]
        self._expendable.pop(_slot(incident), None)
        there = self._by_code[code][device]
        there.remove(incident)
        if not there:
            del self._by_code[code][device]
        if not self._by_code[code]:
            del self._by_code[code]
        self.families.drop(incident)
        if incident.grown:
            self._leaving.append(incident)


def _slot(incident: Incident) -> Slot:
    return incident.name, incident.key.reason
