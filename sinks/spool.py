"""A sink whose destination may be away: records then wait on the disk and are delivered in order when it is back."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import structlog

from sinks.base import Query, Record, Sink, SinkError
from sinks.readback import Found
from sinks.spoolfiles import SpoolConfig, SpoolFiles, Waiting

T = TypeVar("T")

_log = structlog.get_logger()

_BATCH = 500
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_RETRY_AFTER = 10.0


def _nobody_counts(_: Waiting) -> None:
    """Where nobody asks how much waits."""


class SpooledSink:
    """Writes to a sink while that can take records, and else to a spool, from which they are delivered in order.

    A record is safe when either has it. While any waits, all go through the spool. The first write, also one of
    nothing, takes up what an earlier run has left. *tell* is called whenever more or less waits than before.
    """

    def __init__(
        self,
        sink: Sink,
        config: SpoolConfig,
        tell: Callable[[Waiting], None] = _nobody_counts,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sink = sink
        self._config = config
        self._tell = tell
        self._pause = pause
        self._files = SpoolFiles(config)
        self._worker = ThreadPoolExecutor(1, "spool")
        self._taken_up = False
        self._delivery: asyncio.Task[None] | None = None

    async def reach(self) -> str:
        """Reach the destination; tell also how much waits for it.

        Whatever is wrong with the destination, another try may help: records are safe here while a person is at it.
        """
        size = await self._work(self._files.probe)
        waiting = f"; {size:,} bytes of records wait in {self._config.path}" if size else ""
        try:
            return await self._sink.reach() + waiting
        except SinkError as error:
            raise SinkError(f"{error}{waiting}", error.retry_after or _RETRY_AFTER) from error

    async def write(self, records: Sequence[Record]) -> None:
        """Return when the destination or the disk has every record; raise SinkError when neither takes them."""
        if not self._taken_up:
            await self._work(self._files.open)
            self._taken_up = True
            self._changed()
        if records and self._files.waiting.bytes:
            await self._keep(records)
        elif records:
            try:
                await self._sink.write(records)
            except SinkError as error:
                try:
                    await self._keep(records)
                except SinkError as unkept:
                    raise SinkError(f"{error}, and {unkept}", unkept.retry_after) from error
                _log.warning("spool.begins", path=str(self._config.path), error=str(error))

    async def read(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match, those that wait in their places among the others, each once.

        Raises SinkError, as the destination does: what waits is a part of the records and must not look like all.
        """
        # Looked for before the destination is asked: what is delivered in between is then there twice, and told once.
        found = await self._work(lambda: self._files.find(query))
        try:
            waiting = await self._work(lambda: {record.id for record in found.records()})
            rest = self._batches(found)
            ahead = await anext(rest, None)
            async for record in self._sink.read(query):
                if record.id not in waiting:
                    while ahead is not None and ahead.time < record.time:
                        yield ahead
                        ahead = await anext(rest, None)
                    yield record
            while ahead is not None:
                yield ahead
                ahead = await anext(rest, None)
        finally:
            found.close()

    async def close(self) -> None:
        """Let go of the destination and of the spool; what waits there is delivered by the next run."""
        if self._delivery is not None:
            self._delivery.cancel()
            await asyncio.wait({self._delivery})
            self._delivery = None
        try:
            await self._work(self._files.close)
        finally:
            self._taken_up = False
            await self._sink.close()
        if self._files.waiting.bytes:
            _log.warning("spool.left", path=str(self._config.path), records=self._files.waiting.records)

    async def _keep(self, records: Sequence[Record]) -> None:
        await self._work(lambda: self._files.append(records))
        self._changed()

    def _changed(self) -> None:
        self._tell(self._files.waiting)
        if self._files.waiting.bytes and self._delivery is None:
            self._delivery = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        doubling = _FIRST_PAUSE
        # What is appended until the last look is delivered by this task, what comes after it by another one.
        while self._files.waiting.bytes:
            try:
                if batch := await self._work(lambda: self._files.head(_BATCH)):
                    await self._sink.write(batch)
                    await self._work(self._files.delivered)
            except SinkError as error:
                wait = max(doubling, _LONGEST_PAUSE if error.retry_after is None else error.retry_after)
                waits = self._files.waiting.records
                _log.warning("spool.waits", path=str(self._config.path), records=waits, error=str(error))
                doubling = min(doubling * 2, _LONGEST_PAUSE)
                # Many processes may wait for one destination: they should not all come back at the same moment.
                await self._pause(min(wait, _LONGEST_PAUSE) * random.uniform(0.5, 1.0))
            except Exception:
                # A defect of ours: what waits is safe, and what comes must not wait for ever.
                _log.exception("spool.defect", path=str(self._config.path))
                await self._pause(_LONGEST_PAUSE)
            else:
                doubling = _FIRST_PAUSE
                self._tell(self._files.waiting)
        self._delivery = None
        _log.info("spool.empty", path=str(self._config.path))

    async def _batches(self, found: Found) -> AsyncIterator[Record]:
        records: Iterator[Record] = found.records()
        while batch := await self._work(lambda: list(islice(records, _BATCH))):
            for record in batch:
                yield record

    async def _work(self, job: Callable[[], T]) -> T:
        """Do one job on the files; all are done in order by one thread, so that a slow disk stops nothing else."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, job)
        except OSError as error:
            raise SinkError(f"the spool {self._config.path} fails: {error.strerror}", _RETRY_AFTER) from error
