"""`gpu-rescue records`: read the records back from the sink they were written to."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson

from pipeline.app import open_sinks
from pipeline.cli.console import line_of
from pipeline.cli.options import config, sets, settings_of
from pipeline.durations import parse_duration
from pipeline.model.rescue import EventAction
from sinks.base import Query, Sink


class _Since(click.ParamType[datetime]):
    """A duration back from now, or an ISO 8601 time."""

    name = "since"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return datetime.now(UTC) - parse_duration(value)
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is neither a duration such as 1h30min nor a time such as 2026-11-20T08:00:00Z", param, ctx
            )
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.option("--node", help="Only of this node.")
@click.option("--since", type=_Since(), help="Only from then on: 1h back from now, or 2026-11-20T08:00:00Z.")
@click.option("--action", type=click.Choice([str(action) for action in EventAction]), help="Only of this event.action.")
@config
@sets
def records(
    node: str | None, since: datetime | None, action: str | None, config: Path | None, overrides: tuple[str, ...]
) -> None:
    """Print rescue records, oldest first: a line each on a terminal, NDJSON in a pipe.

    \b
    Example:
      gpu-rescue records --node gpu-h100-01 --since 1h
      gpu-rescue records --action rescue-failed | jq .message
    """
    settings = settings_of(config, overrides)
    asyncio.run(_print(open_sinks(settings), Query(node=node, since=since, action=action)))


async def _print(sink: Sink, query: Query) -> None:
    people, found = sys.stdout.isatty(), 0
    try:
        async for record in sink.read(query):
            found += 1
            click.echo(line_of(record) if people else orjson.dumps(record.document))
    finally:
        await sink.close()
    if not found:
        told = "no record was found that matches; the configuration (-c, --set sinks.0.path=...) says where they are"
        click.echo(told, err=True)
