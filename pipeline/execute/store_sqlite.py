"""The durable store of one machine: a cache over a file, to which everything goes before it is shown."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Generic

from pipeline.execute.saved import T
from pipeline.execute.store_cache import KEPT_ENDED, StoreCache
from pipeline.execute.store_file import StoreFile
from pipeline.model.occurrence import Occurrence
from pipeline.model.rescue import Rescue


@dataclass(frozen=True, slots=True)
class _Change(Generic[T]):
    """A change of the file, what shows it once it is safe, and who waits for it."""

    make: Callable[[], T]
    show: Callable[[T], None]
    promise: asyncio.Future[T]

    def keep(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            if not self.promise.done():
                self.promise.set_exception(outcome)
            return
        # Whoever asked for it may be gone; what was made shows all the same.
        self.show(outcome)
        if not self.promise.done():
            self.promise.set_result(outcome)


class SqliteStore(StoreCache):
    """Rescues and occurrences that outlive the process.

    Writes that come while others are on their way to the disk go together, in order, with the next sync: a storm of
    them costs few. Raises TemporaryError while the disk takes nothing, BadInputError when only a person can help.
    """

    def __init__(self, path: Path, kept_ended: int = KEPT_ENDED) -> None:
        """Open the file and read it; raise BadInputError, which names it, if it cannot serve as a store."""
        super().__init__(kept_ended)
        self._path = path
        self._file = StoreFile(path)
        # One thread alone: the file knows no other.
        self._thread = ThreadPoolExecutor(1, "store")
        self._waiting: list[_Change[Any]] = []
        # What the cache has forgotten; the file does with the next write.
        self._forgotten: dict[str, None] = {}
        self._forgotten_occurrences: dict[str, None] = {}
        self._writing: asyncio.Task[None] | None = None
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise

    async def reach(self) -> str:
        """Tell the file and how much is in it."""
        return f"{self._path}, {len(self.all())} rescues, {len(self.open())} of them open"

    async def close(self) -> None:
        """Let go of the file when what is on its way to it is safe."""
        try:
            if self._writing is not None:
                # Whoever has no time to wait for it does not break it off.
                await asyncio.wait({self._writing})
        finally:
            self._thread.submit(self._file.close)
            self._thread.shutdown()

    async def fetch(self, name: str) -> Rescue | None:
        """Return the same as `get`: nobody else writes the file, and what it holds shows."""
        return self.get(name)

    async def clean_up(self, now: datetime) -> None:
        """There is nothing to do: what the cache forgets, the file does with the next write."""

    async def create(self, rescue: Rescue) -> Rescue:
        """Save a new rescue, or return the one that has its name."""
        return await self._made(partial(self._file.create, rescue), self._show)

    async def save(self, rescue: Rescue) -> Rescue:
        """Replace the rescue if nobody else has since it was read."""
        return await self._made(partial(self._file.save, rescue), self._show)

    async def note(self, occurrence: Occurrence) -> None:
        """Save an occurrence; one of its name spans the time of both from then on."""
        await self._made(partial(self._file.note, occurrence), self._show_occurrence)

    def _load(self) -> None:
        for rescue in self._file.rescues():
            self._show(rescue)
        for occurrence in self._file.occurrences():
            self._show_occurrence(occurrence)

    async def _made(self, make: Callable[[], T], show: Callable[[T], None]) -> T:
        promise: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Change(make, show, promise))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await promise

    async def _write(self) -> None:
        """Make what waits, all that has come meanwhile at once, until nothing does."""
        while self._waiting:
            changes, self._waiting = self._waiting, []
            forget = partial(self._file.forget, list(self._forgotten), list(self._forgotten_occurrences))
            outcomes: Sequence[object]
            try:
                _, *outcomes = await self._together([forget, *(change.make for change in changes)])
                self._forgotten.clear()
                self._forgotten_occurrences.clear()
            except Exception as error:
                outcomes = [error] * len(changes)
            for change, outcome in zip(changes, outcomes, strict=True):
                change.keep(outcome)

    async def _together(self, changes: Sequence[Callable[[], object]]) -> list[object]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._file.together, changes)

    def _show(self, rescue: Rescue) -> None:
        self._forgotten.pop(rescue.name, None)
        self._forgotten.update(dict.fromkeys(self.show(rescue)))

    def _show_occurrence(self, occurrence: Occurrence) -> None:
        self._forgotten_occurrences.pop(occurrence.name, None)
        self._forgotten_occurrences.update(dict.fromkeys(self.show_occurrence(occurrence)))
