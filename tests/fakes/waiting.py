"""Waiting for what another process writes, without a sleep and not for ever."""

import time
from collections.abc import Callable
from pathlib import Path

from watchfiles import watch

_LOOK = 200
"""Milliseconds after which the condition is asked without a change."""


def until(holds: Callable[[], bool], folder: Path, limit: float) -> None:
    """Return when the condition holds; it is asked after each change in the folder, and now and then without one.

    *limit* is in seconds; after that it is an AssertionError.
    """
    deadline = time.monotonic() + limit
    for _ in watch(folder, debounce=100, step=20, rust_timeout=_LOOK, yield_on_timeout=True):
        if holds():
            return
        assert time.monotonic() < deadline, f"what was waited for has not come in {limit:g} s"
