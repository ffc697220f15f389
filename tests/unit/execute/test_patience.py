"""Waiting for what is away: it is told each time, and once for all that wait for the same."""

import asyncio

from structlog.testing import capture_logs

from pipeline.execute.patience import Patience
from sinks.base import SinkError


async def _no_pause(_: float) -> None:
    await asyncio.sleep(0)


class Away:
    """Fails so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    async def __call__(self) -> None:
        if self.left:
            self.left -= 1
            raise SinkError("away", 1.0)


async def test_of_many_that_wait_for_the_same_one_speaks_and_another_when_that_waits_no_more() -> None:
    patience = Patience(_no_pause)
    with capture_logs() as logs:
        await asyncio.gather(*(patience.insist("write records", Away(2)) for _ in range(50)))
        assert len(logs) == 2
        await asyncio.gather(*(patience.insist("write records", Away(times)) for times in (1, 3)))
        assert len(logs) == 5


async def test_each_thing_that_is_waited_for_is_told() -> None:
    patience = Patience(_no_pause)
    with capture_logs() as logs:
        await asyncio.gather(*(patience.insist(what, Away(1)) for what in ("write records", "save a rescue")))
    assert {entry["what"] for entry in logs} == {"write records", "save a rescue"}
