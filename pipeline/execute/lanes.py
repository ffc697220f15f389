"""Work that is done in turn for one node, and side by side for different ones."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Lanes:
    """What is begun for a node waits until all that was begun for it before has ended, in whatever way."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Task[Any]] = {}

    def begin(self, node: str, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Call *work* when its turn comes."""
        task = asyncio.create_task(_after(self._last.get(node), work))
        self._last[node] = task
        task.add_done_callback(partial(self._ended, node))
        return task

    def _ended(self, node: str, task: asyncio.Task[Any]) -> None:
        if self._last.get(node) is task:
            del self._last[node]


async def _after(before: asyncio.Task[Any] | None, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    if before is not None:
        await asyncio.wait((before,))
    return await work()
