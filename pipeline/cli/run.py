"""`gpu-rescue run`: the pipeline."""

import asyncio
import json
import signal
import socket
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import structlog
from rich.console import Console

from pipeline.api.server import serving
from pipeline.app import build
from pipeline.cli.board import Totals
from pipeline.cli.console import LiveConsole, PlainConsole
from pipeline.cli.options import config, sets, settings_of
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.cluster.port import Cluster
from pipeline.errors import BadInputError, Complaint, PermanentError, TemporaryError
from pipeline.settings import Settings
from sinks.base import Sink, SinkError

_log = structlog.get_logger()

_SPEED = 600
_LONGEST_PAUSE = 0.25
_ALL_PAUSES = 20.0
_REAL = "The cluster is real: nodes are cordoned, drained and rebooted as its policies say."
_REHEARSED = "The cluster is real, and nothing is done to it: all that its policies plan is rehearsed."
_SIMULATED = "The cluster is simulated: no machine is touched."
_UNKNOWN_NODES = " Its nodes are the log's hosts, without labels, which no rule with a nodeSelector matches."
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
@click.option("--follow", is_flag=True, help="With --source: go on by the wall clock, as tail -F does.")
def run(config: Path | None, overrides: tuple[str, ...], source: str | None, follow: bool) -> None:
    """Run the pipeline until its sources end, or until it is told to stop (SIGTERM, Ctrl-C).

    Without -c it is the embedded one: the shipped sample log (or --source), a simulated cluster, records in
    rescue-records.ndjson. No real machine is touched.

    \b
    Example:
      gpu-rescue run
      dmesg -w | gpu-rescue run --source - --follow
      gpu-rescue run --source /var/log/kern.log --follow
      gpu-rescue run -c /etc/gpu-rescue/pipeline.yaml --set dry_run=true
    """
    if follow and source is None:
        raise click.UsageError("--follow goes with --source")
    own = () if source is None else _own_source(source, follow, embedded=config is None)
    asyncio.run(_run(settings_of(config, (*own, *overrides))))


def _own_source(source: str, follow: bool, embedded: bool) -> list[str]:
    """The settings that replace the sources; the sample cluster has nothing to do with somebody's own log."""
    described: dict[str, Any] = {"follow": follow}
    if source == "-":
        described |= {"type": "stdin", "node": socket.gethostname()}
    else:
        path = Path(source.removeprefix("file://")).absolute()
        described |= {"type": "file", "path": str(path), "node_from_file_name": True}
    return [f"sources={json.dumps([described])}"] + (["cluster={type: simulated}"] if embedded else [])


async def _run(settings: Settings) -> None:
    console = Console()
    people = console.is_terminal
    view = LiveConsole(console) if people else PlainConsole()
    try:
        async with AsyncExitStack() as stack:
            app = build(settings, Pacing() if people else _no_pause, view.show, stack)
            await _reach(app.sink)
            if settings.api is not None:
                await stack.enter_async_context(serving(settings.api, app.readiness))
            await _look(app.cluster)
            view.begin(_beginning(settings, app.simulated_time))
            await _until_stopped(app.loop.run())
        view.summarise(Totals(app.lines_read, app.oddities.problems, app.oddities.unknown_driver_lines))
        view.say("records: " + ", ".join(sink.place for sink in settings.sinks))
    finally:
        view.close()


def _beginning(settings: Settings, simulated_time: bool) -> str:
    if isinstance(settings.cluster, KubernetesClusterConfig):
        return _REHEARSED if settings.dry_run else _REAL
    unknown = _UNKNOWN_NODES if settings.cluster.nodes is None else ""
    return _SIMULATED + unknown + (_FASTER if simulated_time else "")


async def _reach(sink: Sink) -> None:
    """Find out at the start, and not at the first fault, that records could not be kept."""
    try:
        await sink.reach()
    except SinkError as error:
        if error.retry_after is None:
            raise BadInputError(Complaint("sinks", str(error))) from error
        _log.warning("sink.away", error=str(error))
    try:
        # A sink that spools takes up what an earlier run has left, though no fault comes.
        await sink.write([])
    except SinkError as error:
        _log.warning("sink.away", error=str(error))


async def _look(cluster: Cluster) -> None:
    """Say at the start all that the cluster lacks; until it is there, the pipeline waits, as /readyz says."""
    try:
        await cluster.reach()
    except TemporaryError as error:
        _log.warning("cluster.away", error=str(error))
    except PermanentError as error:
        _log.error("cluster.refused", error=str(error))


async def _until_stopped(running: Coroutine[None, None, None]) -> None:
    """Await the pipeline; the first signal ends it in good order."""
    task = asyncio.create_task(running)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
