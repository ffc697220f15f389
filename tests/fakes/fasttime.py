"""An event loop whose time jumps to what is due next: hours of waiting pass at once."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Waits for nothing; it counts what it would have waited."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.passed += max(timeout or 0.0, 0.0)
        return super().select(0)


class _FastLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed


def run_fast(main: Coroutine[Any, Any, T], limit: float = 10_000.0) -> T:
    """Run *main* in a loop of its own that starts at 0; raise TimeoutError after *limit* seconds of its time."""
    with asyncio.Runner(loop_factory=_FastLoop) as runner:
        return runner.run(asyncio.wait_for(main, limit))
