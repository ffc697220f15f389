"""What held rescues and long histories cost: a poll of all that are held, and one more line of a fault that goes on.

Run with `python -m benchmarks.held`. Each is measured in a large cluster with a long history, and beside it in a small
one with none, in the same run: what is told is time, and the ratio of the two.
"""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

from pipeline.decide.guards import GroupLimit, GuardSettings
from pipeline.model.plan import Cordon
from pipeline.model.rescue import Rescue, Status
from tests.fakes.faults import NOON, node_fault, plan, rescue
from tests.fakes.intake import OFF_THE_BUS, Inside
from tests.fakes.world import World, gpu_node

_LARGE, _SMALL = (5_000, 300, 9_000), (500, 30, 0)
_POLLS, _LINES = 3, 2_000
_SECOND = timedelta(seconds=1)


def _ended(number: int, node: str) -> Rescue:
    at = NOON - timedelta(days=1) + number * _SECOND
    one = rescue(f"e{number}", node, at, cause=node_fault(63, node, at), plan=plan(Cordon()))
    return replace(one, status=Status.SUCCEEDED, ended=at, recorded=len(one.journal))


async def _poll(nodes: int, held: int, ended: int) -> float:
    """How long a poll takes while every rescue waits for its group's breaker."""
    names = [f"gpu-{number}" for number in range(nodes)]
    labels = [{"rack": f"r{number % 100}", "nvidia.com/gpu.clique": f"c{number % 70}"} for number in range(nodes)]
    guards = GuardSettings(max_percent=100, max_nodes=nodes, groups=(GroupLimit(label="rack", max_nodes=0),))
    world = World([gpu_node(name, labels=each) for name, each in zip(names, labels, strict=True)], guards=guards)
    for number in range(ended):
        await world.store.create(_ended(number, names[held + number % (nodes - held)]))
    for name in names[:held]:
        await world.store.create(rescue(f"r-{name}", name, cause=node_fault(79, name)))
    took = []
    # The first two hold them and record it.
    for _ in range(2 + _POLLS):
        began = time.perf_counter()
        due = await world.executor.tick()
        took.append(time.perf_counter() - began)
        assert due is not None
        world.clock.move_to(due)
    assert len(world.store.open()) == held
    return min(took[2:])


async def _repeat(ended: int) -> float:
    """How long one more line of a fault takes, on a node on which so many rescues have ended."""
    inside = Inside()
    for number in range(ended):
        await inside.world.store.create(_ended(number, "gpu-1"))
    await inside.take(OFF_THE_BUS)
    began = time.perf_counter()
    for number in range(1, _LINES + 1):
        await inside.take(OFF_THE_BUS, NOON + number * timedelta(milliseconds=1))
    took = (time.perf_counter() - began) / _LINES
    assert len(inside.world.store.open()) == 1
    return took


def main() -> None:
    """Print a row for each."""
    print(f"{'':<62}{'ms':>9}{'to small':>10}")
    large, small = (asyncio.run(_poll(*size)) for size in (_LARGE, _SMALL))
    nodes, held, ended = _LARGE
    told = f"a poll of {held} held, {nodes:,} nodes, {ended:,} ended; to {_SMALL[1]}, {_SMALL[0]}, {_SMALL[2]}"
    print(f"{told:<62}{large * 1e3:>9.1f}{large / small:>10.2f}")
    large, small = (asyncio.run(_repeat(number)) for number in (9_000, 10))
    print(f"{'a line more, 9,000 ended on its node; to 10':<62}{large * 1e3:>9.3f}{large / small:>10.2f}")


if __name__ == "__main__":
    main()
