"""Standard input: read as it comes, to its end, without holding up the event loop."""

import asyncio
import os
from pathlib import Path

import pytest

from pipeline.errors import BadInputError
from pipeline.sources.port import Delivery
from pipeline.sources.stdin import StdinSource, StdinSourceConfig


def faults(message: bytes) -> bool:
    return b"NVRM" in message


async def deliveries(source: StdinSource) -> list[Delivery]:
    return [delivery async for delivery in source.deliveries()]


def written(content: bytes) -> int:
    """The read end of a pipe that holds *content* and has ended."""
    read_end, write_end = os.pipe()
    os.write(write_end, content)
    os.close(write_end)
    return read_end


async def test_a_pipe_is_read_to_its_end() -> None:
    source = StdinSource(StdinSourceConfig(node="gpu-01"), faults, written(b"noise\nNVRM: 1\r\nnoise\nNVRM: 2"))
    found = await deliveries(source)
    assert [(delivery.payload, delivery.position.split("@")[0], delivery.key, delivery.time) for delivery in found] == [
        (b"NVRM: 1", "stdin:6", "gpu-01", None),
        (b"NVRM: 2", "stdin:21", "gpu-01", None),
    ]
    assert (source.read, source.wanted, source.cut, source.live) == (4, 2, 0, False)


async def test_a_file_may_be_standard_input(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"NVRM: 1\n" * 3)
    with (tmp_path / "log").open("rb") as file:
        assert len(await deliveries(StdinSource(StdinSourceConfig(), faults, file.fileno()))) == 3


async def test_nothing_may_be_standard_input() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    assert await deliveries(StdinSource(StdinSourceConfig(), faults, descriptor)) == []
    os.close(descriptor)


async def test_lines_are_delivered_as_they_come() -> None:
    read_end, write_end = os.pipe()
    stream = StdinSource(StdinSourceConfig(), faults, read_end).deliveries()
    for number in range(3):
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert not waiting.done()
        os.write(write_end, b"NVRM: %d\n" % number)
        assert (await asyncio.wait_for(waiting, 5)).payload == b"NVRM: %d" % number
    os.close(write_end)


async def test_waiting_ends_when_it_is_cancelled() -> None:
    read_end, write_end = os.pipe()
    waiting = asyncio.ensure_future(anext(StdinSource(StdinSourceConfig(), faults, read_end).deliveries()))
    await asyncio.sleep(0)
    waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=5)
    assert done == {waiting}
    os.close(write_end)


async def test_a_pipe_without_data_that_others_made_non_blocking_is_waited_for() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    waiting = asyncio.ensure_future(anext(StdinSource(StdinSourceConfig(), faults, read_end).deliveries()))
    await asyncio.sleep(0)
    os.write(write_end, b"NVRM: 1\n")
    assert (await asyncio.wait_for(waiting, 5)).payload == b"NVRM: 1"
    os.close(write_end)


async def test_a_closed_standard_input_is_refused() -> None:
    read_end, write_end = os.pipe()
    os.close(write_end)
    os.close(read_end)
    with pytest.raises(BadInputError, match=r"standard input: cannot be read: .*; pipe a kernel log in"):
        await deliveries(StdinSource(StdinSourceConfig(), faults, read_end))


async def test_equal_input_has_equal_positions() -> None:
    first, second = [
        await deliveries(StdinSource(StdinSourceConfig(), faults, written(b"NVRM: 1\n"))) for _ in range(2)
    ]
    (other,) = await deliveries(StdinSource(StdinSourceConfig(), faults, written(b"NVRM: 2\n")))
    assert first[0].position == second[0].position != other.position
    await first[0].ack()
