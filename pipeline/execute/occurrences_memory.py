"""The memory of occurrences: by name, and by all that a GPU may be known by."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, datetime

from pipeline.decide.repeat import LONGEST
from pipeline.model.occurrence import Gpu, Occurrence

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class OccurrenceIndex:
    """Keeps what was seen within 30 days of the newest, `limit` occurrences at most, about 1.7 KB each.

    At the limit the one that was noted longest ago is forgotten first.
    """

    def __init__(self, limit: int = 50_000) -> None:
        self._limit = limit
        # In the order of noting, longest ago first.
        self._all: OrderedDict[str, Occurrence] = OrderedDict()
        self._by_key: dict[Hashable, dict[str, None]] = {}
        self._newest = _BEFORE_ALL

    def __len__(self) -> int:
        return len(self._all)

    def get(self, name: str) -> Occurrence | None:
        """Return the occurrence of that name, if it is remembered."""
        return self._all.get(name)

    def of(self, gpu: Gpu) -> Sequence[Occurrence]:
        """Return those that share board serial, UUID or place with the GPU, first seen first."""
        names = {name for key in _keys(gpu) for name in self._by_key.get(key, ())}
        return sorted((self._all[name] for name in names), key=lambda one: (one.first_seen, one.name))

    def put(self, occurrence: Occurrence) -> list[str]:
        """Remember an occurrence, which spans the time of one of its name from then on; return the names forgotten."""
        known = self._all.get(occurrence.name)
        self._newest = max(self._newest, occurrence.last_seen)
        self._all[occurrence.name] = known.spanning(occurrence) if known is not None else occurrence
        self._all.move_to_end(occurrence.name)
        if known is None:
            for key in _keys(occurrence.gpu):
                self._by_key.setdefault(key, {})[occurrence.name] = None
        return self._forget()

    def forget(self, name: str) -> None:
        """Remember the occurrence of that name no more, if there is one."""
        occurrence = self._all.pop(name, None)
        if occurrence is None:
            return
        for key in _keys(occurrence.gpu):
            names = self._by_key[key]
            del names[name]
            if not names:
                del self._by_key[key]

    def _forget(self) -> list[str]:
        forgotten: list[str] = []
        while self._all and (len(self._all) > self._limit or self._is_over(next(iter(self._all.values())))):
            forgotten.append(next(iter(self._all)))
            self.forget(forgotten[-1])
        return forgotten

    def _is_over(self, occurrence: Occurrence) -> bool:
        return self._newest - occurrence.last_seen > LONGEST


def _keys(gpu: Gpu) -> Iterator[Hashable]:
    yield gpu.node, gpu.device
    if gpu.uuid:
        yield "uuid", gpu.uuid, ""
    if gpu.serial:
        yield "serial", gpu.serial, ""
