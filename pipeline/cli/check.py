"""`gpu-rescue check`: whether a pipeline would start with these files, before it does."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import click

from pipeline.app import open_patterns, open_policies, parts, recall_cluster
from pipeline.cli.options import config, sets, settings_of
from pipeline.clock import WallClock
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.cluster.memory import SimulatedCluster
from pipeline.decide.wording import names
from pipeline.errors import BadInputError, PermanentError, TemporaryError
from pipeline.settings import Settings, SimulatedClusterConfig
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
    for check_one in (_patterns, _policies, _cluster):
        try:
            for told in check_one(settings):
                click.echo(told)
        except BadInputError as error:
            yield str(error)


def _patterns(settings: Settings) -> Iterator[str]:
    patterns = open_patterns(settings)
    yield f"patterns: {len(patterns.rules)} rules, {len(patterns.catalogue)} codes"
    for rule in patterns.rules:
        if not rule.contains:
            yield f"patterns: warning: rule {rule.name} has no `contains`: every line is decoded for its sake"


def _policies(settings: Settings) -> Iterator[str]:
    if isinstance(settings.cluster, KubernetesClusterConfig):
        yield "policies: resources of the cluster; see `kubectl get rescuepolicies`"
        return
    policies = open_policies(settings, SimulatedCluster(WallClock()))
    yield f"policies: {len(policies.rules)} rules"
    for rule in policies.rules:
        if rule.is_global:
            yield f"policies: where no other matches, rule {rule.index} of {rule.policy} does: {names(rule.actions)}"
    for name, ties in policies.ties().items():
        yield from (f"policies: warning: {name}: {tie}" for tie in ties)


def _cluster(settings: Settings) -> Iterator[str]:
    match settings.cluster:
        case SimulatedClusterConfig() as config:
            yield f"cluster: simulated, {len(recall_cluster(config, WallClock()).nodes())} nodes"
        case KubernetesClusterConfig():
            yield "cluster: kubernetes; --online asks it"


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
