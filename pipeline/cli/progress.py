"""How far a long reading is, told on standard error: as a bar to people, as a log line every ten seconds else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from pipeline.backtest.reading import Progress, Told

_EVERY = 10.0
"""Seconds between two log lines."""


@contextmanager
def telling() -> Iterator[Told]:
    """Yield what tells how far a reading is, as it suits standard error."""
    if not sys.stderr.isatty():
        yield LogLines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None, told="")

        def tell(progress: Progress) -> None:
            bar.update(task, total=progress.bytes_total, completed=progress.bytes_read, told=position(progress))

        yield tell


class LogLines:
    """A log line every ten seconds, and none for what takes less; at the level that is set when it is made."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """*clock* counts seconds."""
        self._clock = clock
        self._told = clock()
        self._log = structlog.get_logger().bind()

    def __call__(self, progress: Progress) -> None:
        """Say how far the reading is, if that was said long enough ago."""
        now = self._clock()
        if now - self._told < _EVERY:
            return
        self._told = now
        self._log.info(
            "backtest.reading",
            percent=round(100 * progress.bytes_read / max(progress.bytes_total, 1), 1),
            bytes=progress.bytes_read,
            bytes_total=progress.bytes_total,
            lines=progress.lines,
            log_time=progress.at.isoformat() if progress.at else None,
        )


def position(progress: Progress) -> str:
    """`12,345,678 lines, log at 2026-11-20 08:00`."""
    at = f", log at {progress.at:%Y-%m-%d %H:%M}" if progress.at else ""
    return f"{progress.lines:,} lines{at}"
