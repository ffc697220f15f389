"""`gpu-rescue check`: whether a pipeline would start with these files, before it does."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import click

from pipeline.app import open_cluster, open_patterns, open_policies, parts
from pipeline.cli.options import config, sets, settings_of
from pipeline.clock import WallClock
from pipeline.cluster.memory import SimulatedCluster
from pipeline.errors import BadInputError, PermanentError, TemporaryError
from pipeline.settings import Settings
from sinks.base import SinkError


@click.command()
@config
@sets
@click.option("--online", is_flag=True, help="Also reach every source, the cluster and every sink.")
@click.pass_context
def check(ctx: click.Context, config: Path | None, overrides: tuple[str, ...], online: bool) -> None:
    """Check configuration, patterns and policies; every mistake is told with FILE:LINE and what would be right.

    \b
    Example:
      gpu-rescue check -c /etc/gpu-rescue/pipeline.yaml
      gpu-rescue check --online
    """
    settings = settings_of(config, overrides)
    click.echo("configuration: ok")
    mistakes = list(_mistakes(settings))
    for mistake in mistakes:
        click.echo(mistake, err=True)
    if mistakes:
        ctx.exit(2)
    if online and not asyncio.run(_reached(settings)):
        ctx.exit(1)


def _mistakes(settings: Settings) -> Iterator[str]:
    """Check each kind of file, so that one kind's mistakes don't hide the others'."""
    try:
        patterns = open_patterns(settings)
        click.echo(f"patterns: {len(patterns.rules)} rules, {len(patterns.catalogue)} codes")
        for rule in patterns.rules:
            if not rule.contains:
                click.echo(f"patterns: warning: rule {rule.name} has no `contains`: every line is decoded for its sake")
    except BadInputError as error:
        yield str(error)
    try:
        policies = open_policies(settings, SimulatedCluster(WallClock()))
        click.echo(f"policies: {len(policies.rules)} rules")
        for name, ties in policies.ties().items():
            for tie in ties:
                click.echo(f"policies: warning: {name}: {tie}")
    except BadInputError as error:
        yield str(error)
    try:
        cluster = open_cluster(settings, WallClock())
        click.echo(f"cluster: simulated, {len(cluster.nodes())} nodes")
    except BadInputError as error:
        yield str(error)


async def _reached(settings: Settings) -> bool:
    """Reach every part, also when another one is away; say of each what it is, or what is missing."""
    missing = 0
    async with AsyncExitStack() as stack:
        for name, part in parts(settings, stack):
            try:
                click.echo(f"{name}: ok, {await part.reach()}")
            except (PermanentError, TemporaryError, SinkError, BadInputError) as error:
                missing += 1
                click.echo(f"{name}: {error}", err=True)
    return not missing
