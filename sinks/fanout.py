"""Several sinks as one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence

from sinks.base import Query, Record, Sink, SinkError


class FanOut:
    """Writes to every sink, side by side; records are safe when all have them. The keys name the sinks in errors."""

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self._sinks = dict(sinks)

    async def reach(self) -> str:
        """Reach all, whichever fail, then raise one SinkError that names those."""
        errors = await self._each(sink.reach() for sink in self._sinks.values())
        if errors:
            raise _joined(errors)
        return ", ".join(self._sinks)

    async def write(self, records: Sequence[Record]) -> None:
        """Write to all, whichever fail, then raise one SinkError that names those.

        It is worth another try while one of them is; that one writes the records again where they are safe already,
        which changes nothing.
        """
        errors = await self._each(sink.write(records) for sink in self._sinks.values())
        if errors:
            raise _joined(errors)

    async def read(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records of the first sink that can be read; raise SinkError if none can, or one breaks off."""
        errors = {}
        for name, sink in self._sinks.items():
            begun = False
            try:
                async for record in sink.read(query):
                    begun = True
                    yield record
            except SinkError as error:
                errors[name] = error
                if begun:
                    break
            else:
                return
        raise _joined(errors)

    async def close(self) -> None:
        """Close all, then raise a SinkError that names those which could not make their records safe."""
        errors = await self._each(sink.close() for sink in self._sinks.values())
        if errors:
            raise _joined(errors)

    async def _each(self, calls: Iterable[Awaitable[object]]) -> dict[str, SinkError]:
        # Most have one sink, which needs no task of its own.
        waiting = list(calls)
        outcomes: Sequence[BaseException | None]
        if len(waiting) == 1:
            outcomes = [await _outcome(waiting[0])]
        else:
            outcomes = await asyncio.gather(*map(_outcome, waiting), return_exceptions=True)
        errors = {}
        for name, outcome in zip(self._sinks, outcomes, strict=True):
            if isinstance(outcome, SinkError):
                errors[name] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
        return errors


async def _outcome(call: Awaitable[object]) -> BaseException | None:
    try:
        await call
    except SinkError as error:
        return error
    return None


def _joined(errors: Mapping[str, SinkError]) -> SinkError:
    waits = [error.retry_after for error in errors.values() if error.retry_after is not None]
    text = "; ".join(f"{name}: {error}" for name, error in errors.items())
    return SinkError(text, max(waits, default=None))
