"""`gpu-rescue install`: puts in place what other systems need to work with the pipeline."""

import asyncio
from pathlib import Path

import click

from pipeline.app import elasticsearch_sinks
from pipeline.cli.options import config, sets, settings_of
from pipeline.settings import Settings, shipped


@click.group()
def install() -> None:
    """Put in place what other systems need."""


@install.command()
@config
@sets
@click.pass_context
def elasticsearch(ctx: click.Context, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Put templates, life cycle and data stream in place for every Elasticsearch sink of the configuration.

    Says of each what was done; called again it changes nothing. It takes the rights manage_index_templates and
    manage_ilm on the cluster, and manage on the data stream.

    \b
    Example:
      gpu-rescue install elasticsearch -c /etc/gpu-rescue/pipeline.yaml
    """
    settings = settings_of(config, overrides)
    if not asyncio.run(_install(settings)):
        click.echo("no sink of the configuration is of type elasticsearch; -c FILE names another one", err=True)
        ctx.exit(2)


async def _install(settings: Settings) -> int:
    sinks = elasticsearch_sinks(settings)
    for sink in sinks:
        try:
            async for told in sink.install(shipped() / "elasticsearch"):
                click.echo(told)
        finally:
            await sink.close()
    return len(sinks)
