"""Writes that come at the same time share requests, and each is told what became of its own records."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.base import Record, SinkError
from sinks.elasticsearch.batches import Batches
from sinks.elasticsearch.operations import Operation

START = datetime(2026, 1, 31, tzinfo=UTC)


def operation(number: int, size: int = 10) -> Operation:
    return Operation(Record(str(number), START, {}), b"x" * size)


class Server:
    """Takes requests one after the other, each when it is let go; says of some ids that they are not safe."""

    def __init__(self, unsafe: Sequence[int] = ()) -> None:
        self.requests: list[list[int]] = []
        self.unsafe = unsafe
        self.open = asyncio.Event()
        self.open.set()
        self.defect: Exception | None = None

    async def send(self, operations: Sequence[Operation]) -> list[SinkError | None]:
        numbers = [int(sent.record.id) for sent in operations]
        self.requests.append(numbers)
        await self.open.wait()
        if self.defect is not None:
            raise self.defect
        return [SinkError(f"{number} is not safe", 1.0) if number in self.unsafe else None for number in numbers]


async def test_what_comes_during_a_request_is_the_next_one() -> None:
    server = Server()
    batches = Batches(server.send, 100, 10_000, 0)
    server.open.clear()
    writes = [asyncio.create_task(batches.put([operation(number)])) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    server.open.set()
    writes.append(asyncio.create_task(batches.put([operation(5)])))
    await asyncio.gather(*writes)
    assert (server.requests[0][0], list(chain(*server.requests))) == (0, list(range(6)))
    assert len(server.requests) <= 3


async def test_a_write_is_split_by_count_and_by_bytes() -> None:
    server = Server()
    await Batches(server.send, 3, 10_000, 0).put([operation(number) for number in range(7)])
    await Batches(server.send, 100, 25, 0).put([operation(number) for number in range(5)])
    await Batches(server.send, 100, 25, 0).put([operation(8, 99), operation(9)])
    assert server.requests == [[0, 1, 2], [3, 4, 5], [6], [0, 1], [2, 3], [4], [8], [9]]


async def test_a_record_waits_for_others_only_until_a_batch_is_full() -> None:
    server = Server()
    batches = Batches(server.send, 2, 10_000, 60)
    async with asyncio.timeout(5):
        await asyncio.gather(batches.put([operation(1)]), batches.put([operation(2)]))
    assert server.requests == [[1, 2]]


async def test_a_record_waits_for_others_only_for_a_time_and_not_when_the_end_comes() -> None:
    server = Server()
    batches = Batches(server.send, 100, 10_000, 0.001)
    await batches.put([operation(1)])
    slow = Batches(server.send, 100, 10_000, 60)
    write = asyncio.create_task(slow.put([operation(2)]))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await slow.flush(5)
        await write
    assert server.requests == [[1], [2]]


async def test_the_end_is_not_held_up_by_a_server_that_does_not_answer() -> None:
    server = Server()
    batches = Batches(server.send, 2, 10_000, 0)
    server.open.clear()
    writes = [asyncio.create_task(batches.put([operation(number)])) for number in range(5)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await batches.flush(0.01)
        told = await asyncio.gather(*writes, return_exceptions=True)
    assert {str(error) for error in told} == {"the sink was closed before all was sent"}
    server.open.set()
    await batches.put([operation(5)])
    assert server.requests[-1] == [5]


async def test_each_write_is_told_of_its_own_records_only() -> None:
    batches = Batches(Server(unsafe=[2, 3]).send, 100, 10_000, 0)
    told = await asyncio.gather(
        batches.put([operation(0), operation(1)]),
        batches.put([operation(2), operation(4), operation(3)]),
        batches.put([operation(5)]),
        return_exceptions=True,
    )
    assert [told[0], str(told[1]), told[2]] == [None, "2 is not safe", None]


async def test_a_write_that_is_given_up_disturbs_no_other() -> None:
    server = Server()
    batches = Batches(server.send, 100, 10_000, 0)
    server.open.clear()
    given_up, other = (asyncio.create_task(batches.put([operation(number)])) for number in range(2))
    await asyncio.sleep(0.001)
    given_up.cancel()
    await asyncio.sleep(0)
    server.open.set()
    await other
    assert given_up.cancelled()


async def test_a_defect_is_told_to_all_who_wait_and_the_next_write_goes_on() -> None:
    server = Server()
    server.defect = ValueError("a defect")
    batches = Batches(server.send, 100, 10_000, 0)
    with pytest.raises(ValueError, match="a defect"):
        await batches.put([operation(1)])
    server.defect = None
    await batches.put([operation(2)])
    assert server.requests == [[1], [2]]


@given(st.lists(st.lists(st.integers(1, 40), max_size=6), max_size=8), st.integers(1, 5), st.integers(1, 100))
def test_all_are_sent_once_in_order_within_the_limits(writes: list[list[int]], most: int, most_bytes: int) -> None:
    async def send_all() -> list[list[int]]:
        server = Server()
        batches = Batches(server.send, most, most_bytes, 0)
        counter = iter(range(1000))
        operations = [[operation(next(counter), size) for size in write] for write in writes]
        sizes = {int(one.record.id): len(one.lines) for write in operations for one in write}
        await asyncio.gather(*(batches.put(write) for write in operations))
        for request in server.requests:
            assert len(request) <= most
            assert len(request) == 1 or sum(sizes[number] for number in request) <= most_bytes
        return server.requests

    assert list(chain(*asyncio.run(send_all()))) == list(range(sum(map(len, writes))))
