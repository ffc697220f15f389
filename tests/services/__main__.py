"""`python -m tests.services start|stop|status`: real servers in the background, for people and for runs by hand."""

import sys

import click

from tests.services.background import Background
from tests.services.errors import DamagedError, MissingError, StartError
from tests.services.table import SERVICES


@click.group()
def services() -> None:
    """Real Apache Kafka, Elasticsearch and Kubernetes on free ports of 127.0.0.1, without a container engine."""


@services.command()
def start() -> None:
    """Fetch what is not in the cache, start what does not run, and print where it answers."""
    try:
        running = Background().start(_tell)
    except (MissingError, DamagedError, StartError, TimeoutError) as error:
        raise click.ClickException(str(error)) from error
    for service in running:
        click.echo(service)
    click.echo("stop them with: make services-stop")


@services.command()
def stop() -> None:
    """Stop just what `start` started, and remove its data."""
    try:
        Background().stop(_tell)
    except TimeoutError as error:
        raise click.ClickException(str(error)) from error


@services.command()
def status() -> None:
    """Print what runs, and where; exit with 1 when one of them does not run."""
    running = {service.name: str(service) for service in Background().running()}
    for name in SERVICES:
        click.echo(running.get(name, f"{name:<15}not running"))
    if len(running) < len(SERVICES):
        sys.exit(1)


def _tell(words: str) -> None:
    click.echo(words, err=True)


if __name__ == "__main__":
    services(prog_name="python -m tests.services")
