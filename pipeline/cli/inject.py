"""`gpu-rescue inject`: a drill, which is a marked line in the source; it runs dry unless told otherwise."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pipeline.app import open_inlet, open_patterns
from pipeline.cli.drill import DrillLine, Envelope, checked
from pipeline.cli.options import config, sets, settings_of
from pipeline.errors import BadInputError, Complaint, NotFoundError
from pipeline.match.matcher import Matcher
from pipeline.match.xid import parse_pci
from pipeline.model.fault import Drill, Fault
from pipeline.model.line import LogLine
from pipeline.settings import Settings
from pipeline.sources.inlet import FileInlet, Inlet, StreamInlet

_MOST = 1_000_000
_UNKNOWN = "Drill of a code that no catalogue knows"


class _Pci(click.ParamType[str]):
    """A PCI address in any of the ways drivers print it."""

    name = "pci"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return parse_pci(value) or self.fail(f"{value!r} is no PCI address; write it like 0000:3b:00", param, ctx)


@click.command()
@click.option("--node", required=True, metavar="N", help="The host name that the line is of.")
@click.option("--xid", required=True, type=click.IntRange(0, 999_999), metavar="CODE", help="The Xid that it reports.")
@click.option("--pci", type=_Pci(), default="0000:3b:00", show_default=True, help="The GPU's PCI address.")
@click.option("--message", metavar="TEXT", help="What follows the number; without it the catalogue's words.")
@click.option("--count", type=click.IntRange(1, _MOST), default=1, show_default=True, help="How often: a storm.")
@click.option(
    "--envelope",
    type=click.Choice([str(envelope) for envelope in Envelope]),
    default=str(Envelope.SYSLOG),
    show_default=True,
    help="How the line is wrapped: as the other lines of the log are.",
)
@click.option("--to", metavar="FILE", help="Append to this file instead of the source's; - is standard output.")
@click.option("--really", is_flag=True, help="Act on the node for real. Asks first.")
@click.option("--yes", is_flag=True, help="With --really: don't ask.")
@config
@sets
def inject(
    config: Path | None,
    overrides: tuple[str, ...],
    count: int,
    envelope: str,
    to: str | None,
    really: bool,
    yes: bool,
    **said: Any,
) -> None:
    """Hold a drill: put a marked line into the log that a running pipeline reads.

    The rescue that follows is rehearsed on a copy of the cluster, and recorded as a dry run; nothing happens to the
    node. With --really it is done. The line goes to the first source of the configuration that is a followed file or a
    Kafka topic.

    \b
    Example:
      gpu-rescue inject -c /etc/gpu-rescue/pipeline.yaml --node gpu-h100-01 --xid 79
      gpu-rescue inject --node gpu-h100-01 --xid 79 --to - | gpu-rescue run --source -
    """
    settings = settings_of(config, overrides)
    inlet = _inlet(settings, to)
    matcher = Matcher(open_patterns(settings))
    line = _line(matcher, Drill.REAL if really else Drill.DRY, **said)
    payload = checked(line.wrapped(Envelope(envelope), settings.decode), line, settings.decode, matcher)
    if really and not yes:
        _confirm(line, settings)
    try:
        asyncio.run(inlet.inject([payload] * count, line.node))
    except NotFoundError as error:
        raise BadInputError(Complaint(inlet.place, str(error))) from error
    lines = "1 line" if count == 1 else f"{count} lines"
    told = f"wrote {lines} to {inlet.place}: {payload.decode()}\n{_what_follows(line, settings)}"
    click.echo(told, err=isinstance(inlet, StreamInlet))


def _inlet(settings: Settings, to: str | None) -> Inlet:
    if to is not None:
        return StreamInlet(sys.stdout.buffer) if to == "-" else FileInlet(Path(to))
    inlets = (inlet for source in settings.sources if (inlet := open_inlet(source)) is not None)
    if (first := next(inlets, None)) is not None:
        return first
    kinds = ", ".join(source.type for source in settings.sources)
    goes_on = "a running pipeline reads on only in a file with follow: true and in Kafka"
    problem = f"no source can be written to ({kinds}): {goes_on}"
    remedy = "name the configuration that it runs with (-c) or a file that it follows (--to FILE), or pipe it: --to -"
    raise BadInputError(Complaint("sources", problem, remedy))


def _line(matcher: Matcher, drill: Drill, node: str, xid: int, pci: str, message: str | None) -> DrillLine:
    """Return the line; its message, if none is given, is what the catalogue says of the code."""
    example = Fault("xid", xid, pci, "", "xid", LogLine("", "drill"))
    words = message or matcher.catalogue.meaning(example).meaning or _UNKNOWN
    return DrillLine(node, xid, pci, words, drill, datetime.now(UTC))


def _confirm(line: DrillLine, settings: Settings) -> None:
    """Ask whether it is meant; raise click's Abort if it is not."""
    if not sys.stdin.isatty():
        raise click.UsageError("--really asks first, and nobody is there to answer: add --yes if it is meant")
    click.confirm(f"{_what_follows(line, settings)}\nIs that meant?", abort=True, err=True)


def _what_follows(line: DrillLine, settings: Settings) -> str:
    node, look = line.node, f"See gpu-rescue records --node {line.node}"
    if line.drill is Drill.DRY:
        return (
            f"The pipeline that reads it rehearses the rescue of {node} on a copy of the cluster; nothing happens to "
            f"the node. {look}: its records say drill: dry and dry_run: true."
        )
    if settings.dry_run:
        return f"By this configuration (dry_run) the rescue of {node} is rehearsed all the same. {look}."
    return (
        f"The pipeline that reads it acts on {node} FOR REAL, as its policies say: pods are evicted, the machine may "
        f"be rebooted or taken out of service. {look}: its records say drill: real."
    )
