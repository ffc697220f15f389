"""What is told of a cordon waits until no other one is on its way."""

import asyncio

from pipeline.execute.rush import Rush


async def test_what_waits_goes_on_when_the_last_cordon_is_through() -> None:
    rush = Rush()
    with rush.hurrying():
        with rush.hurrying():
            waiting = asyncio.create_task(rush.over())
        await asyncio.sleep(0)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 5)


async def test_nothing_waits_where_no_cordon_is_on_its_way() -> None:
    rush = Rush()
    with rush.hurrying():
        pass
    async with asyncio.timeout(0):
        await rush.over()
