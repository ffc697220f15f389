"""`gpu-rescue backtest`: past logs through proposed policies, without effect."""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson
from rich.console import Console

from pipeline.app import build_backtest, policy_documents
from pipeline.backtest.backtest import Span
from pipeline.backtest.logs import configured_logs, past_logs
from pipeline.backtest.report import Report
from pipeline.backtest.timeline import html, svg
from pipeline.cli.backtest_view import show
from pipeline.cli.options import config, sets, settings_of
from pipeline.cli.progress import telling
from pipeline.durations import parse_duration
from pipeline.errors import BadInputError, Complaint
from pipeline.settings import Settings
from pipeline.telemetry import configure_logging

_PICTURES = {".svg": svg, ".html": html}
_EMBEDDED = "cluster={type: simulated}"


@click.command()
@config
@sets
@click.option(
    "--source", "sources", multiple=True, metavar="PATH", help="Past logs: files, also .gz, folders, patterns."
)
@click.option(
    "--policies", multiple=True, type=click.Path(path_type=Path), metavar="DIR|FILE", help="The proposed policies."
)
@click.option(
    "--against", multiple=True, type=click.Path(path_type=Path), metavar="DIR|FILE", help="Others to compare them with."
)
@click.option("--from", "begin", metavar="T", help="Only faults from then on: 2026-11-20T08:00:00Z, or 7days back.")
@click.option("--to", "end", metavar="T", help="Only faults up to then.")
@click.option("--timeline", type=click.Path(path_type=Path), metavar="FILE", help="Draw a picture: .svg or .html.")
def backtest(
    config: Path | None,
    overrides: tuple[str, ...],
    sources: tuple[str, ...],
    policies: tuple[Path, ...],
    against: tuple[Path, ...],
    begin: str | None,
    end: str | None,
    timeline: Path | None,
) -> None:
    """Put past logs through proposed policies, without effect: which nodes would have been cordoned, drained, rebooted,
    replaced, taken offline, and when; what the guards would have held; how many nodes were out of service at the worst.

    Options may be repeated. Without --source the configuration's log files are read, with their rotated ones; without
    --policies its policies are tried. Several files are merged by the time of their lines. The cluster is simulated, on
    the log's own time: boot times and pods come from the nodes file of the configuration (cluster.nodes), hosts that it
    does not know become nodes. Of a Kubernetes cluster its nodes, and without --policies its policies, are those of
    this moment, without pods. Nothing is written but the picture.

    Tables on a terminal, one JSON object in a pipe: `gpu-rescue schema backtest` describes its keys.

    \b
    Example:
      gpu-rescue backtest -c pipeline.yaml --source 'old/kern.log*' --policies proposed/
      gpu-rescue backtest --source logs/ --policies new.yaml --against old.yaml --timeline diff.html
      gpu-rescue backtest --from 2026-11-20T08:00:00Z --to 2026-11-20T20:00:00Z | jq .proposed.totals
    """
    span = Span(_moment("--from", begin), _moment("--to", end))
    if span.begin is not None and span.end is not None and span.begin > span.end:
        raise BadInputError(Complaint("--from", f"{begin} is later than --to {end}", "name the earlier time first"))
    _check_picture(timeline)
    embedded = (_EMBEDDED,) if sources and config is None else ()
    settings = settings_of(config, (*embedded, *overrides))
    for option, paths in (("--policies", policies), ("--against", against)):
        _demand_policies(option, paths)
    tried = [policies or tuple(settings.policies), *([against] if against else [])]
    report = _run(settings, tried, sources, span)
    if timeline is not None:
        timeline.write_text(_PICTURES[timeline.suffix](report), encoding="utf-8")
    if sys.stdout.isatty():
        show(report, Console())
    else:
        click.echo(orjson.dumps(report.model_dump(mode="json")))


def _run(settings: Settings, policies: Sequence[Sequence[Path]], sources: Sequence[str], span: Span) -> Report:
    logs = past_logs(sources) if sources else configured_logs(settings.sources)
    with telling() as told:
        if settings.log.level != "debug":
            # What a run would warn of (no standby is left, a call is tried again) is simulated here, and no news.
            configure_logging(json=not sys.stderr.isatty(), level="error")
        return asyncio.run(build_backtest(settings, policies, logs, span, told).run())


def _moment(option: str, text: str | None) -> datetime | None:
    """The time that an option names: ISO 8601, UTC where it names no zone, or a duration back from now."""
    if text is None:
        return None
    try:
        return datetime.now(UTC) - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        remedy = "write it like 2026-11-20T08:00:00Z, or 36h for so long ago"
        raise BadInputError(Complaint(option, f"{text!r} is no time", remedy)) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_picture(path: Path | None) -> None:
    """Find out before hours of reading that a picture could not be drawn."""
    if path is None:
        return
    if path.suffix not in _PICTURES:
        known = " or ".join(_PICTURES)
        raise BadInputError(Complaint("--timeline", f"{path} is no picture that can be drawn", f"end it in {known}"))
    if path.is_dir() or not path.absolute().parent.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        remedy = "name a file in a folder that exists and can be written to"
        raise BadInputError(Complaint("--timeline", f"{path} cannot be written", remedy))


def _demand_policies(option: str, paths: Sequence[Path]) -> None:
    """A folder without policies would try the built-in one, which nobody means who names a folder."""
    for path in paths:
        if not policy_documents([path]):
            raise BadInputError(Complaint(option, f"{path} holds no policy", "name a manifest, or a folder of *.yaml"))
