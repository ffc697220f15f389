"""`gpu-rescue run`: the pipeline."""

import asyncio
import json
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console

from pipeline.app import build
from pipeline.cli.console import LiveConsole, PlainConsole, summary_lines, summary_table
from pipeline.cli.options import config, sets
from pipeline.settings import Settings, read_settings, shipped

_SPEED = 600
_LONGEST_PAUSE = 0.25
_ALL_PAUSES = 20.0
_SIMULATED = "The cluster is simulated: no machine is touched."
_FASTER = " Times are the log's own and run faster than the clock."


class Pacing:
    """Lets simulated time pass visibly: 600 times faster than the clock, and never more than 20 s of waiting in all."""

    def __init__(self) -> None:
        self._left = _ALL_PAUSES

    async def __call__(self, jump: timedelta) -> None:
        """Wait for what *jump* of simulated time is worth."""
        pause = min(jump.total_seconds() / _SPEED, _LONGEST_PAUSE, self._left)
        self._left -= pause
        await asyncio.sleep(pause)


async def _no_pause(jump: timedelta) -> None:
    """Nobody watches: the next moment comes at once."""


@click.command()
@config
@sets
@click.option("--source", metavar="PATH", help="Read this kernel log instead; - is standard input.")
@click.option("--follow", is_flag=True, help="With --source: go on as the file grows, as tail -F does.")
def run(config: Path | None, overrides: tuple[str, ...], source: str | None, follow: bool) -> None:
    """Run the pipeline until its sources end, or until it is told to stop (SIGTERM, Ctrl-C).

    Without -c it is the embedded one: the shipped sample log (or --source), a simulated cluster, records in
    rescue-records.ndjson. No real machine is touched.

    \b
    Example:
      gpu-rescue run
      gpu-rescue run --source /var/log/kern.log --follow
      gpu-rescue run -c /etc/gpu-rescue/pipeline.yaml --set dry_run=true
    """
    if follow and (source is None or source == "-"):
        raise click.UsageError("--follow goes with --source PATH")
    own = () if source is None else _own_source(source, follow, embedded=config is None)
    settings = read_settings(config or shipped() / "pipeline.yaml", [*own, *overrides])
    asyncio.run(_run(settings))


def _own_source(source: str, follow: bool, embedded: bool) -> list[str]:
    """The settings that replace the sources; the sample cluster has nothing to do with somebody's own log."""
    described = (
        {"type": "stdin"} if source == "-" else {"type": "file", "path": str(Path(source).absolute()), "follow": follow}
    )
    return [f"sources={json.dumps([described])}"] + (["cluster={type: simulated}"] if embedded else [])


async def _run(settings: Settings) -> None:
    console = Console()
    people = console.is_terminal
    view = LiveConsole(console) if people else PlainConsole(console)
    try:
        async with AsyncExitStack() as stack:
            app = build(settings, Pacing() if people else _no_pause, view.show, stack)
            view.begin(_SIMULATED + (_FASTER if app.simulated_time else ""))
            await _until_stopped(app.driver.run())
    finally:
        view.close()
    lines_read = app.lines_read
    if people:
        console.print(summary_table(view.board, lines_read))
    else:
        console.out("\n".join(summary_lines(view.board, lines_read)), highlight=False)
    for sink in settings.sinks:
        console.out(f"records: {sink.path}", highlight=False)


async def _until_stopped(running: Coroutine[None, None, None]) -> None:
    """Await the pipeline; the first signal ends it in good order."""
    task = asyncio.create_task(running)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
