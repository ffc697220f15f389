"""Several sinks as one: each is written to, whichever fail, and errors name them."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from sinks.base import Query, Record, Sink, SinkError
from sinks.fanout import FanOut
from sinks.memory import MemorySink

START = datetime(2026, 1, 31, tzinfo=UTC)
ONE = Record("r/1", START, {"@timestamp": START.isoformat(), "event": {"id": "r/1"}})
TWO = Record("r/2", START, {"@timestamp": START.isoformat(), "event": {"id": "r/2"}})


class BrokenSink:
    """Fails at everything, in one way; yields some records before it fails at reading."""

    def __init__(self, error: Exception, readable: Sequence[Record] = ()) -> None:
        self.error = error
        self.readable = readable

    async def reach(self) -> str:
        raise self.error

    async def write(self, records: Sequence[Record]) -> None:
        raise self.error

    async def read(self, query: Query) -> AsyncIterator[Record]:
        for record in self.readable:
            yield record
        raise self.error

    async def close(self) -> None:
        raise self.error


async def ids(sink: Sink) -> list[str]:
    return [record.id async for record in sink.read(Query())]


async def test_every_sink_gets_every_record() -> None:
    first, second = MemorySink(), MemorySink()
    await FanOut({"first": first, "second": second}).write([ONE, TWO])
    assert await ids(first) == await ids(second) == ["r/1", "r/2"]


FAILURES = {
    "one that may come back": ({"a": SinkError("is away", 5.0)}, "^a: is away$", 5.0),
    "one that never will": ({"a": SinkError("is a folder")}, "^a: is a folder$", None),
    "two that may come back": ({"a": SinkError("x", 5.0), "b": SinkError("y", 7.0)}, "^a: x; b: y$", 7.0),
    "one of each kind": ({"a": SinkError("x", 5.0), "b": SinkError("y")}, "^a: x; b: y$", 5.0),
}


@pytest.mark.parametrize(("errors", "text", "retry_after"), FAILURES.values(), ids=FAILURES.keys())
async def test_the_others_are_written_to_beside(
    errors: dict[str, SinkError], text: str, retry_after: float | None
) -> None:
    memory = MemorySink()
    broken = {name: BrokenSink(error) for name, error in errors.items()}
    with pytest.raises(SinkError, match=text) as caught:
        await FanOut({**broken, "memory": memory}).write([ONE])
    assert caught.value.retry_after == retry_after
    assert await ids(memory) == ["r/1"]


async def test_a_second_try_writes_nothing_twice() -> None:
    memory, late = MemorySink(), MemorySink()
    with pytest.raises(SinkError):
        await FanOut({"memory": memory, "broken": BrokenSink(SinkError("is away", 1.0))}).write([ONE])
    await FanOut({"memory": memory, "late": late}).write([ONE])
    assert await ids(memory) == await ids(late) == ["r/1"]


async def test_an_error_that_no_sink_may_raise_is_not_hidden() -> None:
    memory = MemorySink()
    with pytest.raises(ZeroDivisionError):
        await FanOut({"broken": BrokenSink(ZeroDivisionError()), "memory": memory}).write([ONE])
    assert await ids(memory) == ["r/1"]


async def test_records_are_read_from_the_first_sink_that_can() -> None:
    memory = MemorySink()
    await memory.write([ONE])
    assert await ids(FanOut({"broken": BrokenSink(SinkError("cannot be read")), "memory": memory})) == ["r/1"]


async def test_a_sink_that_breaks_off_is_not_gone_on_from_with_another() -> None:
    with pytest.raises(SinkError, match=r"^broken: is away$"):
        await ids(FanOut({"broken": BrokenSink(SinkError("is away"), [ONE]), "memory": MemorySink()}))


async def test_where_no_sink_can_be_read_all_are_named() -> None:
    broken = FanOut({"a": BrokenSink(SinkError("x")), "b": BrokenSink(SinkError("y"))})
    with pytest.raises(SinkError, match=r"^a: x; b: y$"):
        await ids(broken)


async def test_closing_closes_all_and_names_those_that_could_not() -> None:
    with pytest.raises(SinkError, match=r"^a: x$"):
        await FanOut({"a": BrokenSink(SinkError("x")), "b": MemorySink()}).close()


async def test_reaching_names_every_sink_that_does_not_answer() -> None:
    sinks: dict[str, Sink] = {
        "first": BrokenSink(SinkError("away")),
        "second": MemorySink(),
        "third": BrokenSink(SinkError("full")),
    }
    with pytest.raises(SinkError, match="first: away; third: full"):
        await FanOut(sinks).reach()
